package variant

import (
	"math/rand/v2"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// runners are odd runners.
func runners() []Variant {
	odd := func(name, does string, allowed []string, make func(*rand.Rand) tap.Tap) Variant {
		return Variant{Name: name, Does: does, Allowed: allowed, tap: make}
	}
	return []Variant{
		odd("unknown-fields", "sends a field that nobody knows with every message", []string{"FRAME-4"}, fromRunner(withUnknown)),
		odd("unknown-enums", "announces its types with a durability that nobody knows", []string{"FRAME-4"}, hello(func(m *runnerv1alpha1.Hello) {
			for _, t := range m.Types {
				t.Durability = 99
			}
		})),
		odd("hello-from-the-future", "knows more versions and features than the gateway", []string{"LINK-4"}, hello(func(m *runnerv1alpha1.Hello) {
			m.ProtocolMax += 7
			m.Features = append(m.Features, "teleport", "levitate")
		})),
		odd("hello-with-more", "hosts types that no case asks for, and has labels, a pool and a region", []string{"LINK-13"}, hello(func(m *runnerv1alpha1.Hello) {
			m.Types = append([]*runnerv1alpha1.ActorType{{Name: "Other.Type_1-2"}}, m.Types...)
			m.Labels, m.Region = map[string]string{"zone": "β"}, "eu"
		})),
		odd("pings-often", "pings behind every frame of an actor", []string{"LINK-8"}, pingsOften),
		odd("acks-repeated", "sends each Ack twice, and an old one behind it", []string{"LINK-14", "LINK-2"}, acksRepeated),
		odd("pongs-coalesced", "answers several Pings that came together by one Pong", []string{"LINK-8"}, pongsCoalesced),
		odd("intents-repeated", "asks twice to sleep", []string{"SLEEP-3"}, intentsRepeated),
		odd("read-ids-large", "numbers its reads from far above", []string{"FRAME-7"}, readIDs),
		odd("error-texts-odd", "has other words for what went wrong", []string{"ERR-3"}, fromRunner(oddTexts)),
	}
}

func fromRunner(change func(*tap.Frame)) func(*rand.Rand) tap.Tap {
	return func(*rand.Rand) tap.Tap {
		return tap.Tap{FromRunner: func(f *tap.Frame) tap.Out {
			f = tap.Clone(f)
			change(f)
			return tap.Out{Gateway: []*tap.Frame{f}}
		}}
	}
}

func hello(change func(*runnerv1alpha1.Hello)) func(*rand.Rand) tap.Tap {
	return fromRunner(func(f *tap.Frame) {
		if m := f.GetHello(); m != nil {
			change(m)
		}
	})
}

// withUnknown adds field 1000 to the frame's message and to the first message within it.
func withUnknown(f *tap.Frame) {
	kind := tap.Kind(f)
	if kind == nil {
		return
	}
	addUnknown(kind)
	kind.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if field.Message() != nil && !field.IsList() && !field.IsMap() {
			addUnknown(v.Message())
		}
		return true
	})
}

func addUnknown(m protoreflect.Message) {
	b := append(protoreflect.RawFields(nil), m.GetUnknown()...)
	b = protowire.AppendTag(b, 1000, protowire.BytesType)
	m.SetUnknown(protowire.AppendString(b, "unknown"))
}

// foreign marks what a variant invents: no runner or gateway has numbers there.
const foreign = 1 << 44

func pingsOften(*rand.Rand) tap.Tap {
	next := uint64(foreign)
	return tap.Tap{
		FromRunner: func(f *tap.Frame) tap.Out {
			if tap.Actor(f) == 0 {
				return tap.Out{Gateway: []*tap.Frame{f}}
			}
			next++
			ping := &tap.Frame{Kind: &runnerv1alpha1.Frame_Ping{Ping: &commonv1alpha1.Ping{Nonce: next}}}
			return tap.Out{Gateway: []*tap.Frame{f, ping}}
		},
		ToRunner: func(f *tap.Frame) tap.Out {
			if f.GetPong().GetNonce() > foreign {
				return tap.Out{}
			}
			return tap.Out{Runner: []*tap.Frame{f}}
		},
	}
}

func acksRepeated(*rand.Rand) tap.Tap {
	var last *tap.Frame
	return tap.Tap{FromRunner: func(f *tap.Frame) tap.Out {
		if f.GetAck() == nil {
			return tap.Out{Gateway: []*tap.Frame{f}}
		}
		out := []*tap.Frame{f, tap.Clone(f)}
		if last != nil {
			out = append(out, last)
		}
		last = tap.Clone(f)
		return tap.Out{Gateway: out}
	}}
}

// pongsCoalesced drops a Pong behind which another is due: for two Pings without a Pong between them the newer one is enough.
func pongsCoalesced(*rand.Rand) tap.Tap {
	var pings []uint64
	return tap.Tap{
		ToRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetPing(); m != nil {
				pings = append(pings, m.Nonce)
			}
			return tap.Out{Runner: []*tap.Frame{f}}
		},
		FromRunner: func(f *tap.Frame) tap.Out {
			m := f.GetPong()
			for i, nonce := range pings {
				if m != nil && nonce == m.Nonce {
					pings = pings[i+1:]
					if len(pings) > 0 {
						return tap.Out{}
					}
					break
				}
			}
			return tap.Out{Gateway: []*tap.Frame{f}}
		},
	}
}

func intentsRepeated(*rand.Rand) tap.Tap {
	return tap.Tap{FromRunner: func(f *tap.Frame) tap.Out {
		if f.GetActorIntent() == nil {
			return tap.Out{Gateway: []*tap.Frame{f}}
		}
		return tap.Out{Gateway: []*tap.Frame{f, tap.Clone(f)}}
	}}
}

// readIDs translates the numbers of reads there and back.
func readIDs(*rand.Rand) tap.Tap {
	return tap.Tap{
		FromRunner: func(f *tap.Frame) tap.Out {
			if f.GetKvRead() != nil {
				f = tap.Clone(f)
				f.GetKvRead().Id += foreign
			}
			return tap.Out{Gateway: []*tap.Frame{f}}
		},
		ToRunner: func(f *tap.Frame) tap.Out {
			if f.GetKvResult().GetId() >= foreign {
				f = tap.Clone(f)
				f.GetKvResult().Id -= foreign
			}
			return tap.Out{Runner: []*tap.Frame{f}}
		},
	}
}

// oddTexts changes the messages of errors, which are for people and never parsed. Those of the user's code are the user's own.
func oddTexts(f *tap.Frame) {
	const text = "something went wrong, and this is how we say it"
	for _, e := range []*commonv1alpha1.Error{f.GetCallResult().GetError(), f.GetActorStopped().GetError()} {
		if e != nil && e.Group != "user" && e.Group != "internal" {
			e.Message = text
		}
	}
	if m := f.GetGoodbye(); m != nil {
		m.Message = text
	}
}
