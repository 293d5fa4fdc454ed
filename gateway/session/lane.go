package session

// lane is what takes the frames of a channel.
type lane interface {
	Send(message []byte) bool
	Backlog() int
}

// lane is where frames of a channel go now; nil: nowhere.
func (s *Session) lane(ch *channel) lane {
	switch {
	case s.socket == nil:
		return nil
	case ch == nil || ch == &s.own || s.socket.streams == nil:
		return s.socket.out
	case ch.stream == nil:
		return nil
	}
	return ch.stream
}

// due tells whether the present socket is to have a channel's next frame at once: it has all that goes before it.
func (s *Session) due(ch *channel) bool {
	switch {
	case s.lane(ch) == nil:
		return false
	case s.socket.streams == nil:
		return len(s.resume.replay) == 0
	}
	return !ch.queued
}

// queued is what the socket has not written.
func (a *Attachment) queued() int {
	if a.streams != nil {
		return a.streams.Queued()
	}
	return a.out.Backlog()
}
