package link

import (
	"errors"
	"fmt"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// errEnough ends the reading of a socket after a fault; the Goodbye is queued already.
var errEnough = errors.New("the link was closed")

// Receive takes whole frames that were read from the socket. An error ends the reading; the caller then closes with
// Ended. It keeps nothing of b.
func (l *Link) Receive(b []byte) error {
	l.heard.Store(time.Now().UnixNano())
	for len(b) > 0 {
		frame, rest, err := wire.NextFrame(b, l.cfg.Limits.MaxFrame)
		if err != nil {
			return l.fault(wire.RunnerInvalidFrame.Newf("Framing: %v.", err))
		}
		if err := l.receiveFrame(frame); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// receiveFrame takes one frame without its length prefix.
func (l *Link) receiveFrame(raw []byte) error {
	f, err := wire.ParseFrame(raw)
	if err != nil {
		l.cfg.Stats.FramesMalformed.Inc()
		return l.fault(wire.RunnerInvalidFrame.Newf("%v.", err))
	}
	if !l.admitted {
		return l.handshake(f)
	}
	if f.Kind == wire.RunnerPart {
		return l.receivePart(f)
	}
	return l.dispatch(f)
}

// fault says Goodbye because the peer broke the framing or the handshake [FRAME-2].
func (l *Link) fault(e *wire.Error) error {
	l.cfg.Logger.Warn("runner link fault", "peer", l.socket.Peer(), "error", e.Message)
	l.Close(e, commonv1alpha1.Reconnect_RECONNECT_ANY)
	return errEnough
}

func (l *Link) handshake(f wire.Frame) error {
	msg, err := wire.DecodeRunner(f)
	hello, ok := msg.(*runnerv1alpha1.Hello)
	if err != nil || !ok {
		return l.reject(wire.RunnerInvalidHello.Newf("The first frame must be a Hello."))
	}
	if _, ok := wire.NegotiateProtocol(hello.GetProtocolMin(), hello.GetProtocolMax()); !ok {
		return l.reject(wire.RunnerProtocolUnsupported.Newf(
			"This gateway speaks the runner protocol %d to %d, the runner %d to %d.",
			wire.ProtocolMin, wire.ProtocolMax, hello.GetProtocolMin(), hello.GetProtocolMax()))
	}
	l.hello = hello
	l.features = wire.NegotiateFeatures(wire.RunnerFeatures(), hello.GetFeatures())
	welcome, refusal := l.cfg.Host.Admit(l, hello)
	if refusal != nil {
		return l.reject(refusal)
	}
	l.welcome(welcome)
	l.admitted = true
	l.cfg.Host.Joined(l)
	l.cfg.Stats.Links.Add(1)
	return nil
}

// welcome completes what the link itself knows and sends it in front of everything [LINK-1].
func (l *Link) welcome(w *runnerv1alpha1.Welcome) {
	w.Protocol, _ = wire.NegotiateProtocol(l.hello.GetProtocolMin(), l.hello.GetProtocolMax())
	w.Features = l.features
	w.Limits = l.cfg.Limits.Runner()
	w.PingMs = uint32(l.cfg.PingEvery.Milliseconds())
	w.LostMs = uint32(l.cfg.LostAfter.Milliseconds())
	w.NowMs = time.Now().UnixMilli()
	l.mu.Lock()
	l.joined = true
	l.mu.Unlock()
	l.pushLink(w)
	l.timer.Reset(l.cfg.PingEvery)
}

func (l *Link) reject(e *wire.Error) error {
	l.cfg.Logger.Warn("runner rejected", "peer", l.socket.Peer(), "code", e.Name(), "error", e.Message)
	l.farewell(&runnerv1alpha1.Reject{
		Code: e.Name(), Message: e.Message, Retryable: e.Retryable, RetryAfterMs: e.RetryAfterMs,
		ProtocolMin: wire.ProtocolMin, ProtocolMax: wire.ProtocolMax,
	})
	return errEnough
}

// receivePart collects the parts of one actor until they make a frame [LINK-3].
func (l *Link) receivePart(f wire.Frame) error {
	var p wire.Part
	if err := p.Unmarshal(f.Body); err != nil {
		return l.malformed(f, err)
	}
	a := l.parts[p.Actor]
	if p.Actor != 0 && l.actor(p.Actor) == nil {
		delete(l.parts, p.Actor) // they may have crossed a stop [LINK-9]
		return nil
	}
	if a == nil {
		a = new(wire.Assembler)
		l.parts[p.Actor] = a
	}
	raw, err := a.Add(&p, l.cfg.Limits.MaxFrame)
	if err != nil {
		delete(l.parts, p.Actor)
		return l.malformed(f, err)
	}
	if raw == nil {
		return nil
	}
	delete(l.parts, p.Actor)
	whole, err := wire.ParseFrame(raw)
	if err == nil && whole.Kind == wire.RunnerPart {
		err = fmt.Errorf("%w: a Part inside Parts", wire.ErrMalformed)
	}
	if err != nil {
		return l.malformed(f, err)
	}
	return l.dispatch(whole)
}

// dispatch hands a message to whom it concerns.
func (l *Link) dispatch(f wire.Frame) error {
	if !wire.Negotiated(f.Kind, l.features) {
		l.unsupported(f)
		return nil
	}
	switch f.Kind {
	case wire.RunnerCallResult:
		return toActor(l, f, &l.result, &l.result.Actor)
	case wire.RunnerCommit:
		return toActor(l, f, &l.commit, &l.commit.Actor)
	case wire.RunnerEmit:
		return toActor(l, f, &l.emit, &l.emit.Actor)
	}
	msg, err := wire.DecodeRunner(f)
	if err != nil {
		return l.malformed(f, err)
	}
	switch m := msg.(type) {
	case nil:
		l.unsupported(f)
	case *commonv1alpha1.Ping:
		l.pushLink(&runnerv1alpha1.Pong{Nonce: m.GetNonce(), NowMs: time.Now().UnixMilli()})
	case *runnerv1alpha1.Pong, *commonv1alpha1.Unsupported:
		// A sign of life; a frame of ours that the runner does not know is its loss to tell.
	case *commonv1alpha1.Goodbye:
		l.cfg.Logger.Info("runner says goodbye", "peer", l.socket.Peer(), "code", m.GetCode(), "message", m.GetMessage())
		l.mu.Lock()
		l.ended, l.deliberate = closing, true
		l.mu.Unlock()
		l.signal()
		return errEnough
	case *runnerv1alpha1.Drain:
		l.cfg.Host.Leaving(l, time.Duration(m.GetDeadlineMs())*time.Millisecond)
	case *runnerv1alpha1.Fence:
		if m.GetActor() == 0 {
			l.SendGeneral(&runnerv1alpha1.FenceReached{Nonce: m.GetNonce()})
			return nil
		}
		l.deliver(m.GetActor(), msg)
	case *runnerv1alpha1.FenceReached:
	case *runnerv1alpha1.Call, *runnerv1alpha1.CommitResult, *runnerv1alpha1.Hello, *runnerv1alpha1.Welcome,
		*runnerv1alpha1.Reject, *runnerv1alpha1.StartActor, *runnerv1alpha1.StopActor, *runnerv1alpha1.KvResult,
		*runnerv1alpha1.ConnectionOpen, *runnerv1alpha1.Principal, *wire.Call, *wire.CommitResult:
		l.unsupported(f) // a kind that only a gateway sends
	default:
		l.deliver(wire.NumberAt(f.Body, 1), msg) // field 1 of every message about an actor
	}
	return nil
}

// toActor decodes a hot message into the link's own copy and delivers it: no allocation. ref is the message's own field.
func toActor[M interface{ Unmarshal([]byte) error }](l *Link, f wire.Frame, m M, ref *uint64) error {
	if err := m.Unmarshal(f.Body); err != nil {
		return l.malformed(f, err)
	}
	l.deliver(*ref, m)
	return nil
}

// deliver gives a message to the actor of the ref; one that nobody holds may have crossed a stop [LINK-9].
func (l *Link) deliver(ref uint64, msg any) {
	if a := l.actor(ref); a != nil {
		a.Receive(msg)
	}
}

func (l *Link) actor(ref uint64) Actor {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.actors[ref]; b != nil {
		return b.actor
	}
	return nil
}

// malformed charges an undecodable message to its actor, or to the link if it names none [FRAME-3] [LINK-9].
func (l *Link) malformed(f wire.Frame, err error) error {
	l.cfg.Stats.FramesMalformed.Inc()
	ref := wire.ActorRef(f.Body)
	if ref == 0 {
		return l.fault(wire.RunnerInvalidFrame.Newf("%v.", err))
	}
	if a := l.actor(ref); a != nil {
		a.Malformed(err)
	}
	return nil
}

// unsupported answers a kind that this gateway does not know or did not negotiate [FRAME-4].
func (l *Link) unsupported(f wire.Frame) {
	// Field 2 is the call, read or connection in every message of an actor.
	l.SendGeneral(&commonv1alpha1.Unsupported{Kind: uint32(f.Kind), Number: wire.NumberAt(f.Body, 2)})
}
