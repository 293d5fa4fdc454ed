package session

import (
	"maps"
	"slices"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// resume is what a session that was given resume has for it; guarded by Session.mu.
type resume struct {
	token  string // of the next resume
	taken  string // that the last one brought; good until the client shows that it has the next [SESS-16]
	away   bool   // without socket, and Sessions counts it
	times  int    // how often it has been away
	expiry *time.Timer
	replay []*channel  // that the present socket has not got all of, in the order of their turns
	strays *time.Timer // looks for channels without stream; nil: there were none lately
}

// detachLocked takes the socket away. A session that can be resumed goes on without one for a while [SESS-15]; one that
// cannot ends when the socket has told so.
func (s *Session) detachLocked() {
	s.socket.gone.Store(true)
	s.leaveStreams()
	s.socket = nil
	if !s.resumable {
		return
	}
	s.endReplay()
	s.resume.away = true
	s.resume.times++
	times := s.resume.times
	s.resume.expiry = time.AfterFunc(s.cfg.ResumeWait, func() { s.expire(times) })
	if !s.sessions.away(1) {
		s.sessions.later(func() { s.end() })
	}
}

// confirm notes that the client has read the last Welcome: the token which that has taken is void [SESS-16].
func (s *Session) confirm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.sessions.void(s.resume.taken)
		s.resume.taken = ""
	}
}

// detached tells the session that a socket has ended.
func (s *Session) detached(a *Attachment) {
	if !s.resumable {
		s.end()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket == a {
		s.detachLocked()
	}
}

// expire ends the session if nobody came back for it.
func (s *Session) expire(times int) {
	s.mu.Lock()
	back := !s.resume.away || s.resume.times != times
	s.mu.Unlock()
	if !back {
		s.end()
	}
}

// returned undoes what being away has arranged.
func (s *Session) returned() {
	if s.resume.away {
		s.resume.away = false
		s.resume.expiry.Stop()
		s.sessions.away(-1)
	}
}

// goOn attaches the session to another socket, if the token is good, and the counts are possible. It holds Session.reading
// when it returns true. The session of another principal is not harmed; one whose client has lost count is over.
func (s *Session) goOn(a *Attachment, p auth.Principal, token string, list []*clientv1alpha1.Received) bool {
	s.reading.Lock()
	s.mu.Lock()
	known := !s.over && (token == s.resume.token || token == s.resume.taken) && p == s.principal
	if !known || !s.possible(list) {
		s.mu.Unlock()
		s.reading.Unlock()
		if known {
			s.close(wire.SessionSuperseded.New(), commonv1alpha1.Reconnect_RECONNECT_NEVER)
		}
		return false
	}
	defer s.mu.Unlock()
	if old := s.socket; old != nil {
		e := wire.SessionSuperseded.New()
		old.gone.Store(true)
		old.out.Cut(goodbye(s.form, e, commonv1alpha1.Reconnect_RECONNECT_NEVER), e)
	}
	s.returned()
	s.leaveStreams()
	s.endReplay()
	s.socket = a
	a.session.Store(s)
	s.sessions.renew(s, token)
	s.tell(list)
	s.pump()
	return true
}

// possible tells whether the client can have received that: each channel that the session still has, once, no less than it
// has acknowledged and no more than was sent, and all of what is not kept of channel 0. Channels that the session has
// not are ended, and the end acknowledged, or were opened by frames that did not come.
func (s *Session) possible(list []*clientv1alpha1.Received) bool {
	if len(list) > maxListed(&s.cfg.Limits) || s.own.lost {
		return false
	}
	seen := map[uint64]bool{}
	for _, r := range list {
		n, frames := r.GetConnection(), r.GetFrames()
		ch := s.channel(n)
		switch {
		case seen[n], ch == nil && n > s.numbers.highest && frames > 0:
			return false
		case ch != nil && (frames < ch.acked || frames > ch.sent):
			return false
		case n == 0 && frames+1 < ch.first():
			return false
		}
		seen[n] = true
	}
	if !seen[0] && s.own.first() > 1 {
		return false
	}
	for n, ch := range s.channels {
		if !seen[n] && !ch.ended {
			return false
		}
	}
	return true
}

// tell drops what the client has, answers Welcome, and prepares what the client lacks.
func (s *Session) tell(list []*clientv1alpha1.Received) {
	has := make(map[uint64]uint64, len(list))
	for _, r := range list {
		has[r.GetConnection()] = r.GetFrames()
	}
	w := s.welcome()
	w.Resumed = true
	var lost []*channel
	for _, n := range append([]uint64{0}, slices.Sorted(maps.Keys(s.channels))...) {
		ch := s.channel(n)
		frames, listed := has[n]
		if !listed && n != 0 {
			s.remove(ch) // the client has forgotten it, so it has the end
			continue
		}
		s.forget(ch, frames)
		ch.told = ch.received
		w.Received = append(w.Received, &clientv1alpha1.Received{Connection: n, Frames: ch.received.frames})
		if n != 0 && s.socket.streams != nil {
			s.stray(ch) // its stream brings the rest
			continue
		}
		switch {
		case ch.lost, frames+1 < ch.first(): // the oldest went, before or after the socket did
			lost = append(lost, ch)
		case ch.kept.frames > 0:
			ch.kept.rewind()
			s.replayLater(ch)
		}
	}
	s.sendLocked(nil, w)
	for _, ch := range lost {
		s.giveUp(ch, has[ch.number])
	}
}

// giveUp ends a channel of which the client has the first frames, and what follows is not kept.
func (s *Session) giveUp(ch *channel, has uint64) {
	if !ch.lost {
		s.free(ch)
		s.abandon(ch)
	}
	s.endLost(ch, has)
}

// replayLater gives the channel a turn with the present socket.
func (s *Session) replayLater(ch *channel) {
	if !ch.queued {
		ch.queued = true
		s.resume.replay = append(s.resume.replay, ch)
		s.socket.behind.Store(true)
	}
}

func (s *Session) endReplay() {
	for _, ch := range s.resume.replay {
		ch.queued = false
	}
	s.resume.replay = nil
}

// pumpBacklog is how much a socket may have queued to be given more of what is kept.
const pumpBacklog = 64 << 10

// pump gives the socket what it has not got, channel by channel, before anything new [SESS-15]. What is more than the
// socket takes at once follows when it has written that. Streams of their own do not wait for each other.
func (s *Session) pump() {
	for i := 0; i < len(s.resume.replay); {
		ch := s.resume.replay[i]
		more := s.giveKept(ch)
		switch {
		case s.socket == nil:
			return
		case !more && ch.queued:
			s.unqueue(ch)
			if ch.ended && ch.stream != nil {
				ch.stream.Close()
			}
		case more && s.socket.streams == nil:
			return
		case more:
			i++
		}
	}
	if len(s.resume.replay) > 0 || s.socket == nil {
		return
	}
	s.resume.replay = nil
	s.socket.behind.Store(false)
}

// giveKept gives the socket what it takes now of a channel. more: there is some left for later.
func (s *Session) giveKept(ch *channel) (more bool) {
	to := s.lane(ch)
	for ch.kept.owed > 0 {
		backlog := to.Backlog()
		if backlog >= pumpBacklog {
			return true
		}
		if !ch.kept.give(to.Send) {
			if backlog == 0 { // else there is room for it later
				s.refused(ch)
			}
			return ch.queued
		}
	}
	return false
}

// unqueue takes the channel's turn from it.
func (s *Session) unqueue(ch *channel) {
	if i := slices.Index(s.resume.replay, ch); i >= 0 {
		s.resume.replay = slices.Delete(s.resume.replay, i, i+1)
	}
	ch.queued = false
}
