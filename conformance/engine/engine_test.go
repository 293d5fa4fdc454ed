package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/monitor"
)

// What cases do on a runner, right or wrong, is tested in package suite.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProfilesAreClaimedByHello(t *testing.T) {
	serial := &runnerv1alpha1.Hello{Features: []string{"kv"}, Types: []*runnerv1alpha1.ActorType{{Name: "a", Concurrency: runnerv1alpha1.Concurrency_CONCURRENCY_SERIAL}}}
	interleaved := &runnerv1alpha1.Hello{Types: []*runnerv1alpha1.ActorType{{Name: "a", Concurrency: runnerv1alpha1.Concurrency_CONCURRENCY_INTERLEAVED}}}
	for _, c := range []struct {
		hello   *runnerv1alpha1.Hello
		profile string
		claims  bool
	}{
		{serial, "core", true},
		{serial, "kv", true},
		{serial, "events", false},
		{serial, "serial", true},
		{serial, "interleaved", false},
		{interleaved, "interleaved", true},
		{interleaved, "serial", false},
	} {
		if Claims(c.hello, c.profile) != c.claims {
			t.Errorf("%v claims %s: %t", c.hello, c.profile, !c.claims)
		}
	}
}

func TestErrorsBecomeOutcomes(t *testing.T) {
	finding := monitor.Finding{Monitor: "MON-03", Text: "twice", Case: "XX-01"}
	for name, c := range map[string]struct {
		err    error
		step   string
		found  []monitor.Finding
		waive  []string
		status Status
		code   string
	}{
		"well":               {status: Pass},
		"a finding":          {found: []monitor.Finding{finding}, status: Fail, code: "XX-01/MON-03"},
		"a waived finding":   {found: []monitor.Finding{finding}, waive: []string{"MON-03"}, status: Pass},
		"a step":             {err: errors.New("no"), step: "3", status: Fail, code: "XX-01/3"},
		"not claimed":        {err: errSkip, status: Skip},
		"the suite":          {err: errHarness, step: "3", status: Error, code: "XX-01/3"},
		"no start":           {err: ErrNoRunner, step: "prepare", status: NoStart, code: "XX-01/prepare"},
		"gone in the middle": {err: ErrNoRunner, step: "3", status: Fail, code: "XX-01/3"},
	} {
		t.Run(name, func(t *testing.T) {
			test := &casefile.Case{Id: "XX-01", WaiveMonitors: c.waive}
			s := &Stage{findings: c.found, blame: newBlame()}
			s.blame.begin(test, 1001)
			r := &run{stage: s, test: test, step: c.step}
			if out := r.outcome(c.err); out.Status != c.status || out.Code != c.code {
				t.Errorf("outcome %+v", out)
			}
		})
	}
}

func TestTimeOutsAreTold(t *testing.T) {
	late := &tooLate{time.Second}
	if !errors.Is(late, context.DeadlineExceeded) || late.Error() != "nothing came within 1s" {
		t.Errorf("%v", late)
	}
	s := &Stage{options: Options{Patience: 2}}
	if s.scale(time.Second) != 2*time.Second {
		t.Error("patience does not count")
	}
	s.Hurry(true)
	if s.scale(time.Second) != 200*time.Millisecond {
		t.Error("haste does not count")
	}
}

func TestTheMachinesLagIsMeasured(t *testing.T) {
	l := watchLag()
	l.stop()
	if l.worst() > time.Minute {
		t.Errorf("lag %v", l.worst())
	}
}

func TestPaddedFramesHaveTheirSize(t *testing.T) {
	for _, n := range []int{200, 39_996, 39_997, 100_000} {
		if got := len(padded(n)); got != n {
			t.Errorf("%d bytes, want %d", got, n)
		}
	}
}
