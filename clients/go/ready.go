package client

import (
	"slices"
	"time"
)

// enlist notes that the channel has something to write.
func (s *session) enlist(ch *channel) {
	if !ch.queued {
		ch.queued = true
		s.ready.push(ch)
	}
}

// rouse is enlist for those who have nothing more to say.
func (s *session) rouse(ch *channel) {
	s.enlist(ch)
	s.stir()
}

// park sets a channel aside that has something for which there is no room.
func (s *session) park(ch *channel) {
	if !ch.parked {
		ch.parked = true
		s.parked.push(ch)
	}
}

// unpark has the first channel that was parked try again, if there is room. If it leaves some, the next one follows.
func (s *session) unpark() {
	for s.parked.len() > 0 && s.phase == phaseReady && s.hasRoom() {
		ch := s.parked.pop()
		ch.parked = false
		if s.spawn == nil || s.isIdle(ch) {
			s.enlist(ch)
			return
		}
	}
}

// makeRoom is called when there may be room for another call.
func (s *session) makeRoom() {
	if s.parked.len() > 0 {
		s.stir()
	}
}

// stir sees to it that something happens: it wakes the writer, or has a socket opened.
func (s *session) stir() {
	s.unpark()
	switch {
	case s.phase != phaseDown && s.spawn != nil:
		s.dispatch()
	case s.phase != phaseDown:
		select {
		case s.wake <- struct{}{}:
		default:
		}
	case !s.run && !s.closed:
		s.run = true
		s.start()
	}
}

// takeReady takes from one channel after the other, and what goes again of all of them first.
func (s *session) takeReady(b *batch, now time.Time) {
	for i := 0; s.behind && i < s.ready.len(); i++ {
		if !s.takeAgain(s.ready.at(i), b, now) {
			return
		}
	}
	s.behind = false
	for s.ready.len() > 0 {
		ch := s.ready.pop()
		ch.queued = false
		if !s.takeChannel(ch, b, now) {
			s.enlist(ch) // behind the others
			return
		}
	}
}

// takeChannel takes what the channel has to write. false: the rest has to wait for the next batch.
func (s *session) takeChannel(ch *channel, b *batch, now time.Time) bool {
	if !s.takeAgain(ch, b, now) || !s.takeControl(ch, b) || !s.takeCalls(ch, b, now) {
		if s.phase != phaseHello {
			return false
		}
		s.park(ch) // nothing that is so long goes before Welcome
	}
	if ch.number == 0 && ch.control.len() == 0 {
		s.replies = 0
	}
	s.unpark()
	return true
}

// clearReady forgets who has something to write, at the end of a socket.
func (s *session) clearReady() {
	for _, ch := range slices.Concat(s.ready.take(), s.parked.take()) {
		ch.queued, ch.parked = false, false
	}
}
