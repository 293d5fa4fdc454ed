package mutant

import (
	"strconv"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// hello are mistakes in what is said first.
func hello() []Mutant {
	is := (*tap.Frame).GetHello
	first := func(m *runnerv1alpha1.Hello) bool { return m.Resume == nil }
	return []Mutant{
		{"double-hello", "says Hello twice on one socket", []string{"LINK-1"}, double(is)},
		{"ping-before-hello", "sends a Ping before Hello", []string{"LINK-1"}, before(is, func(*runnerv1alpha1.Hello) *tap.Frame { return ping(1) })},
		{"hello-without-types", "names no actor types", []string{"LINK-13", "LIFE-5"}, alter(is, func(m *runnerv1alpha1.Hello) { m.Types = nil })},
		{"hello-type-twice", "names an actor type twice", []string{"LINK-13"}, alter(is, func(m *runnerv1alpha1.Hello) {
			m.Types = append(m.Types, m.Types[0])
		}, func(m *runnerv1alpha1.Hello) bool { return len(m.Types) > 0 })},
		{"hello-type-invalid", "names an actor type that is no valid name", []string{"LINK-13", "ADDR-1"}, alter(is, func(m *runnerv1alpha1.Hello) {
			m.Types = append(m.Types, &runnerv1alpha1.ActorType{Name: "a type"})
		})},
		{"hello-versions-crossed", "names a range of versions whose end is before its start", []string{"LINK-4"}, alter(is, func(m *runnerv1alpha1.Hello) {
			m.ProtocolMin, m.ProtocolMax = 3, 1
		})},
		{"hello-newer-version", "speaks only a version that no gateway knows", []string{"LINK-4"}, alter(is, func(m *runnerv1alpha1.Hello) {
			m.ProtocolMin, m.ProtocolMax = 9, 9
		})},
		{"hello-without-instance", "does not name its process", []string{"LINK-6"}, alter(is, func(m *runnerv1alpha1.Hello) { m.Instance = "" })},
		{"hello-new-instance", "names another process on each socket", []string{"LINK-6"}, newInstance},
		{"hello-wrong-token", "sends a token other than the one it was given", []string{"LINK-5"}, alter(is, func(m *runnerv1alpha1.Hello) { m.Token += "x" }, first)},
		{"credit-unlimited", "takes the windows of Welcome for unlimited", []string{"LINK-18"}, mishear((*tap.Frame).GetWelcome, func(m *runnerv1alpha1.Welcome) {
			if m.Limits != nil {
				m.Limits.EventWindow, m.Limits.LinkWindow = 1<<50, 1<<50
			}
		})},
		{"limits-unread", "does not read the limits of Welcome", []string{"LIMIT-7"}, mishear((*tap.Frame).GetWelcome, unlimited)},
		{"lease-unlimited", "takes its lease for endless", []string{"LEASE-1", "LEASE-2"}, leaseUnlimited},
		{"errors-in-full", "shows the text of unexpected errors outside development", []string{"ERR-3"}, mishear((*tap.Frame).GetWelcome, func(m *runnerv1alpha1.Welcome) {
			m.Development = true
		})},
		{"features-unread", "uses features that Welcome does not name", []string{"LINK-4"}, featuresUnread},
		{"reject-repeated", "takes every Reject for one after which to try again", []string{"LINK-5"}, mishear((*tap.Frame).GetReject, func(m *runnerv1alpha1.Reject) {
			m.Retryable = true
		})},
	}
}

func newInstance() tap.Tap {
	sockets := 0
	return fromRunner(func(f *tap.Frame) []*tap.Frame {
		if f.GetHello() == nil {
			return []*tap.Frame{f}
		}
		sockets++
		f = tap.Clone(f)
		f.GetHello().Instance += "-" + strconv.Itoa(sockets)
		return []*tap.Frame{f}
	})
}

func unlimited(m *runnerv1alpha1.Welcome) {
	const most = 1 << 30
	l := m.Limits
	if l == nil {
		return
	}
	l.MaxMessage = most
	l.MaxState, l.MaxKvKey, l.MaxKvValue, l.MaxKvBatch, l.MaxKvOperations, l.MaxCommit = most, most, most, most, most, most
	l.MaxOutput, l.MaxEvent, l.MaxErrorMetadata, l.MaxConnectionState = most, most, most, most
	l.MaxReadsPerActor, l.MaxGroupOutputs, l.MaxGroupBytes, l.MaxHeldBytes, l.MaxUnackedBytes = most, most, most, most, most
}

// leaseUnlimited tells the runner of a lease of a month.
func leaseUnlimited() tap.Tap {
	const month = 30 * 24 * 3600 * 1000
	return tap.Tap{ToRunner: func(f *tap.Frame) tap.Out {
		f = tap.Clone(f)
		if m := f.GetWelcome(); m != nil && m.LeaseMs > 0 {
			m.LeaseMs = month
		}
		if m := f.GetPong(); m != nil && m.LeaseMs > 0 {
			m.LeaseMs = month
		}
		return tap.Out{Runner: []*tap.Frame{f}}
	}}
}

// featuresUnread tells the runner that it was given every feature that it named.
func featuresUnread() tap.Tap {
	var named []string
	return tap.Tap{
		FromRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetHello(); m != nil {
				named = m.Features
			}
			return tap.Out{Gateway: []*tap.Frame{f}}
		},
		ToRunner: func(f *tap.Frame) tap.Out {
			if f.GetWelcome() != nil {
				f = tap.Clone(f)
				f.GetWelcome().Features = named
			}
			return tap.Out{Runner: []*tap.Frame{f}}
		},
	}
}

func ping(nonce uint64) *tap.Frame {
	return &tap.Frame{Kind: &runnerv1alpha1.Frame_Ping{Ping: &commonv1alpha1.Ping{Nonce: nonce}}}
}
