package api

import (
	"context"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Finish implements session.Socket.
func (s *streamed) Finish(farewell []byte, e *wire.Error) { s.end(farewell, e, false) }

// Cut implements session.Socket.
func (s *streamed) Cut(farewell []byte, e *wire.Error) { s.end(farewell, e, true) }

// partingWait is how long a client may take to close the session that it was told the end of.
const partingWait = 250 * time.Millisecond

// end sends the farewell behind what is queued, and closes the session when the client has had the time to read it.
func (s *streamed) end(farewell []byte, e *wire.Error, forget bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return
	}
	s.closing = true
	lanes := make([]*lane, 0, len(s.lanes))
	for l := range s.lanes {
		switch {
		case l == s.control && forget:
			l.out.cut(farewell)
		case l == s.control:
			l.out.finish(farewell)
		case forget:
			l.Reset()
		default:
			l.Close()
		}
		lanes = append(lanes, l)
	}
	told := s.control != nil && len(farewell) > 0
	s.ending.Go(func() {
		s.written(lanes)
		if told {
			parting, cancel := context.WithTimeout(s.conn.Context(), partingWait)
			defer cancel()
			<-parting.Done()
		}
		code, reason := closeCode(e)
		s.conn.CloseWithError(uint32(code), reason)
	})
}

// written waits until the streams have written all, or farewellWait has ended them. No longer: to whoever resets a stream as if
// the session were gone, the library writes until it is.
func (s *streamed) written(lanes []*lane) {
	all := make(chan struct{})
	s.ending.Go(func() {
		defer close(all)
		for _, l := range lanes {
			l.out.wait()
		}
	})
	late := time.NewTimer(farewellWait + partingWait)
	defer late.Stop()
	select {
	case <-all:
	case <-late.C:
	}
}
