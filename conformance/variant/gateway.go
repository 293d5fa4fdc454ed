package variant

import (
	"math/rand/v2"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// gateways are odd gateways: what the protocol lets them do, though ours does not.
func gateways() []Variant {
	odd := func(name, does string, allowed []string, make func(*rand.Rand) tap.Tap) Variant {
		return Variant{Name: name, Does: does, Allowed: allowed, Gateway: true, tap: make}
	}
	return []Variant{
		odd("gateway-unknown-fields", "sends a field that nobody knows with every message", []string{"FRAME-4"}, toRunner(withUnknown)),
		odd("gateway-short-pages", "serves the ends of ranges one entry at a time", []string{"KV-4"}, shortPages),
		odd("gateway-clock-ahead", "has a clock that is years ahead", []string{"LINK-8"}, toRunner(func(f *tap.Frame) {
			const years = 10 * 365 * 24 * 3600 * 1000
			if m := f.GetWelcome(); m != nil {
				m.NowMs += years
			}
			if m := f.GetPong(); m != nil {
				m.NowMs += years
			}
			if m := f.GetStartActor(); m != nil {
				m.NowMs += years
			}
		})),
		odd("gateway-credit-repeated", "gives each offset of credit twice", []string{"LINK-18"}, toRunnerTwice(func(f *tap.Frame) bool { return f.GetCredit() != nil })),
		odd("gateway-credit-old", "repeats old offsets of credit", []string{"LINK-18"}, creditOld),
		odd("gateway-acks-repeated", "sends each Ack twice", []string{"LINK-14"}, toRunnerTwice(func(f *tap.Frame) bool { return f.GetAck() != nil })),
		odd("gateway-pongs-twice", "answers a Ping at once, and again when the lease is renewed", []string{"LEASE-1"}, toRunnerTwice(func(f *tap.Frame) bool { return f.GetPong() != nil })),
		odd("gateway-cancels-twice", "cancels calls twice, and calls that nobody made", []string{"CALL-5", "LIFE-9"}, cancelsTwice),
		odd("gateway-late-closes", "closes connections that the runner has closed, too", []string{"CONN-4"}, lateCloses),
	}
}

func toRunner(change func(*tap.Frame)) func(*rand.Rand) tap.Tap {
	return func(*rand.Rand) tap.Tap {
		return tap.Tap{ToRunner: func(f *tap.Frame) tap.Out {
			f = tap.Clone(f)
			change(f)
			return tap.Out{Runner: []*tap.Frame{f}}
		}}
	}
}

func toRunnerTwice(which func(*tap.Frame) bool) func(*rand.Rand) tap.Tap {
	return func(*rand.Rand) tap.Tap {
		return tap.Tap{ToRunner: func(f *tap.Frame) tap.Out {
			if which(f) {
				return tap.Out{Runner: []*tap.Frame{f, tap.Clone(f)}}
			}
			return tap.Out{Runner: []*tap.Frame{f}}
		}}
	}
}

// shortPages cuts the last page of a range after its first entry.
func shortPages(*rand.Rand) tap.Tap {
	ranges := map[[2]uint64]bool{} // by actor and id
	return tap.Tap{
		FromRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetKvRead(); m != nil {
				ranges[[2]uint64{m.Actor, m.Id}] = m.Range != nil
			}
			return tap.Out{Gateway: []*tap.Frame{f}}
		},
		ToRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetKvResult(); m != nil && ranges[[2]uint64{m.Actor, m.Id}] && len(m.Entries) > 1 && !m.More {
				f = tap.Clone(f)
				m = f.GetKvResult()
				m.Entries, m.More = m.Entries[:1], true
			}
			return tap.Out{Runner: []*tap.Frame{f}}
		},
	}
}

func creditOld(*rand.Rand) tap.Tap {
	return tap.Tap{ToRunner: func(f *tap.Frame) tap.Out {
		m := f.GetCredit()
		if m == nil {
			return tap.Out{Runner: []*tap.Frame{f}}
		}
		old := tap.Clone(f)
		old.GetCredit().Offset = m.Offset / 2
		return tap.Out{Runner: []*tap.Frame{f, old}}
	}}
}

// cancelsTwice sends CancelCall twice, with one for a call of that actor that is not there.
func cancelsTwice(*rand.Rand) tap.Tap {
	return tap.Tap{ToRunner: func(f *tap.Frame) tap.Out {
		m := f.GetCancelCall()
		if m == nil {
			return tap.Out{Runner: []*tap.Frame{f}}
		}
		other := tap.Clone(f)
		other.GetCancelCall().Id = foreign // within 2^53 [FRAME-7], whatever the id is
		return tap.Out{Runner: []*tap.Frame{other, f, tap.Clone(f)}}
	}}
}

// lateCloses tells the runner of the end of connections that it has closed itself, as if that had crossed.
func lateCloses(*rand.Rand) tap.Tap {
	var owed []*tap.Frame
	return tap.Tap{
		FromRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetConnectionClose(); m != nil {
				closing := &runnerv1alpha1.ConnectionClose{Actor: m.Actor, Connection: m.Connection, Code: "connection.closed"}
				owed = append(owed, &tap.Frame{Kind: &runnerv1alpha1.Frame_ConnectionClose{ConnectionClose: closing}})
			}
			return tap.Out{Gateway: []*tap.Frame{f}}
		},
		ToRunner: func(f *tap.Frame) tap.Out {
			if tap.IsLink(f) || f.GetWelcome() != nil {
				return tap.Out{Runner: []*tap.Frame{f}}
			}
			out := append(owed, f)
			owed = nil
			return tap.Out{Runner: out}
		},
	}
}
