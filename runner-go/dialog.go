package runner

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/linkstate"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// dialog is one socket's life: Hello, Welcome, the frames of a session, and the end, which the session may outlive.
type dialog struct {
	h   *hosting
	out *outlet

	// Of Hello.
	helloAt   instant
	asked     *session // to be resumed
	announced bool     // actors to be offered

	// The reader's, until it has ended.
	sess    *session // since Welcome
	goodbye error

	heard    atomic.Bool   // something came since the last tick
	over     atomic.Bool   // one side has said Goodbye: the session is not resumed
	welcomed chan struct{} // closed
	ended    chan error    // why reading ended; holds one
}

func newDialog(h *hosting, sock socket) *dialog {
	return &dialog{h: h, out: newOutlet(sock), welcomed: make(chan struct{}), ended: make(chan error, 1)}
}

// farewell is a Goodbye or Reject of the gateway.
type farewell struct {
	cause      *Error
	final      bool // there is no coming back
	retryAfter time.Duration
}

func (f *farewell) Error() string { return f.cause.Error() }
func (f *farewell) Unwrap() error { return f.cause }

var (
	// errSilent is a gateway that fell silent [LINK-7].
	errSilent = errors.New("the gateway stopped answering")
	// errLapsed is the end of the lease [LEASE-3].
	errLapsed = errors.New("the runner's lease has ended")
	// errInterrupted is a Welcome that came while the runner was about to go: its actors are handed over on another socket.
	errInterrupted = errors.New("the runner is about to stop")
)

// run serves the socket until it ends; the error says why, nil: drained. When it returns nothing is read or written any
// more.
func (d *dialog) run(ctx context.Context) error {
	hello := d.h.hello()
	d.asked, d.announced = d.h.sess, hello.Hosting
	d.helloAt = now()
	d.out.first(wire.Runner(hello))
	go d.out.writeLoop()
	go func() { d.ended <- d.out.sock.ReadFrames(d) }()
	if done, err := d.shake(ctx); done {
		return err
	}
	return d.serve()
}

// shake waits for Welcome.
func (d *dialog) shake(ctx context.Context) (done bool, err error) {
	timeout := time.NewTimer(handshakeTimeout)
	defer timeout.Stop()
	canceled := ctx.Done()
	if d.asked != nil {
		canceled = nil // its actors are to be handed over
	}
	select {
	case <-d.welcomed:
		return false, nil
	case err := <-d.ended:
		return true, d.left(err)
	case <-timeout.C:
		return true, d.close(fmt.Errorf("no Welcome within %v", handshakeTimeout))
	case <-canceled:
		select {
		case <-d.welcomed: // at the same time: there are actors to be stopped
			return false, nil
		default:
		}
		if _ = d.close(nil); d.sess != nil {
			return true, errInterrupted
		}
		return true, nil
	}
}

// serve waits for what ends the socket, and pings meanwhile.
func (d *dialog) serve() error {
	s, drain := d.sess, &d.h.drain
	pings := time.NewTicker(s.pingEvery)
	defer pings.Stop()
	if d.asked == s { // its lease has not been renewed for a while
		d.ping()
	}
	silent := time.Duration(0)
	for {
		select {
		case err := <-d.ended:
			return d.left(err)
		case <-pings.C:
			if silent += s.pingEvery; d.heard.Swap(false) {
				silent = 0
			}
			switch {
			case s.lease.ended():
				d.bye(wire.RunnerSessionLost, wire.RunnerSessionLost.Text, commonv1alpha1.Reconnect_RECONNECT_SAME)
				return d.close(errLapsed)
			case silent >= s.lostAfter && s.resume: // without Goodbye, so that the session goes on
				d.out.kill()
				return d.close(errSilent)
			case silent >= s.lostAfter:
				d.bye(wire.RunnerPingTimedOut, wire.RunnerPingTimedOut.Text, commonv1alpha1.Reconnect_RECONNECT_SAME)
				return d.close(errSilent)
			}
			d.ping()
		case <-drain.begin:
			drain.start(s)
		case <-s.emptied:
			drain.empty(s)
		case <-drain.over():
			d.bye(wire.RunnerDraining, wire.RunnerDraining.Text, commonv1alpha1.Reconnect_RECONNECT_UNSPECIFIED)
			return d.close(nil)
		}
	}
}

// ping asks for a Pong, unless Goodbye was said: that is the last frame [FRAME-6].
func (d *dialog) ping() {
	if d.over.Load() {
		return
	}
	d.out.first(wire.Runner(&commonv1alpha1.Ping{Nonce: d.sess.lease.ask(now())}))
}

// bye says Goodbye, with which the session is over [LINK-6].
func (d *dialog) bye(code *wire.Code, text string, reconnect commonv1alpha1.Reconnect) {
	d.over.Store(true)
	d.out.first(wire.Runner(&commonv1alpha1.Goodbye{Code: code.Group + "." + code.Code, Message: text, Reconnect: reconnect}))
}

// close closes the socket once what is queued was written, and waits for the reader.
func (d *dialog) close(err error) error {
	d.out.finish()
	d.h.runner.log.Debug("socket closed", "reading", <-d.ended)
	return err
}

// left is the end of a socket that the gateway closed, or that broke. It tells a farewell from an accident.
func (d *dialog) left(err error) error {
	d.out.kill()
	<-d.out.written
	if d.goodbye != nil {
		return d.goodbye
	}
	return fmt.Errorf("no link: %w", err)
}

// limit implements receiver.
func (d *dialog) limit() int {
	if d.sess == nil {
		return wire.DefaultLimits().MaxFrame
	}
	return d.sess.limits.MaxFrame
}

// fault implements receiver: the session ends with Goodbye.
func (d *dialog) fault(err error) {
	code := wire.InternalError
	if errors.Is(err, linkstate.ErrLost) || errors.Is(err, errLapsed) {
		code = wire.RunnerSessionLost
		d.h.runner.log.Warn("the session cannot go on", "error", err)
	} else {
		d.h.runner.log.Error("the gateway broke the protocol", "error", err)
	}
	d.bye(code, clip(err.Error(), 512), commonv1alpha1.Reconnect_RECONNECT_SAME)
	d.out.finish()
}

// frame implements receiver.
func (d *dialog) frame(b []byte, at time.Time) error {
	d.heard.Store(true)
	f, err := wire.ParseFrame(b)
	switch {
	case err != nil:
		return err
	case d.sess == nil:
		return d.handshake(f)
	case f.Kind == wire.RunnerGoodbye:
		var m commonv1alpha1.Goodbye
		if err := proto.Unmarshal(f.Body, &m); err != nil {
			return fmt.Errorf("%w: Goodbye: %w", wire.ErrMalformed, err)
		}
		d.onGoodbye(&m)
		return nil
	}
	return d.sess.take(f, len(b), at)
}
