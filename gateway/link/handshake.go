package link

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// handshake takes the first frame of a socket: the Hello that goes on with a link or begins one [LINK-1].
func (c *Conn) handshake(f wire.Frame) error {
	msg, err := wire.DecodeRunner(f)
	hello, ok := msg.(*runnerv1alpha1.Hello)
	if err != nil || !ok {
		return c.reject(wire.RunnerInvalidHello.Newf("The first frame must be a Hello."))
	}
	if _, ok := wire.NegotiateProtocol(hello.GetProtocolMin(), hello.GetProtocolMax()); !ok {
		return c.reject(wire.RunnerProtocolUnsupported.Newf(
			"This gateway speaks the runner protocol %d to %d, the runner %d to %d.",
			wire.ProtocolMin, wire.ProtocolMax, hello.GetProtocolMin(), hello.GetProtocolMax()))
	}
	resumed, refusal := c.resume(hello)
	if !resumed && refusal == nil {
		refusal = c.begin(hello)
	}
	if refusal != nil {
		return c.reject(refusal)
	}
	c.timer.Reset(c.cfg.PingEvery)
	c.signal()
	return nil
}

func (c *Conn) reject(e *wire.Error) error {
	c.cfg.Logger.Warn("runner rejected", "peer", c.socket.Peer(), "code", e.Name(), "error", e.Message)
	c.finish(&runnerv1alpha1.Reject{
		Code: e.Name(), Message: e.Message, Retryable: e.Retryable, RetryAfterMs: e.RetryAfterMs,
		ProtocolMin: wire.ProtocolMin, ProtocolMax: wire.ProtocolMax,
	})
	return errEnough
}

// begin begins a session, unless too much memory is held [LIMIT-4].
func (c *Conn) begin(hello *runnerv1alpha1.Hello) *wire.Error {
	if c.cfg.Budget.Level() >= budget.Refusing {
		c.cfg.Stats.Limit(stats.MaxMemory)
		return wire.GatewayOverloaded.New()
	}
	links := c.cfg.Links
	if !links.enter() {
		return wire.GatewayDraining.New()
	}
	l := newLink(c.cfg, hello, c.socket.Peer())
	welcome, refusal := c.cfg.Host.Admit(l, hello)
	if refusal != nil {
		links.leave(nil)
		return refusal
	}
	l.welcome = l.complete(welcome)
	l.mu.Lock()
	l.state.PushLink(wire.Runner(l.welcome))
	l.conn = c
	c.link.Store(l)
	l.mu.Unlock()
	open := links.name(l)
	c.cfg.Stats.Links.Add(1)
	c.cfg.Host.Joined(l)
	if !open {
		l.Close(wire.GatewayDraining.New(), anywhere)
	}
	return nil
}

// complete adds to a Welcome what the link itself knows.
func (l *Link) complete(w *runnerv1alpha1.Welcome) *runnerv1alpha1.Welcome {
	w.Protocol, _ = wire.NegotiateProtocol(l.hello.GetProtocolMin(), l.hello.GetProtocolMax())
	w.Features = l.features
	w.Limits = l.cfg.Limits.Runner()
	w.PingMs = uint32(l.cfg.PingEvery.Milliseconds())
	w.LostMs = uint32(l.cfg.LostAfter.Milliseconds())
	w.NowMs = time.Now().UnixMilli()
	if l.resume {
		w.ResumeMs = uint32(l.cfg.ResumeWait.Milliseconds())
	}
	return w
}

// resume goes on with the link of the session that the Hello names. false, and no refusal: there is none [LINK-17].
func (c *Conn) resume(hello *runnerv1alpha1.Hello) (bool, *wire.Error) {
	l := c.cfg.Links.find(hello.GetResume().GetSession())
	if l == nil {
		return false, nil
	}
	if refusal := c.cfg.Host.Readmit(l, hello); refusal != nil {
		return false, refusal
	}
	return l.goOn(c, hello.GetResume().GetReceived())
}

// goOn gives the link another socket, in place of the one that it may still have [LINK-16].
func (l *Link) goOn(c *Conn, received uint64) (bool, *wire.Error) {
	l.mu.Lock()
	first := l.conn
	switch {
	case l.life != running:
		l.mu.Unlock()
		return false, nil
	case received < l.state.Acked():
		// The runner has been further than this Hello: it is a late one, of a socket that the runner has left.
		l.mu.Unlock()
		e := wire.RunnerSuperseded.New()
		e.Retryable = true
		return false, e
	}
	again := proto.CloneOf(l.welcome)
	again.NowMs, again.ResumedReceived = time.Now().UnixMilli(), proto.Uint64(l.state.Received())
	if err := l.state.Attach(received, wire.Runner(again)); err != nil {
		l.life, l.conn = over, nil
		l.mu.Unlock()
		l.cfg.Logger.Warn("runner session lost", "peer", c.socket.Peer(), "error", err)
		if first != nil {
			first.finish(goodbye(wire.RunnerSessionLost.New(), anywhere))
		}
		l.end()
		return false, nil
	}
	l.expiry.Stop()
	l.conn, l.peer = c, c.socket.Peer()
	c.link.Store(l)
	l.repeatCredit()
	l.mu.Unlock()
	if first != nil {
		first.finish(goodbye(wire.RunnerSuperseded.New(), back))
	}
	l.cfg.Logger.Info("runner resumed", "peer", c.socket.Peer(), "first_socket_lived", first != nil)
	return true, nil
}
