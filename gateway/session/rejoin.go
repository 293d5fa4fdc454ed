package session

import (
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// rejoin gives a channel another stream, and that what the client lacks [SESS-20].
func (s *Session) rejoin(b *Branch, m *clientv1alpha1.ConnectionResume) *wire.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, frames := m.GetConnection(), m.GetFrames()
	ch := s.channels[n]
	switch {
	case !s.resumable || s.socket != b.of || ch == nil && !s.numbers.free(n):
		return wire.ConnectionNotFound.Newf("The session has no connection %d to go on with.", n)
	case ch == nil && frames > 0, ch != nil && (frames < ch.acked || frames > ch.sent):
		return wire.RequestInvalid.Newf("Connection %d cannot have received %d frames.", n, frames)
	case ch == nil:
		s.await(b, n)
		return nil
	}
	if ch.stream != nil {
		ch.stream.Reset()
	}
	s.unqueue(ch)
	ch.stream, ch.left, ch.strayed, b.ch = b.out, false, time.Time{}, ch
	s.forget(ch, frames)
	ch.told = ch.received
	resumed := &clientv1alpha1.ConnectionResumed{Connection: n, Frames: ch.received.frames}
	if !b.out.Send(s.form.append(nil, resumed)) {
		s.refused(ch)
		return nil
	}
	switch {
	case ch.lost, frames+1 < ch.first():
		s.giveUp(ch, frames)
	case ch.kept.frames > 0:
		ch.kept.rewind()
		s.replayLater(ch)
		s.pump()
	case ch.ended:
		ch.stream.Close()
	}
	return nil
}

// await has a stream bring the open of a connection that a lost one did not bring.
func (s *Session) await(b *Branch, n uint64) {
	if s.awaited == nil {
		s.awaited = map[uint64]*Branch{}
	}
	s.awaited[n], b.awaited = b, n
	b.out.Send(s.form.append(nil, &clientv1alpha1.ConnectionResumed{Connection: n}))
}

// expected tells whether a connection may be opened by that stream: not if another was promised it.
func (s *Session) expected(b *Branch, n uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	other := s.awaited[n]
	s.unawait(b)
	return other == nil || other == b
}

// unawait forgets what was promised a stream.
func (s *Session) unawait(b *Branch) {
	if s.awaited[b.awaited] == b {
		delete(s.awaited, b.awaited)
	}
}

// strand takes a lost stream from its channel. Without resume the connection ends with it.
func (s *Session) strand(ch *channel) {
	ch.stream.Reset()
	ch.stream = nil
	s.unqueue(ch)
	if s.resumable {
		s.stray(ch)
		s.release(ch)
		return
	}
	if !ch.ended {
		conn := ch.conn
		s.sessions.later(func() { conn.Close(wire.ConnectionClosed.New()) })
	}
}

// leaveStreams takes leave of a socket's streams, which end with it.
func (s *Session) leaveStreams() {
	if s.socket == nil || s.socket.streams == nil {
		return
	}
	s.awaited = nil
	for _, ch := range s.channels {
		ch.stream, ch.left = nil, false
	}
	if s.resume.strays != nil {
		s.resume.strays.Stop()
		s.resume.strays = nil
	}
}

// stray notes that the channel waits for a stream.
func (s *Session) stray(ch *channel) {
	ch.strayed = time.Now()
	if s.resume.strays == nil {
		s.resume.strays = time.AfterFunc(s.cfg.ResumeWait, s.endStrays)
	}
}

// endStrays ends the channels whose clients have not brought a stream for resume_ms, and waits for the others.
func (s *Session) endStrays() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.socket == nil || s.socket.streams == nil {
		return
	}
	s.resume.strays = nil
	var next time.Duration
	for _, ch := range s.channels {
		if ch.stream != nil || ch.lost || ch.strayed.IsZero() {
			continue
		}
		rest := s.cfg.ResumeWait - time.Since(ch.strayed)
		if rest <= 0 {
			s.lose(ch)
			continue
		}
		if next == 0 || rest < next {
			next = rest
		}
	}
	if next > 0 {
		s.resume.strays = time.AfterFunc(next, s.endStrays)
	}
}
