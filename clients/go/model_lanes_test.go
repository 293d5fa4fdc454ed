package client

import (
	"slices"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// The model's part that is about lanes: SESS-19 and SESS-20 as the spec has them.

// way is where frames of the channel go now; false: nowhere.
func (g *modelGateway) way(ch *modelChannel) (*lane, bool) {
	switch {
	case !g.greeted:
		return nil, false
	case !g.lanes || ch.number == 0:
		return g.zero, true
	}
	return ch.lane, ch.lane != nil
}

// expectLane checks that a counted frame came where it belongs.
func (g *modelGateway) expectLane(ch *modelChannel, l *lane, m any) {
	if _, opens := m.(*clientv1alpha1.ConnectionOpen); opens {
		ch.lane = l
	}
	if g.lanes && (ch.number == 0) != (l == g.zero) || g.lanes && ch.number != 0 && ch.lane != l {
		g.t.Fatalf("%T of channel %d came on the stream of channel %d", m, ch.number, l.channel.number)
	}
}

// rejoin has a channel go on on another lane.
func (g *modelGateway) rejoin(l *lane, m *clientv1alpha1.ConnectionResume) {
	n := m.GetConnection()
	ch := g.session.channels[n]
	if !g.lanes || g.session.forgotten[n] || l == g.zero {
		g.t.Fatalf("a resume of channel %d", n)
	}
	answer := &clientv1alpha1.ConnectionResumed{Connection: n}
	if ch == nil { // its open is to follow
		g.out[l] = append(g.out[l], encoded(answer))
		return
	}
	if m.GetFrames() != ch.delivered {
		g.t.Fatalf("the client has %d frames of channel %d, %d were delivered", m.GetFrames(), n, ch.delivered)
	}
	ch.lane, answer.Frames = l, ch.received
	g.acknowledged(ch, m.GetFrames())
	g.out[l] = append(g.out[l], encoded(answer))
	g.replay(ch, m.GetFrames())
}

// loseLane: a lane is gone.
func (g *modelGateway) loseLane(l *lane) {
	delete(g.out, l)
	if g.session == nil {
		return
	}
	for _, ch := range g.session.channels {
		if ch.lane == l {
			ch.lane = nil
		}
	}
}

// leave: the client has ended its side of a lane.
func (g *modelGateway) leave(l *lane) {
	for _, ch := range g.session.channels {
		if ch.lane != l {
			continue
		}
		if !ch.ended {
			g.t.Fatalf("the client left connection %d by the end of its stream", ch.number)
		}
		ch.left = true
		g.ack(ch)
		g.release(ch)
	}
}

// release forgets a channel of which all is said.
func (g *modelGateway) release(ch *modelChannel) {
	if ch.ended && len(ch.kept) == 0 && (ch.left || ch.lane == nil) {
		g.forget(ch.number)
	}
}

// spawn is the session's: it gives a lane a writer.
func (w *world) spawn(l *lane) { w.spawned <- l }

// admit takes in the writers that were spawned.
func (w *world) admit() {
	for len(w.spawned) > 0 {
		l := <-w.spawned
		w.writers = append(w.writers, l)
		if !slices.Contains(w.lanes, l) {
			w.lanes = append(w.lanes, l)
		}
	}
}

// writeLane has one of the writers write.
func (w *world) writeLane() bool {
	w.admit()
	if len(w.writers) == 0 {
		return false
	}
	i := w.rnd.IntN(len(w.writers))
	l := w.writers[i]
	b := &batch{}
	some, over := w.s.takeLane(l, b, w.now())
	if some {
		w.wire[l] = append(w.wire[l], b.buf)
		w.s.wrote(b)
		return true
	}
	w.writers = slices.Delete(w.writers, i, i+1)
	if over {
		w.wire[l] = append(w.wire[l], nil) // the end of our side
	}
	return true
}

// breakOff takes what the writer of a lane is writing, of which the gateway may get nothing, or all.
func (w *world) breakOff(l *lane) rest {
	r := rest{lane: l, batch: &batch{}}
	i := slices.Index(w.writers, l)
	if i < 0 {
		return r
	}
	w.writers = slices.Delete(w.writers, i, i+1)
	if some, _ := w.s.takeLane(l, r.batch, w.now()); some {
		if r.wrote = w.rnd.IntN(len(r.batch.buf) + 1); w.rnd.IntN(2) == 0 {
			w.wire[l] = append(w.wire[l], r.batch.buf)
			r.wrote = len(r.batch.buf)
		}
	}
	return r
}

// cutLane loses a lane, but not one of a channel that would be given up for it, where nothing may get lost.
func (w *world) cutLane() {
	w.admit()
	if len(w.lanes) == 0 {
		return
	}
	i := w.rnd.IntN(len(w.lanes))
	l := w.lanes[i]
	ch := l.channel
	if ch.number == 0 || ch.lane != l || ch.ended || !w.harsh && ch.losses >= maxLosses-1 {
		return
	}
	w.lanes = slices.Delete(w.lanes, i, i+1)
	r := w.breakOff(l)
	for range w.rnd.IntN(len(w.wire[l]) + 1) {
		w.arriveOn(l)
	}
	delete(w.wire, l)
	w.gw.loseLane(l)
	if !w.s.loseLane(l, errCut, r, w.now()) {
		w.t.Error("a lane was lost before")
	}
	if w.gw.session == nil {
		return
	}
	if theirs := w.gw.session.channels[ch.number]; theirs != nil && w.s.channels[ch.number] == nil {
		theirs.givenUp = true
	}
}

// arriveOn takes the next batch of a lane to the gateway, for which lanes of connections wait until Hello has come.
func (w *world) arriveOn(l *lane) bool {
	if len(w.wire[l]) == 0 || !w.gw.greeted && l != nil && l.channel.number != 0 {
		return false
	}
	data := w.wire[l][0]
	w.wire[l] = w.wire[l][1:]
	if data == nil {
		w.gw.leave(l)
	} else {
		w.gw.receive(l, data)
	}
	return true
}

// isCountedFrame tells whether the client counts it.
func isCountedFrame(data []byte) (wire.Kind, bool) {
	raw, _, _ := wire.NextFrame(data, 1<<20)
	f, _ := wire.ParseFrame(raw)
	return f.Kind, isCounted(f.Kind)
}
