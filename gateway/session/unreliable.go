package session

import (
	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// maxUnread is how much a client may have to read to be sent an unreliable event [CONN-11].
const maxUnread = 64 << 10

// unreliable delivers an event, or drops it.
func (ch *channel) unreliable(e *fanout.Event) {
	s := ch.session
	var form fanout.Form = s.form
	if s.loose {
		form = looseForm{s.form}
	}
	frame := e.Frame(form, ch.number)
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.lane(ch)
	if ch.ended || s.over || len(frame.Bytes) == 0 {
		return
	}
	if to == nil || ch.queued || to.Backlog() > maxUnread {
		s.cfg.Stats.UnreliableDropped.Inc()
		return
	}
	switch {
	case !s.loose:
		s.pass(ch, frame.Bytes, frame)
	case s.socket.streams != nil:
		s.socket.streams.Datagram(frame.Bytes[wire.HeaderLen:])
	default:
		s.pass(nil, frame.Bytes, nil)
	}
}

// looseForm writes events as unreliable ones.
type looseForm struct{ Form }

// AppendEvent implements fanout.Form.
func (f looseForm) AppendEvent(dst []byte, connection uint64, e *fanout.Event) []byte {
	return f.appendLoose(dst, connection, e)
}
