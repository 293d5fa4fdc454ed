package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// session is one socket's life: Hello, Welcome, the actors that the gateway gives this runner meanwhile, and the end, at
// which they are dropped [LINK-6].
type session struct {
	link    *link
	log     *slog.Logger
	defs    map[string]*definition
	workers *sync.WaitGroup // goroutines that run user code, of all sessions

	// From Welcome; fixed before the first instance is made.
	features   []string
	limits     wire.Limits
	faults     faults
	sleepAfter time.Duration
	stopGrace  time.Duration
	pingEvery  time.Duration
	lostAfter  time.Duration

	// The reader's.
	begun bool
	parts map[uint64]*wire.Assembler

	heard    atomic.Bool // something came since the last tick
	welcomed chan *runnerv1alpha1.Welcome
	ended    chan error // why reading ended; holds one
	goodbye  error      // set before ended

	mu         sync.Mutex
	actors     map[uint64]*instance
	principals map[uint64]*Principal
	emptied    chan struct{} // holds one: the last actor has gone
}

// Defaults for what a Welcome does not say.
const (
	defaultSleepAfter = 30 * time.Second
	defaultStopGrace  = 15 * time.Second
	defaultPing       = 3 * time.Second
	defaultLost       = 15 * time.Second
)

func newSession(sock socket, log *slog.Logger, defs map[string]*definition, workers *sync.WaitGroup) *session {
	return &session{
		link: newLink(sock), log: log, defs: defs, workers: workers, limits: wire.DefaultLimits(),
		parts: map[uint64]*wire.Assembler{}, welcomed: make(chan *runnerv1alpha1.Welcome, 1), ended: make(chan error, 1),
		actors: map[uint64]*instance{}, principals: map[uint64]*Principal{}, emptied: make(chan struct{}, 1),
	}
}

// farewell is a Goodbye or Reject of the gateway.
type farewell struct {
	cause      *Error
	final      bool // there is no coming back
	retryAfter time.Duration
}

func (f *farewell) Error() string { return f.cause.Error() }
func (f *farewell) Unwrap() error { return f.cause }

// errLost is a gateway that fell silent [LINK-7].
var errLost = errors.New("the gateway stopped answering")

// run serves the session until it ends; the error says why, nil: drained. drain begins when ctx ends.
func (s *session) run(ctx context.Context, hello *runnerv1alpha1.Hello, drain time.Duration, welcome func(*runnerv1alpha1.Welcome)) error {
	go s.link.writeLoop()
	s.link.push(&s.link.base, wire.Runner(hello))
	go func() { s.ended <- s.link.sock.ReadFrames(s) }()
	err := s.serve(ctx, drain, welcome)
	s.dropAll()
	s.link.close()
	select {
	case <-s.link.written:
	case <-time.After(time.Second): // the peer does not read our Goodbye
		s.link.kill()
		<-s.link.written
	}
	return err
}

// serve waits for what ends the session, and pings meanwhile. The reader is done when it returns.
func (s *session) serve(ctx context.Context, drain time.Duration, welcome func(*runnerv1alpha1.Welcome)) error {
	timeout := time.NewTimer(handshakeTimeout)
	defer timeout.Stop()
	select {
	case m := <-s.welcomed:
		welcome(m)
	case err := <-s.ended:
		return s.why(err)
	case <-timeout.C:
		return s.why(s.abort(fmt.Errorf("no Welcome within %v", handshakeTimeout)))
	case <-ctx.Done():
		return s.abort(nil)
	}
	pings := time.NewTicker(s.pingEvery)
	defer pings.Stop()
	silent := time.Duration(0)
	d := drainer{sess: s, begin: ctx.Done(), timeout: drain}
	defer d.stop()
	for {
		select {
		case err := <-s.ended:
			if d.draining() {
				return nil
			}
			return s.why(err)
		case <-pings.C:
			if silent += s.pingEvery; s.heard.Swap(false) {
				silent = 0
			}
			if silent >= s.lostAfter {
				s.bye(wire.RunnerPingTimedOut, commonv1alpha1.Reconnect_RECONNECT_SAME)
				return s.abort(errLost)
			}
			s.link.pushLink(wire.Runner(&commonv1alpha1.Ping{Nonce: uint64(time.Now().UnixMilli())}))
		case <-d.begin:
			d.start()
		case <-s.emptied:
			d.empty()
		case <-d.over():
			s.bye(wire.RunnerDraining, commonv1alpha1.Reconnect_RECONNECT_UNSPECIFIED)
			return s.abort(nil)
		}
	}
}

// abort closes the socket once what is queued was written, and waits for the reader.
func (s *session) abort(err error) error {
	s.link.close()
	select {
	case <-s.link.written:
	case <-time.After(time.Second):
		s.link.kill()
	}
	s.log.Debug("socket closed", "reading", <-s.ended)
	return err
}

// why tells a farewell from an accident.
func (s *session) why(err error) error {
	if s.goodbye != nil {
		return s.goodbye
	}
	return fmt.Errorf("no link: %w", err)
}

func (s *session) bye(code *wire.Code, reconnect commonv1alpha1.Reconnect) {
	s.link.pushLink(wire.Runner(&commonv1alpha1.Goodbye{Code: code.Group + "." + code.Code, Message: code.Text, Reconnect: reconnect}))
}

// dropAll ends every actor without hooks: the gateway starts them elsewhere, or here again [LINK-11].
func (s *session) dropAll() {
	s.mu.Lock()
	all := make([]*instance, 0, len(s.actors))
	for _, in := range s.actors {
		all = append(all, in)
	}
	s.mu.Unlock()
	for _, in := range all {
		in.mu.Lock()
		in.drop()
		in.mu.Unlock()
	}
}

func (s *session) add(in *instance) {
	s.mu.Lock()
	s.actors[in.ref] = in
	s.mu.Unlock()
}

func (s *session) forget(in *instance) {
	s.mu.Lock()
	delete(s.actors, in.ref)
	left := len(s.actors)
	s.mu.Unlock()
	if left == 0 {
		select {
		case s.emptied <- struct{}{}:
		default:
		}
	}
}

func (s *session) actor(ref uint64) *instance {
	s.mu.Lock()
	in := s.actors[ref]
	s.mu.Unlock()
	return in
}

// drainer is the orderly end of a session [LINK-10].
type drainer struct {
	sess    *session
	begin   <-chan struct{} // nil once it has
	timeout time.Duration
	end     *time.Timer
}

// emptyWait is how long a drained runner without actors waits for the gateway's Goodbye.
const emptyWait = 2 * time.Second

func (d *drainer) draining() bool { return d.end != nil }

func (d *drainer) start() {
	d.begin = nil
	d.sess.log.Info("draining", "timeout", d.timeout)
	d.end = time.NewTimer(d.timeout)
	d.sess.link.push(&d.sess.link.base, wire.Runner(&runnerv1alpha1.Drain{
		DeadlineMs: uint32(d.timeout.Milliseconds()), Code: wire.RunnerDraining.Group + "." + wire.RunnerDraining.Code,
	}))
	d.empty()
}

func (d *drainer) empty() {
	if d.end == nil {
		return
	}
	d.sess.mu.Lock()
	left := len(d.sess.actors)
	d.sess.mu.Unlock()
	if left == 0 {
		d.end.Reset(min(emptyWait, d.timeout))
	}
}

func (d *drainer) over() <-chan time.Time {
	if d.end == nil {
		return nil
	}
	return d.end.C
}

func (d *drainer) stop() {
	if d.end != nil {
		d.end.Stop()
	}
}
