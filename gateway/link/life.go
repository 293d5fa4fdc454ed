package link

import (
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

const (
	anywhere = commonv1alpha1.Reconnect_RECONNECT_ANY
	back     = commonv1alpha1.Reconnect_RECONNECT_SAME
)

// closeOn is Close, unless on is a socket that the link has left.
func (l *Link) closeOn(on *Conn, e *wire.Error, reconnect commonv1alpha1.Reconnect) {
	l.mu.Lock()
	c := l.conn
	if l.life != running || on != nil && on != c {
		l.mu.Unlock()
		return
	}
	l.deliberate = true
	if l.life = closing; c == nil {
		l.life = over
	}
	l.mu.Unlock()
	if c == nil {
		go l.end() // Links waits for it; the caller may hold the lock of an actor that is to be told
		return
	}
	c.finish(goodbye(e, reconnect))
}

// farewell takes the runner's Goodbye: the session is over with this socket [LINK-6].
func (l *Link) farewell(c *Conn, m *commonv1alpha1.Goodbye) error {
	l.cfg.Logger.Info("runner says goodbye", "peer", c.socket.Peer(), "code", m.GetCode(), "message", m.GetMessage())
	l.mu.Lock()
	if l.conn == c && l.life == running {
		l.life, l.deliberate = closing, true
	}
	l.mu.Unlock()
	c.finish(nil)
	return errEnough
}

// leave takes a socket away that has ended. With resume the link waits for another one [LINK-16].
func (l *Link) leave(c *Conn) {
	l.mu.Lock()
	if l.conn != c {
		l.mu.Unlock()
		return
	}
	l.conn = nil
	l.state.Detach()
	if l.life == running && l.resume {
		l.expires = time.Now().Add(l.cfg.ResumeWait)
		l.expiry.Reset(l.cfg.ResumeWait)
		l.mu.Unlock()
		l.cfg.Logger.Info("runner socket ended; its session waits", "peer", c.socket.Peer(), "for", l.cfg.ResumeWait)
		return
	}
	l.life = over
	l.mu.Unlock()
	l.end()
}

// expire loses the session of a runner that did not come back [LINK-17].
func (l *Link) expire() {
	l.mu.Lock()
	if l.conn != nil || l.life != running || time.Now().Before(l.expires) {
		l.mu.Unlock()
		return
	}
	l.life = over
	l.mu.Unlock()
	l.end()
}

// absentWeight is what a link holds that waits for a socket.
func (l *Link) absentWeight() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil || l.life != running {
		return 0
	}
	return l.charged + int(l.parts.held.Load())
}

// giveUp loses the session of a runner that is away, for the memory that it holds.
func (l *Link) giveUp() (freed int) {
	freed = l.absentWeight()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil || l.life != running {
		return 0
	}
	l.life = over
	l.free()
	l.cfg.Stats.Limit(stats.MaxMemory)
	l.cfg.Logger.Warn("a runner's session is given up for its memory", "peer", l.peer, "bytes", freed)
	go l.end() // Links waits for it
	return freed
}

// free tells the budget that nothing is held any more. Called with Link.mu held.
func (l *Link) free() {
	l.cfg.Budget.Add(-l.charged)
	l.charged = 0
	l.parts.free()
}

// end tells everybody that the session is over. Whoever has set life to over calls it, once.
func (l *Link) end() {
	l.reading.Lock() // nobody handles a frame any more
	defer l.reading.Unlock()
	l.mu.Lock()
	l.expiry.Stop()
	l.acks.timer.Stop()
	lost := make([]*Binding, 0, len(l.actors))
	for _, b := range l.actors {
		lost = append(lost, b)
	}
	clear(l.actors)
	clear(l.parts.open)
	deliberate := l.deliberate
	l.free()
	l.mu.Unlock()
	l.cfg.Host.Ending(l) // before its actors look for another place
	for _, b := range lost {
		b.actor.Lost(l.unwritten(b))
	}
	l.cfg.Stats.Links.Add(-1)
	if !deliberate {
		l.cfg.Stats.LinksLost.Inc()
	}
	l.cfg.Host.Gone(l)
	l.cfg.Links.leave(l)
}

func (l *Link) unwritten(b *Binding) []wire.Frame {
	var frames []wire.Frame
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.Drop(&b.lane, func(f wire.Frame) { frames = append(frames, f) })
	return frames
}
