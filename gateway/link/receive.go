package link

import (
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/linkstate"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// errEnough ends the reading of a socket after a fault, or because the link has left it; what is to be said of it is queued.
var errEnough = errors.New("the socket was closed")

// Receive takes whole frames that were read from the socket. An error ends the reading; the caller then closes with Ended.
// It keeps nothing of b.
func (c *Conn) Receive(b []byte) error {
	now := time.Now()
	c.heard.Store(now.UnixNano())
	for len(b) > 0 {
		if l := c.link.Load(); l != nil {
			return l.receive(c, b, now)
		}
		f, size, err := c.cut(b)
		if err != nil {
			return err
		}
		if err := c.handshake(f); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// cut reads the first frame of b.
func (c *Conn) cut(b []byte) (f wire.Frame, size int, err error) {
	raw, rest, err := wire.NextFrame(b, c.cfg.Limits.MaxFrame)
	if err != nil {
		return f, 0, c.framing(err)
	}
	if f, err = wire.ParseFrame(raw); err == nil && f.Kind.IsLink() && len(raw) > wire.MaxLinkFrame {
		err = errors.New("a link frame of more than 4 KiB") // [LINK-2]
	}
	if err != nil {
		c.cfg.Stats.FramesMalformed.Inc()
		return f, 0, c.fault(wire.RunnerInvalidFrame.Newf("%v.", err))
	}
	return f, len(b) - len(rest), nil
}

// framing is a fault of the framing [FRAME-2].
func (c *Conn) framing(err error) error {
	if errors.Is(err, wire.ErrFrameTooLarge) {
		c.cfg.Stats.Limit(stats.MaxFrame)
	}
	return c.fault(wire.RunnerInvalidFrame.Newf("Framing: %v.", err))
}

// fault says Goodbye because the peer broke the framing or the protocol of the link [FRAME-2].
func (c *Conn) fault(e *wire.Error) error {
	c.cfg.Logger.Warn("runner link fault", "peer", c.socket.Peer(), "code", e.Name(), "error", e.Message)
	c.Close(e, anywhere)
	return errEnough
}

// receive handles frames that came on one of the link's sockets, after those of the socket before it.
func (l *Link) receive(c *Conn, b []byte, now time.Time) error {
	l.reading.Lock()
	defer l.reading.Unlock()
	defer l.settle(c, now)
	for len(b) > 0 {
		f, size, err := c.cut(b)
		if err != nil {
			return err
		}
		if err := l.receiveFrame(c, f, size, now); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// message is what a frame says.
type message struct {
	frame wire.Frame
	body  any      // nil: the kind is not known or not negotiated
	ref   uint64   // of the actor that it concerns; 0: none
	cost  uint64   // of an event [LINK-18]
	to    *Binding // of ref; nil: nobody holds it
	err   error    // it cannot be decoded, or it is a breach of its actor
}

func (l *Link) receiveFrame(c *Conn, f wire.Frame, size int, now time.Time) error {
	m := message{frame: f}
	l.decode(&m)
	mine, err := l.enter(c, &m, size, now)
	switch {
	case errors.Is(err, linkstate.ErrLost):
		return c.fault(wire.RunnerSessionLost.Newf("%v.", err))
	case errors.Is(err, wire.ErrMalformed):
		return c.fault(wire.RunnerInvalidFrame.Newf("%v.", err))
	case err != nil || mine:
		return err
	case f.Kind == wire.RunnerPart:
		return l.receivePart(c, &m)
	}
	return l.dispatch(c, &m)
}

// enter takes note of a frame under one lock: it is counted, its actor found, the credit of an event taken.
func (l *Link) enter(c *Conn, m *message, size int, now time.Time) (mine bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != c {
		return false, errEnough // its unread bytes are ignored [LINK-16]
	}
	if mine, err = l.state.Receive(m.frame, size, now); err != nil || mine {
		l.measure()
		c.signal() // an Ack makes room
		return mine, err
	}
	l.find(m)
	return false, nil
}

// find looks up the actor of a message, and takes the credit of an event.
func (l *Link) find(m *message) {
	l.pass()
	if m.ref != 0 {
		m.to = l.actors[m.ref]
	}
	switch {
	case m.cost == 0:
	case m.err != nil:
		l.drop(m.cost)
	default:
		m.err = l.spend(m)
	}
}

// decode reads a message; the hot ones into the link's own copies, without allocation. What is for linkstate, Parts, and what
// a runner has no business to send stay unread.
func (l *Link) decode(m *message) {
	f := m.frame
	if !wire.Negotiated(f.Kind, l.features) {
		return
	}
	switch f.Kind {
	case wire.RunnerCallResult:
		m.body, m.err = &l.result, l.result.Unmarshal(f.Body)
		m.ref = l.result.Actor
	case wire.RunnerCommit:
		m.body, m.err = &l.commit, l.commit.Unmarshal(f.Body)
		m.ref = l.commit.Actor
	case wire.RunnerEmit:
		m.body, m.err = &l.emit, l.emit.Unmarshal(f.Body)
		m.ref = l.emit.Actor
		switch {
		case !l.credit:
		case m.err != nil:
			m.cost = damagedCost(f.Body)
		default:
			m.cost = l.emit.Cost()
		}
	case wire.RunnerActorReady, wire.RunnerActorStopped, wire.RunnerActorIntent, wire.RunnerKvRead,
		wire.RunnerConnectionClose, wire.RunnerConnectionState:
		m.body, m.err = wire.DecodeRunner(f)
		m.ref = wire.NumberAt(f.Body, 1)
	case wire.RunnerPart:
		m.ref = wire.ActorRef(f.Body)
	case wire.RunnerFence:
		m.body, m.err = wire.DecodeRunner(f)
		m.ref = wire.NumberAt(f.Body, 2)
	case wire.RunnerPing, wire.RunnerPong, wire.RunnerGoodbye, wire.RunnerDrain, wire.RunnerHosted, wire.RunnerFenceReached,
		wire.RunnerUnsupported:
		m.body, m.err = wire.DecodeRunner(f)
	}
	if m.err != nil && m.ref != 0 && f.Kind != wire.RunnerFence {
		m.ref = wire.ActorRef(f.Body) // what stands behind the damage is not trusted
	}
}

// dispatch hands a message to whom it concerns.
func (l *Link) dispatch(c *Conn, m *message) error {
	if m.err != nil {
		return l.malformed(c, m)
	}
	switch body := m.body.(type) {
	case nil:
		// Field 2 is the call, read or connection in every message of an actor [FRAME-4].
		return l.answer(c, &commonv1alpha1.Unsupported{Kind: uint32(m.frame.Kind), Number: wire.NumberAt(m.frame.Body, 2)})
	case *commonv1alpha1.Ping:
		l.pinged(body.GetNonce())
	case *runnerv1alpha1.Pong, *commonv1alpha1.Unsupported, *runnerv1alpha1.FenceReached:
		// A sign of life; a frame of ours that the runner does not know is its loss to tell.
	case *commonv1alpha1.Goodbye:
		return l.farewell(c, body)
	case *runnerv1alpha1.Drain:
		l.cfg.Host.Leaving(l, time.Duration(body.GetDeadlineMs())*time.Millisecond)
	case *runnerv1alpha1.Hosted:
		if n := len(body.GetActors()); n > maxHosted {
			return c.fault(wire.RunnerInvalidFrame.Newf("Hosted names %d actors, at most %d are allowed.", n, maxHosted))
		}
		l.cfg.Host.Offered(l, body.GetActors(), body.GetLast())
	case *runnerv1alpha1.Fence:
		if m.ref == 0 {
			return l.answer(c, &runnerv1alpha1.FenceReached{Nonce: body.GetNonce()})
		}
		l.deliver(m)
	default:
		l.deliver(m)
	}
	return nil
}

// maxHosted is how many actors one Hosted may offer [LINK-19].
const maxHosted = 512

// deliver gives a message to its actor; one that nobody holds may have crossed a stop [LINK-9].
func (l *Link) deliver(m *message) {
	if m.to == nil {
		return
	}
	if kept := m.to.actor.Receive(m.body); !kept && m.cost > 0 {
		l.passed = event{m.to, m.cost}
	}
}

// malformed charges a message to its actor, or to the link if it names none [FRAME-3] [LINK-9].
func (l *Link) malformed(c *Conn, m *message) error {
	if errors.Is(m.err, wire.ErrMalformed) {
		l.cfg.Stats.FramesMalformed.Inc()
	}
	if m.ref == 0 {
		return c.fault(wire.RunnerInvalidFrame.Newf("%v.", m.err))
	}
	if m.to != nil {
		m.to.actor.Malformed(m.err)
	}
	return nil
}

// maxAnswers is how many answers to frames of no actor may wait: a runner that asks and does not read costs no more.
const maxAnswers = 4096

// answer queues an answer to a frame of no actor.
func (l *Link) answer(c *Conn, m proto.Message) error {
	l.mu.Lock()
	l.answers++
	tooMany := l.answers > maxAnswers
	l.mu.Unlock()
	if tooMany {
		return c.fault(wire.RunnerOverloaded.New())
	}
	l.SendGeneral(m)
	return nil
}
