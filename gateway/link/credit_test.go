package link

import (
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// small windows: 1000 for an actor, 1500 for the link.
func small(c *Config) { c.Limits.EventWindow, c.Limits.LinkWindow = 1000, 1500 }

// [LINK-18] [LINK-9]: an event beyond the credit costs its actor, and nobody else.
func TestAnOverdrawCostsItsActor(t *testing.T) {
	inWorld(t, small, func(w *world) {
		p, l := w.join(wire.FeatureCredit)
		a, b := w.bind(l, "a"), w.bind(l, "b")
		a.keeps, b.keeps = true, true
		p.send(a.event(600), a.event(400))
		w.did("a event, a event")
		p.send(a.event(64))
		w.did("a is fenced")
		l.Unbind(a.binding)
		p.got("credit 0 2564")
		// b has its own window, and the whole of the link's again.
		p.send(b.event(500), b.event(500))
		w.did("b event, b event")
		p.got("")
		c := w.bind(l, "c")
		c.keeps = true
		p.send(c.event(500), c.event(64)) // the link's window is used up by the second
		w.did("c event, c is fenced")
		p.open()
	})
}

// [LINK-18]: the offsets rise as events leave, by halves of a window.
func TestCreditRisesAsEventsLeave(t *testing.T) {
	inWorld(t, small, func(w *world) {
		p, l := w.join(wire.FeatureCredit)
		a := w.bind(l, "a")
		// What the actor does not keep has left.
		p.send(a.event(499))
		p.got("")
		p.send(a.event(100))
		p.got("credit 1 1599")
		p.send(a.event(200))
		p.got("credit 0 2299")
		w.did("a event, a event, a event")
		// What it keeps leaves later.
		a.keeps = true
		p.send(a.event(250), a.event(250))
		p.got("")
		l.Release(a.binding, <-a.costs)
		p.got("")
		l.Release(a.binding, <-a.costs)
		p.got("credit 1 2299")
		// More than is held is not given back.
		l.Release(a.binding, 1<<60)
		p.got("")
		w.did("a event, a event")
		p.send(a.event(1000))
		w.did("a event")
		l.Unbind(a.binding)
		p.got("credit 0 3799")
		l.Release(a.binding, <-a.costs)
		p.got("")
	})
}

// [LINK-18]: an event to a ref that nobody holds has left, also as Parts.
func TestEventsForNobodyCostNothing(t *testing.T) {
	inWorld(t, func(c *Config) { c.Limits.LinkWindow = 1 << 20 }, func(w *world) {
		p, l := w.join(wire.FeatureCredit)
		a := w.bind(l, "a")
		l.Unbind(a.binding)
		for range 8 {
			p.send(a.event(100_000))
		}
		p.got("credit 0 1648576") // 2^20 + 600,000
		frame := wire.AppendMessage(nil, a.event(300_000))[wire.HeaderLen:]
		for len(frame) > 0 {
			n := min(len(frame), 60_000)
			p.send(&wire.Part{Actor: a.binding.Ref, Data: frame[:n], Last: n == len(frame)})
			frame = frame[n:]
		}
		p.send(a.event(100_000))
		p.got("credit 0 2248576")
		w.did("")
	})
}

// [LINK-18] [LINK-9]: what a breach has cost of the link's window comes back with the next half of it, so that the neighbours
// of fenced actors are not throttled for ever: a runner has spent what it sent.
func TestABreachCostsTheLinkNoCredit(t *testing.T) {
	for name, breach := range map[string]func(w *world, p *peer, a *actor){
		"a name that is not UTF-8": func(w *world, p *peer, a *actor) {
			p.send(&wire.Emit{Actor: a.binding.Ref, Event: []byte{0xff}, Args: make([]byte, 800-64-1)})
			w.did("a is fenced")
		},
		"damage behind the arguments": func(w *world, p *peer, a *actor) {
			body := (&wire.Emit{Actor: a.binding.Ref, Args: make([]byte, 800-64)}).AppendTo(nil)
			p.bytes(envelope(wire.RunnerEmit, append(body, 0x28, 0xff)))
			w.did("a is fenced")
		},
		"more than the actor's credit": func(w *world, p *peer, a *actor) {
			a.keeps = true
			p.send(a.event(500), a.event(200), a.event(400))
			w.did("a event, a event, a is fenced")
		},
		"more than the link's credit": func(w *world, p *peer, a *actor) {
			p.send(a.event(1501))
			w.did("a is fenced")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, small, func(w *world) {
				p, l := w.join(wire.FeatureCredit)
				a := w.bind(l, "a")
				breach(w, p, a)
				l.Unbind(a.binding)
				spent := map[string]int{"more than the actor's credit": 1100, "more than the link's credit": 1501}[name]
				if spent == 0 {
					spent = 800
				}
				p.got(fmt.Sprint("credit 0 ", spent+1500))
			})
		})
	}
}

// [LINK-18]: what a socket has lost of the credit the next one says again.
func TestCreditIsRepeated(t *testing.T) {
	inWorld(t, small, func(w *world) {
		p, l := w.join(wire.FeatureCredit, wire.FeatureResume)
		a, b := w.bind(l, "a"), w.bind(l, "b")
		a.keeps = true
		p.send(a.event(800), b.event(100))
		w.did("a event, b event")
		p.cut()
		l.Release(a.binding, <-a.costs) // while nobody is there
		p = w.back(0)
		p.got("welcome back, 2, resumed 1, credit 0 2400, credit 1 1800")
		p.send(resumed(3), a.event(1000))
		w.did("a event")
	})
}

// [LINK-18]: without the feature there is no credit.
func TestWithoutCreditNothingIsCounted(t *testing.T) {
	inWorld(t, small, func(w *world) {
		p, l := w.join()
		a := w.bind(l, "a")
		a.keeps = true
		p.send(a.event(5000), a.event(5000))
		w.did("a event, a event")
		l.Release(a.binding, <-a.costs)
		l.Unbind(a.binding)
		p.got("")
	})
}

// [LINK-18]: a socket that takes over while an event is being delivered does not cost its credit.
func TestCreditOutlivesATakeover(t *testing.T) {
	inWorld(t, small, func(w *world) {
		p, l := w.join(wire.FeatureCredit, wire.FeatureResume)
		a := w.bind(l, "a")
		entered, release := make(chan struct{}), make(chan struct{})
		a.inside = func() { close(entered); <-release }
		go func() { _, _ = p.conn.Write(wire.AppendMessage(nil, a.event(1000))) }()
		<-entered
		second := w.back(0)
		close(release)
		synctest.Wait()
		second.got("welcome back, 1, resumed 1, credit 1 2000, credit 0 2500")
		w.did("a event")
	})
}

// envelope is a frame around any body.
func envelope(kind wire.Kind, body []byte) []byte {
	inner := binary.AppendUvarint(nil, uint64(kind)<<3|2)
	inner = append(binary.AppendUvarint(inner, uint64(len(body))), body...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(inner))), inner...)
}
