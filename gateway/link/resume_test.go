package link

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

func ack(n uint64) wire.Message     { return wire.Runner(&runnerv1alpha1.Ack{Received: n}) }
func resumed(n uint64) wire.Message { return wire.Runner(&runnerv1alpha1.Resumed{Next: n}) }

// [LINK-16] [LINK-6]: a socket that breaks costs nothing, in neither direction; nobody is told.
func TestASessionOutlivesItsSocket(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p, l := w.join(wire.FeatureResume)
		a := w.bind(l, "a")
		a.send(1, 1, 1, 1)
		p.got("1, 2, 3")
		p.send(ack(1), a.commit(1), a.commit(2))
		w.did("a 1, a 2")
		p.cut()
		a.send(4, 1) // while nobody reads
		late := w.bind(l, "late")
		late.send(5, 1)
		w.did("")
		p = w.back(2)
		p.got("welcome back, 2, resumed 3, 3, 4, 5")
		p.send(resumed(3), a.commit(3), late.commit(4))
		w.did("a 3, late 4")
		// And again, with the acknowledgements of the second socket.
		p.send(ack(5))
		p.cut()
		p = w.back(5)
		p.got("welcome back, 4, resumed 6")
		p.send(resumed(5))
		a.send(6, 1)
		p.got("6")
	})
}

// [LINK-16]: a frame that goes as Parts goes on with the rest.
func TestAFrameInPartsOutlivesItsSocket(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p, l := w.join(wire.FeatureResume)
		a := w.bind(l, "a")
		frame := wire.AppendMessage(nil, a.commit(7))[wire.HeaderLen:]
		p.send(&wire.Part{Actor: a.binding.Ref, Data: frame[:2]})
		synctest.Wait()
		p.cut()
		p = w.back(0)
		p.got("welcome back, 1, resumed 1")
		p.send(resumed(2), &wire.Part{Actor: a.binding.Ref, Data: frame[2:], Last: true})
		w.did("a 7")
	})
}

// [LINK-16]: another socket takes over from one that lives; what that one still says is ignored.
func TestASecondSocketTakesOver(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		first, l := w.join(wire.FeatureResume)
		a := w.bind(l, "a")
		a.send(1, 1)
		first.got("1")
		second := w.back(1)
		second.got("welcome back, 0, resumed 2")
		first.got("goodbye runner.superseded same")
		first.ended()
		second.send(resumed(1), a.commit(1))
		w.did("a 1")
		// The one that was left is still busy with a frame when the next one comes.
		entered, release, busy := make(chan struct{}), make(chan struct{}), new(atomic.Bool)
		a.inside = func() {
			if !busy.Swap(true) {
				close(entered)
				<-release
			}
		}
		go func() {
			_, _ = second.conn.Write(wire.AppendMessage(wire.AppendMessage(nil, a.commit(2)), a.commit(3)))
		}()
		<-entered
		third := w.back(1)
		third.got("welcome back, 2, resumed 2") // 2 is taken, 3 is not
		third.send(resumed(3), a.commit(3))     // waits
		close(release)
		w.did("a 2, a 3")
		third.open()
	})
}

// [LINK-16]: of two sockets that resume at once one has the session, and the other knows.
func TestTwoResumesRace(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p, l := w.join(wire.FeatureResume)
		a := w.bind(l, "a")
		a.send(1, 1, 1)
		p.got("1, 2")
		p.cut()
		one, two := w.dial(), w.dial()
		done := make(chan struct{})
		go func() { one.resume(l, 1); close(done) }()
		two.resume(l, 1)
		<-done
		synctest.Wait()
		winner, loser := one, two
		select {
		case <-one.done:
			winner, loser = two, one
		default:
		}
		winner.got("welcome back, 0, resumed 2, 2")
		winner.open()
		loser.ended()
		winner.send(resumed(1), a.commit(1))
		w.did("a 1")
		a.send(3, 1)
		winner.got("3")
	})
}

// [LINK-17] [CALL-7]: who does not come back in time has lost the session, and begins another.
func TestASessionDoesNotWaitForEver(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p, l := w.join(wire.FeatureResume)
		a := w.bind(l, "a")
		a.send(1, 1)
		p.got("1")
		p.cut()
		a.send(2, 1, 1)
		pass(4999 * time.Millisecond)
		w.did("")
		pass(time.Millisecond)
		w.did("ending, a lost, 2 unwritten, gone")
		if l.Send(a.binding, a.commit(1)) || l.Bind(a) != nil {
			t.Error("a lost link takes more")
		}
		w.back(1).got("welcome")
		w.did("joined")
		// A socket that came in time begins another term.
		p, _ = w.join(wire.FeatureResume)
		p.cut()
		pass(4 * time.Second)
		p = w.back(0)
		p.got("welcome back, 0, resumed 1")
		p.cut()
		pass(4 * time.Second)
		p = w.back(0)
		p.got("welcome back, 0, resumed 1")
		p.send(resumed(1))
		pass(4 * time.Second)
		w.did("")
		p.open()
	})
}

// [LINK-17]: counts and numbers that cannot be end the session.
func TestTheTwoSidesDisagree(t *testing.T) {
	for name, c := range map[string]struct {
		misbehave func(w *world, p *peer) *peer // on which socket
		want      string
	}{
		"an Ack of what was never sent": {func(_ *world, p *peer) *peer { p.send(ack(3)); return p }, "1, 2, goodbye runner.session_lost any"},
		"an Ack of what this socket has not got": {func(w *world, p *peer) *peer {
			p.cut()
			p = w.back(0)
			p.send(resumed(1), ack(3))
			return p
		}, "welcome back, 0, resumed 1, 1, 2, goodbye runner.session_lost any"},
		"a gap": {func(w *world, p *peer) *peer {
			p.cut()
			p = w.back(2)
			p.send(resumed(2))
			return p
		}, "welcome back, 0, resumed 3, goodbye runner.session_lost any"},
		"a frame before Resumed": {func(w *world, p *peer) *peer {
			p.cut()
			p = w.back(2)
			p.send(&wire.Commit{Actor: 1})
			return p
		}, "welcome back, 0, resumed 3, goodbye runner.session_lost any"},
		"Resumed of a socket that resumes nothing": {func(_ *world, p *peer) *peer { p.send(resumed(1)); return p }, "1, 2, goodbye runner.session_lost any"},
		"an Ack that cannot be decoded": {func(_ *world, p *peer) *peer {
			p.bytes([]byte{0, 0, 0, 4, 0xb2, 0x06, 1, 0x08})
			return p
		}, "1, 2, goodbye runner.invalid_frame any"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				p, l := w.join(wire.FeatureResume)
				w.bind(l, "a").send(1, 1, 1)
				synctest.Wait()
				p = c.misbehave(w, p)
				p.got(c.want)
				p.ended()
				w.did("ending, a lost, 0 unwritten, gone")
			})
		})
	}
	t.Run("a Hello that has more than was sent", func(t *testing.T) {
		inWorld(t, nil, func(w *world) {
			p, l := w.join(wire.FeatureResume)
			w.bind(l, "a").send(1, 1, 1)
			synctest.Wait()
			second := w.back(3)
			second.got("welcome")
			p.got("1, 2, goodbye runner.session_lost any")
			w.did("ending, a lost, 0 unwritten, gone, joined")
		})
	})
}

// [LINK-16]: a Hello that has less than was acknowledged comes late, from a socket that the runner has left long ago: it
// harms nobody.
func TestALateHelloHarmsNobody(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p, l := w.join(wire.FeatureResume)
		a := w.bind(l, "a")
		a.send(1, 1, 1)
		p.got("1, 2")
		p.send(ack(2))
		late := w.back(1)
		late.got("reject runner.superseded true")
		late.ended()
		p.open()
		p.cut()
		late = w.back(0)
		late.got("reject runner.superseded true")
		p = w.back(2)
		p.got("welcome back, 0, resumed 3")
		w.did("")
	})
}

// [LINK-16] [LINK-5]: a resume needs its token like any Hello; a wrong one harms nobody.
func TestAResumeIsRefused(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p, _ := w.join(wire.FeatureResume)
		w.readmit = wire.AuthUnauthenticated.New()
		thief := w.back(0)
		thief.got("reject auth.unauthenticated false")
		thief.ended()
		p.open()
		w.readmit = nil
		w.did("")
	})
}

// [LINK-16] [LINK-17]: a name that was never given, and a session without the feature, cannot be resumed.
func TestWhatCannotBeResumed(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p := w.dial()
		hello := features(wire.FeatureResume)
		hello.Resume = &runnerv1alpha1.Resume{Session: []byte("nobody's")}
		p.cold(hello)
		p.got("welcome")
		w.did("joined")
		without, l := w.join()
		w.bind(l, "a").send(1, 1)
		without.got("1")
		without.send(ack(1), resumed(1))
		without.got("unsupported 102, unsupported 104")
		without.cut()
		w.did("ending, a lost, 0 unwritten, gone")
		w.back(0).got("welcome")
		w.did("joined")
	})
}

// [LINK-6]: a Goodbye of either side ends the session at once, and so does Close while nobody is there.
func TestGoodbyeEndsASession(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(p *peer, l *Link)
		want string
	}{
		"of the runner":  {func(p *peer, _ *Link) { p.cold(&commonv1alpha1.Goodbye{Code: "runner.draining"}) }, "1"},
		"of the gateway": {func(_ *peer, l *Link) { l.Close(wire.RunnerReplaced.New(), back) }, "1, goodbye runner.replaced same"},
		"to nobody":      {func(p *peer, l *Link) { p.cut(); l.Close(wire.RunnerReplaced.New(), back) }, "1"},
		"of a gateway that closes": {func(_ *peer, l *Link) {
			l.cfg.Links.Close(wire.GatewayDraining.New(), anywhere)
		}, "1, goodbye gateway.draining any"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				p, l := w.join(wire.FeatureResume)
				w.bind(l, "a").send(1, 1)
				synctest.Wait()
				c.end(p, l)
				p.got(c.want)
				p.ended()
				w.did("ending, a lost, 0 unwritten, gone")
				if n := w.cfg.Stats.LinksLost.Value(); n != 0 {
					t.Errorf("%d links were lost", n)
				}
			})
		})
	}
}

// [LINK-6] [FRAME-6]: a gateway that closes takes no runner any more.
func TestAClosingGatewayTakesNobody(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.cfg.Links.Close(wire.GatewayDraining.New(), anywhere)
		p := w.dial()
		p.cold(features())
		p.got("reject gateway.draining true")
		p.ended()
		w.did("")
	})
}

// [LINK-17] [LINK-7]: silence ends the session, whether it could be resumed or not.
func TestSilenceEndsASession(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p, l := w.join(wire.FeatureResume)
		w.bind(l, "a")
		pass(14 * time.Second)
		p.open()
		pass(2 * time.Second)
		p.got("goodbye runner.ping_timed_out any")
		p.ended()
		w.did("ending, a lost, 0 unwritten, gone")
	})
}

// [LINK-15]: at the bound the link writes nothing more, and goes on where room is made.
func TestWritingWaitsForAcknowledgements(t *testing.T) {
	change := func(c *Config) { c.Limits.MaxUnacked = 100_000 }
	inWorld(t, change, func(w *world) {
		p, l := w.join(wire.FeatureResume)
		a := w.bind(l, "a")
		p.cut()
		a.send(1, 30_000, 30_000, 30_000, 30_000, 30_000)
		p = w.back(0)
		p.got("welcome back, 0, resumed 1, 1, 2")
		l.mu.Lock()
		if kept := l.state.Kept(); kept > 100_000 {
			t.Errorf("%d bytes are kept", kept)
		}
		l.mu.Unlock()
		p.cold(&commonv1alpha1.Ping{Nonce: 9}) // link frames go on
		p.got("pong 9 0")
		p.send(ack(1))
		p.got("3, 4")
		p.cut()
		p = w.back(3)
		p.got("welcome back, 0, resumed 4, 4, 5")
		w.did("")
	})
}

// [LINK-14]: by 64 frames or 256 KiB at once, otherwise within 50 ms.
func TestTheLinkAcknowledges(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p, _ := w.join(wire.FeatureResume)
		frames := make([]wire.Message, 64)
		for i := range frames {
			frames[i] = &wire.Commit{Actor: 99}
		}
		p.send(frames...)
		p.got("ack 64")
		p.send(&wire.Commit{Actor: 99, Changes: make([]byte, 256<<10)})
		p.got("ack 65")
		p.send(frames[:5]...)
		pass(30 * time.Millisecond)
		p.send(frames[:5]...)
		pass(19 * time.Millisecond)
		p.got("")
		pass(time.Millisecond)
		p.got("ack 75")
		pass(time.Second)
		p.got("")
		// Each first frame begins its own 50 ms.
		p.send(frames[0])
		pass(40 * time.Millisecond)
		p.send(frames[:63]...)
		p.got("ack 139")
		p.send(frames[0])
		pass(49 * time.Millisecond)
		p.got("")
		pass(time.Millisecond)
		p.got("ack 140")
		// What a socket did not acknowledge the next one need not.
		p.send(frames[0])
		synctest.Wait()
		p.cut()
		p = w.back(0)
		p.got("welcome back, 141, resumed 1")
		pass(time.Second)
		p.got("")
	})
}

// [LINK-16]: what was resumed says what it said before.
func TestTheWelcomeOfAResume(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p := w.dial()
		p.cold(features(wire.FeatureResume))
		first := expect[*runnerv1alpha1.Welcome](p)
		if first.GetResumeMs() != 5000 || first.GetLimits().GetMaxUnackedBytes() != 16<<20 || first.GetRunner() != "r" {
			t.Errorf("welcome %v", first)
		}
		p.cut()
		again := expect[*runnerv1alpha1.Welcome](w.back(0))
		if again.ResumedReceived == nil {
			t.Fatal("not resumed")
		}
		again.ResumedReceived, again.NowMs = nil, first.NowMs
		if again.String() != first.String() {
			t.Errorf("welcome %v, then %v", first, again)
		}
		if strings.Join(again.GetFeatures(), " ") != "events resume" {
			t.Errorf("features %v", again.GetFeatures())
		}
		w.did("joined")
	})
}
