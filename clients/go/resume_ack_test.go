package client

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Frames are acknowledged within 64, or 256 KiB, of a channel; fewer go along with what is written anyway, if they are
// worth it, and are no reason to write. [SESS-14].
func TestWhenFramesAreAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c, conn, p := attached(t, g, nil)
		for range ackFrames - 2 {
			p.send(event(1, "n"))
		}
		p.noAck()
		p.send(event(1, "n"))
		p.wantAck(1, ackFrames)
		p.send(event(1, "n", make([]byte, ackBytes-100)))
		p.noAck()
		p.send(event(1, "n", make([]byte, 100)))
		p.wantAck(1, ackFrames+2)

		noError(t, conn.Send(t.Context(), "f"))
		next1[*wire.ClientCall](p)
		for range alongFrames {
			p.send(event(1, "n"), &commonv1alpha1.Unsupported{}) // two channels
		}
		p.noAck()
		noError(t, c.Get("a", nil).Send(t.Context(), "f"))
		next1[*wire.ClientCall](p)
		p.wantAck(0, alongFrames, 1, ackFrames+2+alongFrames)
		noError(t, conn.Send(t.Context(), "f"))
		next1[*wire.ClientCall](p)
		p.noAck()
	})
}

// Pings and the like are not counted, what is not known is, on channel 0, like the answer to it. [SESS-12].
func TestWhatIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		_, _, p := attached(t, g, nil)
		p.send(&commonv1alpha1.Ping{}, &clientv1alpha1.Pong{}, &clientv1alpha1.Ack{}, &clientv1alpha1.Welcome{})
		next1[*clientv1alpha1.Pong](p)
		p.send(&clientv1alpha1.ProtocolError{}, &commonv1alpha1.Unsupported{}, event(7, "n"), unknownKind{})
		expectUnsupported(t, p, 90)
		p.drop()
		p = g.resumes("t1", 0, 4, 1, 1)
		p.send(resumed("t2", 0, 0, 1, 1))
		expectUnsupported(t, p, 90)
	})
}

// unknownKind is a message that no client knows.
type unknownKind struct{}

func (unknownKind) Kind() wire.Kind            { return 90 }
func (unknownKind) Size() int                  { return 0 }
func (unknownKind) AppendTo(dst []byte) []byte { return dst }

// An answer to a call says that the call has arrived, and what was sent before it: it need not be acknowledged.
func TestAnswersRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c, conn, p := attached(t, g, nil)
		synctest.Wait()
		if n := c.session.kept; n != 0 {
			t.Errorf("%d bytes are kept of an answered open", n)
		}
		conn.On("x", func(Event) {})
		expectSubscribe(t, p, 1, "x")
		synctest.Wait()
		if n := c.session.kept; n != 0 {
			t.Errorf("%d bytes are kept of an answered subscription", n)
		}
		noError(t, conn.Send(t.Context(), "f"))
		next1[*wire.ClientCall](p)
		first, second := increment(t.Context(), conn), increment(t.Context(), conn)
		next1[*wire.ClientCall](p)
		p.send(result(next1[*wire.ClientCall](p), 1)) // of the second written: so the first has arrived, too
		select {
		case err := <-first:
			noError(t, err)
		case err := <-second:
			noError(t, err)
		}
		synctest.Wait()
		if n := c.session.kept; n != 0 {
			t.Errorf("%d bytes are kept of what has arrived", n)
		}
		p.drop()
		p = g.resumes("t1", 0, 0, 1, 3)
		p.send(resumed("t2", 0, 0, 1, 5))
		p.silent()

		ctx, cancel := context.WithCancel(t.Context())
		canceled := increment(ctx, conn)
		call := next1[*wire.ClientCall](p)
		cancel()
		if err := <-canceled; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		next1[*clientv1alpha1.CancelCall](p)
		p.send(result(call, 1)) // it crossed the CancelCall, which may be on its way still
		synctest.Wait()
		if n := c.session.channels[1].kept.len(); n != 1 {
			t.Errorf("%d frames are kept behind an answer that nobody waits for, not the CancelCall alone", n)
		}
		p.drop()
	})
}

// A gateway that does not acknowledge makes calls wait, then has them refused; an Ack lets them go on. [SESS-14].
func TestWhatIsKeptIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		const size, queue = 100 << 10, 1 << 20
		c := g.client(Options{MaxQueued: queue})
		h := c.Get("a", nil)
		var outcomes []<-chan error
		send := func() {
			outcomes = append(outcomes, background(func() error { return h.Send(t.Context(), "f", make([]byte, size)) }))
			synctest.Wait()
		}
		send()
		p := g.grants("t1")
		g.done.Go(func() {
			for range p.got { // it reads, and says nothing
			}
		})
		synctest.Wait()
		sent := 0
		for ; len(outcomes[sent]) > 0; sent++ {
			noError(t, <-outcomes[sent])
			send()
		}
		if kept := c.session.kept; kept < idleKept+queue/2 || kept > idleKept+queue/2+size+2*callOverhead {
			t.Errorf("%d bytes are kept", kept)
		}
		for len(outcomes[len(outcomes)-1]) == 0 {
			send()
		}
		wantError(t, <-outcomes[len(outcomes)-1], CodeSessionTooManyCalls, RanNo)
		if n := c.session.waiting + c.session.excess(); n > queue || n < queue-size-2*callOverhead {
			t.Errorf("%d bytes are queued", n)
		}
		p.send(&clientv1alpha1.Ack{Received: counts(0, uint64(sent))})
		for _, outcome := range outcomes[sent : len(outcomes)-1] {
			noError(t, <-outcome)
		}
	})
}
