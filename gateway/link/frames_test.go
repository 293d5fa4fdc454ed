package link

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// renewal answers the oldest renewal that waits for the store.
func (w *world) renewed(lease time.Duration) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	if len(w.renewals) == 0 {
		w.mu.Unlock()
		w.Fatal("no renewal is under way")
	}
	done := w.renewals[0]
	w.renewals = slices.Delete(w.renewals, 0, 1)
	w.mu.Unlock()
	done(lease)
}

func (w *world) renewing(want int) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.renewals) != want {
		w.Fatalf("%d renewals are under way, want %d", len(w.renewals), want)
	}
}

func ping(nonce uint64) wire.Message { return wire.Runner(&commonv1alpha1.Ping{Nonce: nonce}) }

// [LEASE-1] [LINK-8]: a Ping is answered at once, and a second time when the lease was renewed, by a renewal that began after
// the Ping had come; one at a time.
func TestAPingRenewsTheLease(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p, l := w.join()
		p.send(ping(1))
		p.got("pong 1 0")
		for nonce := uint64(2); nonce <= 4; nonce++ {
			p.send(ping(nonce))
			synctest.Wait()
		}
		p.got("pong 2 0, pong 3 0, pong 4 0")
		w.renewing(1)
		w.renewed(15 * time.Second)
		p.got("pong 1 15000")
		w.renewing(1)
		w.renewed(15 * time.Second)
		p.got("pong 4 15000")
		w.renewing(0)
		// A renewal that failed is no news; the next Ping asks again.
		p.send(ping(5))
		w.renewed(0)
		p.got("pong 5 0")
		p.send(ping(6))
		w.renewed(time.Second)
		p.got("pong 6 0, pong 6 1000")
		// One that comes back when the session is over concerns nobody.
		p.send(ping(7))
		synctest.Wait()
		l.Close(wire.RunnerReplaced.New(), anywhere)
		w.renewed(time.Second)
		p.got("pong 7 0, goodbye runner.replaced any")
	})
}

// [LINK-8]: whoever pings without reading costs nothing.
func TestAFloodOfPingsCostsNothing(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p := w.deaf(features())
		flood := make([]wire.Message, 1000)
		for i := range flood {
			flood[i] = ping(uint64(i))
		}
		for range 20 {
			p.send(flood...)
		}
		w.renewing(1)
		l := w.last()
		l.mu.Lock()
		defer l.mu.Unlock()
		if n := l.state.Queued(); n > 1000 {
			t.Errorf("%d bytes wait to be written", n)
		}
	})
}

// [FRAME-4]: every unknown frame is answered, but for a runner that does not read them no more than some wait.
func TestAFloodOfUnknownFramesIsCutShort(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p, _ := w.join()
		unknown := []byte{0, 0, 0, 7, 0xaa, 0x03, 4, 0x08, 1, 0x10, 42} // kind 53, number 42
		for range 3 {
			for range maxAnswers {
				p.bytes(unknown)
			}
			synctest.Wait()
		}
		p.mu.Lock()
		if len(p.in) != 3*maxAnswers {
			t.Errorf("%d answers", len(p.in))
		}
		p.mu.Unlock()
		w.did("")
		deaf := w.deaf(features())
		w.did("joined")
		for range 2 * maxAnswers {
			if _, err := deaf.conn.Write(unknown); err != nil {
				break
			}
		}
		pass(farewellWait)
		w.did("ending, gone")
	})
}

// [LINK-9] [FRAME-3]: damage inside a message of an actor costs the actor; elsewhere the session.
func TestWhoPaysForDamage(t *testing.T) {
	for name, c := range map[string]struct {
		frame  wire.Frame
		runner string
		host   string
	}{
		"an actor's":             {wire.Frame{Kind: wire.RunnerCommit, Body: []byte{0x08, 1, 0xff}}, "", "a is fenced"},
		"an actor's rare one":    {wire.Frame{Kind: wire.RunnerActorReady, Body: []byte{0x08, 1, 0xff}}, "", "a is fenced"},
		"nobody's":               {wire.Frame{Kind: wire.RunnerCommit, Body: []byte{0x08, 9, 0xff}}, "", ""},
		"an actor's, who knows":  {wire.Frame{Kind: wire.RunnerCommit, Body: []byte{0x10, 7, 0x08, 1, 0xff}}, "goodbye runner.invalid_frame any", "ending, a lost, 0 unwritten, gone"},
		"a Ping's":               {wire.Frame{Kind: wire.RunnerPing, Body: []byte{0x08, 1, 0xff}}, "goodbye runner.invalid_frame any", "ending, a lost, 0 unwritten, gone"},
		"a Fence's":              {wire.Frame{Kind: wire.RunnerFence, Body: []byte{0x08, 1, 0xff}}, "goodbye runner.invalid_frame any", "ending, a lost, 0 unwritten, gone"},
		"what nobody reads":      {wire.Frame{Kind: wire.RunnerStartActor, Body: []byte{0x08, 1, 0xff}}, "unsupported 20", ""},
		"a feature's not chosen": {wire.Frame{Kind: wire.RunnerKvRead, Body: []byte{0x08, 1, 0xff}}, "unsupported 8", ""},
		"a link frame too large": {wire.Frame{Kind: wire.RunnerGoodbye, Body: make([]byte, wire.MaxLinkFrame)}, "goodbye runner.invalid_frame any", "ending, a lost, 0 unwritten, gone"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				p, l := w.join()
				if a := w.bind(l, "a"); a.binding.Ref != 1 {
					t.Fatalf("ref %d", a.binding.Ref)
				}
				p.bytes(wire.AppendMessage(nil, rawMessage{c.frame}))
				p.got(c.runner)
				w.did(c.host)
			})
		})
	}
}

// rawMessage is a frame whose body the test made.
type rawMessage struct{ frame wire.Frame }

func (m rawMessage) Kind() wire.Kind            { return m.frame.Kind }
func (m rawMessage) Size() int                  { return len(m.frame.Body) }
func (m rawMessage) AppendTo(dst []byte) []byte { return append(dst, m.frame.Body...) }

// [LINK-19]
func TestActorsAreOffered(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		p, _ := w.join(wire.FeatureAdopt)
		p.cold(&runnerv1alpha1.Hosted{Actors: make([]*runnerv1alpha1.HostedActor, maxHosted)})
		p.cold(&runnerv1alpha1.Hosted{Last: true})
		w.did("offered 512 false, offered 0 true")
		p.cold(&runnerv1alpha1.Hosted{Actors: make([]*runnerv1alpha1.HostedActor, maxHosted+1)})
		p.got("goodbye runner.invalid_frame any")
		w.did("ending, gone")
	})
	inWorld(t, nil, func(w *world) {
		p, _ := w.join()
		p.cold(&runnerv1alpha1.Hosted{Last: true})
		p.got("unsupported 50")
	})
}

// [LIMIT-5] [LINK-9]: what is being put together is bounded for the whole link; who exceeds it pays.
func TestFramesInPartsAreBounded(t *testing.T) {
	change := func(c *Config) { c.Limits.MaxFrame = 200_000 }
	inWorld(t, change, func(w *world) {
		p, l := w.join()
		a, b, c := w.bind(l, "a"), w.bind(l, "b"), w.bind(l, "c")
		part := func(a *actor, n int, last bool) wire.Message {
			return &wire.Part{Actor: a.binding.Ref, Data: make([]byte, n), Last: last}
		}
		p.send(part(a, 60_000, false), part(a, 60_000, false), part(b, 60_000, false))
		w.did("")
		p.send(part(c, 30_000, false))
		w.did("c is fenced")
		p.send(part(b, 10_000, false), part(b, 20_000, false))
		w.did("b is fenced")
		// What is finished makes room, and so does what was given up.
		whole := wire.AppendMessage(nil, &wire.Commit{Actor: b.binding.Ref, Version: 5, Changes: make([]byte, 70_000)})[wire.HeaderLen:]
		p.send(&wire.Part{Actor: b.binding.Ref, Data: whole[:60_000]}, &wire.Part{Actor: b.binding.Ref, Data: whole[60_000:], Last: true})
		w.did("b 5")
		// Frames that have begun with nothing count too.
		for ref := range uint64(20) {
			p.send(&wire.Part{Actor: 100 + ref, Data: []byte{1}})
		}
		p.send(part(b, 1, false))
		w.did("b is fenced")
	})
	for name, frame := range map[string][]byte{
		"a Part":       wire.AppendMessage(nil, &wire.Part{Actor: 1})[wire.HeaderLen:],
		"a link frame": wire.AppendMessage(nil, ping(1))[wire.HeaderLen:],
		"nothing":      {},
		"nonsense":     {0xff},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				p, l := w.join()
				a := w.bind(l, "a")
				p.send(&wire.Part{Actor: a.binding.Ref, Data: frame, Last: true})
				w.did("a is fenced")
				p.send(&wire.Part{Data: frame, Last: true})
				p.got("goodbye runner.invalid_frame any")
			})
		})
	}
}

// [LINK-10]: and the bound of what waits for a runner.
func TestAFullQueue(t *testing.T) {
	inWorld(t, func(c *Config) { c.Limits.MaxLinkQueue = 100_000 }, func(w *world) {
		p, l := w.join(wire.FeatureResume)
		a := w.bind(l, "a")
		p.cut()
		a.send(1, 50_000, 40_000)
		if l.Full() {
			t.Error("full before the bound")
		}
		a.send(3, 50_000)
		if !l.Full() {
			t.Error("not full beyond the bound")
		}
		w.back(0).got("welcome back, 0, resumed 1, 1, 2, 3")
		if l.Full() {
			t.Error("full, and everything was written")
		}
		w.did("")
	})
}
