package wire

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// [LINK-4].
func TestTheHighestCommonProtocolIsChosen(t *testing.T) {
	for _, tt := range []struct {
		name     string
		min, max uint32
		version  uint32
		ok       bool
	}{
		{"ours alone", ProtocolMin, ProtocolMax, ProtocolMax, true},
		{"a wider range", 0, ProtocolMax + 5, ProtocolMax, true},
		{"only newer ones", ProtocolMax + 1, ProtocolMax + 5, 0, false},
		{"only older ones", 0, ProtocolMin - 1, 0, false},
		{"an upside-down range", ProtocolMax + 5, ProtocolMin, 0, false},
		{"nothing said", 0, 0, 0, false},
	} {
		version, ok := NegotiateProtocol(tt.min, tt.max)
		if ok != tt.ok || ok && version != tt.version {
			t.Errorf("%s: %d, %t", tt.name, version, ok)
		}
	}
}

// [LINK-4].
func TestFeaturesAreWhatBothName(t *testing.T) {
	ours := RunnerFeatures()
	if got := NegotiateFeatures(ours, []string{"unheard", FeatureKV, FeatureKV, FeatureConnections}); !slices.Equal(got, []string{FeatureConnections, FeatureKV}) {
		t.Errorf("got %v", got)
	}
	if got := NegotiateFeatures(ours, nil); got == nil || len(got) != 0 {
		t.Errorf("without features: %#v", got)
	}
}

// [FRAME-4].
func TestAKindNeedsItsFeature(t *testing.T) {
	needs := map[Kind]string{
		RunnerEmit: FeatureEvents, RunnerKvRead: FeatureKV, RunnerKvResult: FeatureKV,
		RunnerConnectionOpen: FeatureConnections, RunnerConnectionClose: FeatureConnections,
		RunnerConnectionState: FeatureConnections, RunnerPrincipal: FeatureConnections,
		RunnerHosted: FeatureAdopt, RunnerAdopted: FeatureAdopt, RunnerCredit: FeatureCredit,
		RunnerAck: FeatureResume, RunnerResumed: FeatureResume,
	}
	fields := (*runnerv1alpha1.Frame)(nil).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		kind := Kind(fields.Get(i).Number())
		if got := Negotiated(kind, nil); got != (needs[kind] == "") {
			t.Errorf("kind %d without features: %t", kind, got)
		}
		if !Negotiated(kind, []string{"other", needs[kind]}) {
			t.Errorf("kind %d with its feature is not allowed", kind)
		}
	}
}

func TestTheLimitsAreToldAsTheyAre(t *testing.T) {
	l := DefaultLimits()
	runner, client := l.Runner(), l.Client()
	if int(runner.GetMaxMessage()) != l.MaxFrame || int(client.GetMaxMessage()) != l.MaxFrame {
		t.Errorf("max_message is %d and %d", runner.GetMaxMessage(), client.GetMaxMessage())
	}
	for _, m := range []proto.Message{runner, client} {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if !m.ProtoReflect().Has(fields.Get(i)) {
				t.Errorf("%s is not told", fields.Get(i).FullName())
			}
		}
	}
	if l.MaxCommit <= l.MaxState+l.MaxKVBatch || l.MaxFrame <= l.MaxCommit {
		t.Errorf("the largest state and batch do not fit a commit, or a commit no frame: %+v", l)
	}
}

func TestNumberAtLooksNoFurtherThanItMust(t *testing.T) {
	body := (&Call{Actor: 7, ID: 300, Action: []byte("x")}).AppendTo(nil)
	if got := NumberAt(append(body, 0xff), 2); got != 300 {
		t.Errorf("field 2 is %d", got)
	}
	if got := NumberAt(body, 3); got != 0 {
		t.Errorf("a text is the number %d", got)
	}
}
