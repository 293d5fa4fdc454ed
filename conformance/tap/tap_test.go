package tap_test

import (
	"testing"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
)

func ping(nonce uint64) *tap.Frame {
	return &tap.Frame{Kind: &runnerv1alpha1.Frame_Ping{Ping: &commonv1alpha1.Ping{Nonce: nonce}}}
}

func nonces(frames []*tap.Frame) []uint64 {
	var all []uint64
	for _, f := range frames {
		all = append(all, f.GetPing().GetNonce())
	}
	return all
}

func TestWhatIsForTheSenderWaitsForTheNextFrame(t *testing.T) {
	var cfg vgw.Config
	tap.Into(&cfg, func() tap.Tap {
		return tap.Tap{
			FromRunner: func(f *tap.Frame) tap.Out {
				return tap.Out{Gateway: []*tap.Frame{f}, Runner: []*tap.Frame{ping(f.GetPing().Nonce + 100)}}
			},
			ToRunner: func(f *tap.Frame) tap.Out {
				return tap.Out{Runner: []*tap.Frame{f}, Gateway: []*tap.Frame{ping(f.GetPing().Nonce + 200)}}
			},
		}
	})
	from, to := cfg.FromRunner(), cfg.ToRunner()
	if got := nonces(from(ping(1))); len(got) != 1 || got[0] != 1 {
		t.Errorf("the gateway reads %v", got)
	}
	if got := nonces(to(ping(2))); len(got) != 2 || got[0] != 101 || got[1] != 2 {
		t.Errorf("the runner reads %v", got)
	}
	if got := nonces(from(ping(3))); len(got) != 2 || got[0] != 202 || got[1] != 3 {
		t.Errorf("then the gateway reads %v", got)
	}
}

func TestEachSessionHasATapOfItsOwn(t *testing.T) {
	var cfg vgw.Config
	made := 0
	tap.Into(&cfg, func() tap.Tap { made++; return tap.Tap{} })
	for range 2 {
		from, to := cfg.FromRunner(), cfg.ToRunner()
		if len(from(ping(1))) != 1 || len(to(ping(2))) != 1 {
			t.Error("a nil side does not let frames through")
		}
	}
	if made != 2 {
		t.Errorf("%d taps for two sessions", made)
	}
}

func TestFramesTellWhatTheyAre(t *testing.T) {
	ready := &tap.Frame{Kind: &runnerv1alpha1.Frame_ActorReady{ActorReady: &runnerv1alpha1.ActorReady{Actor: 7}}}
	if tap.Actor(ready) != 7 || tap.Number(ready) != 21 || tap.IsLink(ready) {
		t.Error("ActorReady is misread")
	}
	if !tap.IsLink(ping(1)) || tap.Actor(ping(1)) != 0 {
		t.Error("Ping is misread")
	}
	if unknown := new(tap.Frame); tap.Number(unknown) != 0 || tap.IsLink(unknown) || tap.Actor(unknown) != 0 {
		t.Error("a frame of no known kind is misread")
	}
}
