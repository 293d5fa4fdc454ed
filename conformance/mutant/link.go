package mutant

import (
	"google.golang.org/protobuf/encoding/protowire"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// link are mistakes of the link layer: pings, fences, unknown frames, and the end.
func link() []Mutant {
	pong, reached, goodbye := (*tap.Frame).GetPong, (*tap.Frame).GetFenceReached, (*tap.Frame).GetGoodbye
	unsupported, ready := (*tap.Frame).GetUnsupported, (*tap.Frame).GetActorReady
	return []Mutant{
		{"drop-ping", "sends no pings", []string{"LINK-7"}, drop((*tap.Frame).GetPing)},
		{"drop-pong", "does not answer pings", []string{"LINK-8"}, drop(pong)},
		{"pong-of-another-ping", "answers with a nonce that no Ping had", []string{"LINK-8"}, alter(pong, func(m *runnerv1alpha1.Pong) { m.Nonce += elsewhere })},
		{"double-pong", "answers a Ping twice", []string{"LINK-8"}, double(pong)},
		{"drop-fence-reached", "does not answer fences", []string{"LINK-8"}, drop(reached)},
		{"double-fence-reached", "answers a fence twice", []string{"LINK-8"}, double(reached)},
		{"fence-of-another", "answers with a nonce that no fence had", []string{"LINK-8"}, alter(reached, func(m *runnerv1alpha1.FenceReached) { m.Nonce += elsewhere })},
		{"fence-without-actor", "does not say whose fence it answers", []string{"LINK-8"}, alter(reached, func(m *runnerv1alpha1.FenceReached) { m.Actor = 0 })},
		{"fence-overtakes", "answers an actor's fence before the turns that came before it", []string{"LINK-8", "TURN-1"}, fenceOvertakes},
		{"drop-unsupported", "drops frames silently whose kind it does not know", []string{"FRAME-4"}, drop(unsupported)},
		{"unsupported-of-another", "names another kind than the one it does not know", []string{"FRAME-4"}, alter(unsupported, func(m *commonv1alpha1.Unsupported) { m.Kind++ })},
		{"unsupported-without-number", "does not name the number of the frame that it does not know", []string{"FRAME-4"}, alter(unsupported, func(m *commonv1alpha1.Unsupported) { m.Number = 0 })},
		{"speaks-as-gateway", "sends frames that only a gateway sends", []string{"LINK-9"}, after(ready, func(m *runnerv1alpha1.ActorReady) *tap.Frame {
			return &tap.Frame{Kind: &runnerv1alpha1.Frame_CommitResult{CommitResult: &runnerv1alpha1.CommitResult{Actor: m.Actor, Version: 1}}}
		})},
		{"ping-too-large", "sends link frames of more than 4 KiB", []string{"LINK-2"}, alter((*tap.Frame).GetPing, func(m *commonv1alpha1.Ping) {
			padding := protowire.AppendTag(nil, 1000, protowire.BytesType)
			m.ProtoReflect().SetUnknown(protowire.AppendBytes(padding, make([]byte, 5000)))
		})},
		{"drop-drain", "goes away without Drain", []string{"LINK-10"}, drop((*tap.Frame).GetDrain)},
		{"double-drain", "drains twice", []string{"LINK-10"}, double((*tap.Frame).GetDrain)},
		{"drop-goodbye", "closes the socket without a word", []string{"FRAME-6"}, drop(goodbye)},
		{"goodbye-not-registered", "says Goodbye with a code that is not in the registry", []string{"FRAME-6", "ERR-1"}, alter(goodbye, func(m *commonv1alpha1.Goodbye) { m.Code = "bye" })},
		{"talks-behind-goodbye", "sends frames behind Goodbye", []string{"FRAME-6"}, after(goodbye, func(*commonv1alpha1.Goodbye) *tap.Frame { return ping(1) })},
		{"ignores-goodbye", "does not hear a Goodbye", []string{"LINK-6"}, deaf(goodbye)},
	}
}

// fenceOvertakes answers an actor's fence in front of the next frame that the actor sends, and drops the answer that comes.
func fenceOvertakes() tap.Tap {
	asked := map[uint64][]*tap.Frame{} // answers owed, by actor
	early := map[uint64]bool{}         // nonces that were answered
	return tap.Tap{
		ToRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetFence(); m != nil && m.Actor != 0 {
				asked[m.Actor] = append(asked[m.Actor], &tap.Frame{Kind: &runnerv1alpha1.Frame_FenceReached{FenceReached: &runnerv1alpha1.FenceReached{Nonce: m.Nonce, Actor: m.Actor}}})
			}
			return tap.Out{Runner: []*tap.Frame{f}}
		},
		FromRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetFenceReached(); m != nil && m.Actor != 0 {
				if early[m.Nonce] {
					return tap.Out{}
				}
				delete(asked, m.Actor)
				return tap.Out{Gateway: []*tap.Frame{f}}
			}
			actor := tap.Actor(f)
			out := asked[actor]
			delete(asked, actor)
			for _, answer := range out {
				early[answer.GetFenceReached().Nonce] = true
			}
			return tap.Out{Gateway: append(out, f)}
		},
	}
}
