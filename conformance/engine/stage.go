// Package engine runs cases against one runner: it starts the program under test, plays the gateway through package vgw, does
// each step and waits for what a step expects, and has the monitors look at everything besides.
//
// A Stage has one runner and runs one case at a time; several Stages beside each other share nothing. It never waits without
// a bound, whatever the runner does. The command and the campaigns use it.
package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/gate"
	"github.com/stagedoor-dev/stagedoor/conformance/launch"
	"github.com/stagedoor-dev/stagedoor/conformance/monitor"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
)

// Token is what the runner has to show.
const Token = "conform-token-5d1e"

// Options say what is run, and how.
type Options struct {
	// Command is the runner's shell command.
	Command string
	// Env are variables for it besides those of the contract.
	Env map[string]string
	// StartTimeout bounds the time from the start of the process to its Hello; 0: DefaultStartTimeout.
	StartTimeout time.Duration
	// Patience multiplies every time-out of a case; 0: 1.
	Patience float64
	// Log, if not nil, gets what the runner writes to its standard output and error.
	Log *launch.Log
	// FromRunner and ToRunner rewrite the traffic: see vgw.Config.
	FromRunner, ToRunner func() vgw.Tap
	// Chunk and Fragment shape it: see websocket.Conn.Shape.
	Chunk, Fragment int
	// Via is told the virtual gateway's endpoint and names the one that runners dial instead (package proxy); nil: the same.
	Via func(endpoint string) string
}

// DefaultStartTimeout is for runners that load much before they dial.
const DefaultStartTimeout = 20 * time.Second

// ErrNoRunner is wrapped when the program under test ended early or never dialed.
var ErrNoRunner = errors.New("the runner did not start")

// Stage is a runner and what surrounds it.
type Stage struct {
	options  Options
	recorder *trace.Recorder
	gateway  *vgw.Gateway
	gates    *gate.Server
	process  *launch.Process // nil: not started
	dialed   bool            // the process has said Hello
	hurry    bool
	hello    *runnerv1alpha1.Hello
	session  *vgw.Session // that shared cases use; nil: none
	socket   *vgw.Socket
	begun    int    // of the process's output: so much came before the case
	before   string // what processes wrote that have ended since the case began

	mu       sync.Mutex // guards what the recorder's callback touches
	monitor  *monitor.Monitor
	blame    *blame
	findings []monitor.Finding
	late     []monitor.Finding // of cases that were over
}

// NewStage opens the suite's ends; the runner is not started yet.
func NewStage(options Options) (*Stage, error) {
	if options.StartTimeout == 0 {
		options.StartTimeout = DefaultStartTimeout
	}
	if options.Patience == 0 {
		options.Patience = 1
	}
	s := &Stage{options: options, monitor: monitor.New(), blame: newBlame()}
	s.recorder = trace.NewRecorder(s.observe)
	gates, err := gate.Listen()
	if err != nil {
		return nil, err
	}
	gateway, err := vgw.Listen(vgw.Config{
		Trace: s.recorder, FromRunner: options.FromRunner, ToRunner: options.ToRunner, Chunk: options.Chunk, Fragment: options.Fragment,
	})
	if err != nil {
		gates.Close()
		return nil, err
	}
	s.gates, s.gateway = gates, gateway
	return s, nil
}

// Close ends the runner, and everything that was opened.
func (s *Stage) Close() {
	s.kill()
	s.gateway.Close()
	s.gates.Close()
}

// Events is the whole trace so far.
func (s *Stage) Events() []*trace.Event { return s.recorder.Since(0) }

// Began is when the trace began.
func (s *Stage) Began() time.Time { return s.recorder.Began() }

// Hello starts the runner, if need be, and tells what it says of itself. The error wraps ErrNoRunner if it does not come.
func (s *Stage) Hello(ctx context.Context) (*runnerv1alpha1.Hello, error) {
	if err := s.shared(ctx); err != nil {
		return nil, err
	}
	return s.hello, nil
}

// maxOutput bounds what is kept of the processes that have ended since a case began.
const maxOutput = 1 << 20

// Output is what the runner's processes have written since the last case began.
func (s *Stage) Output() string {
	if s.process == nil {
		return s.before
	}
	return s.before + s.process.OutputSince(s.begun)
}

// forgetOutput begins the output of the next case.
func (s *Stage) forgetOutput() {
	s.before, s.begun = "", 0
	if s.process != nil {
		s.begun = s.process.Written()
	}
}

// launch starts the process.
func (s *Stage) launch() error {
	endpoint := s.gateway.Endpoint()
	if s.options.Via != nil {
		endpoint = s.options.Via(endpoint)
	}
	env := map[string]string{
		"STAGEDOOR_ENDPOINT": endpoint, "STAGEDOOR_TOKEN": Token, "STAGEDOOR_RUNNER_NAME": "conform",
		"CONFORM_GATE_URL": s.gates.URL(),
	}
	maps.Copy(env, s.options.Env)
	process, err := launch.StartLogged(s.options.Command, env, s.options.Log)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoRunner, err)
	}
	s.process, s.dialed = process, false
	s.recorder.Add(&trace.Event{Happening: trace.ProcessStarted})
	return nil
}

// dying is how long a process may take to end behind its socket.
const dying = 500 * time.Millisecond

// ending is the exit status of a process that ends about now: its socket is gone first.
func (s *Stage) ending() (code int, ended bool) {
	if s.process == nil {
		return 0, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.scale(dying))
	defer cancel()
	code, err := s.process.Exit(ctx)
	return code, err == nil
}

// kill ends the process, and what is left of its link.
func (s *Stage) kill() {
	if s.process == nil {
		return
	}
	s.process.Kill()
	s.before = s.Output()
	s.before, s.begun = s.before[max(0, len(s.before)-maxOutput):], 0
	s.recorder.Add(&trace.Event{Happening: trace.ProcessEnded, Note: "killed by the suite"})
	if s.socket != nil {
		s.socket.Cut("the process was killed")
		<-s.socket.Done()
	}
	if s.session != nil {
		s.session.End()
	}
	s.process, s.session, s.socket = nil, nil, nil
}

// running makes sure that there is a process.
func (s *Stage) running() error {
	if s.process != nil && !s.process.Alive() {
		s.kill()
	}
	if s.process == nil {
		return s.launch()
	}
	return nil
}

// next waits for the runner's next socket and its Hello, no longer than the context and the runner's process last.
func (s *Stage) next(ctx context.Context) (*vgw.Socket, *runnerv1alpha1.Hello, error) {
	if !s.dialed {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(context.WithoutCancel(ctx), s.options.StartTimeout,
			fmt.Errorf("%w: no Hello within %v", errLate, s.options.StartTimeout))
		defer cancel()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	process := s.process
	go func() {
		select {
		case <-process.Done():
			code, _ := process.Exit(context.Background())
			cancel(fmt.Errorf("%w: its command %s", ErrNoRunner, launch.Ending(code)))
		case <-ctx.Done():
		}
	}()
	accept := s.gateway.Accept
	if !s.dialed {
		accept = s.gateway.First
	}
	socket, err := accept(ctx)
	if err != nil {
		return nil, nil, s.undialed(ctx, err)
	}
	hello, err := socket.Hello(ctx)
	switch {
	case err == nil:
		s.dialed = true
		return socket, hello, nil
	case errors.Is(err, errLate):
		err = fmt.Errorf("%w: it dialed, and said nothing", context.Cause(ctx))
	case errors.Is(err, ErrNoRunner):
		err = context.Cause(ctx)
	case !s.dialed:
		err = fmt.Errorf("%w: no Hello: %w", ErrNoRunner, err)
	}
	socket.Cut("no Hello")
	return nil, nil, err
}

// errLate is a runner that lives, and does not say Hello.
var errLate = fmt.Errorf("%w", ErrNoRunner)

// undialed says why there is no socket.
func (s *Stage) undialed(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	refusal := s.gateway.Refusal()
	switch {
	case !errors.Is(cause, ErrNoRunner):
		return err
	case refusal != "":
		return fmt.Errorf("%w: %s", cause, refusal)
	case errors.Is(cause, errLate):
		return fmt.Errorf("%w: it never dialed STAGEDOOR_ENDPOINT, %s", cause, s.gateway.Endpoint())
	}
	return cause
}

// shared makes sure that there is a link for shared cases.
func (s *Stage) shared(ctx context.Context) error {
	if err := s.running(); err != nil {
		return err
	}
	if s.session != nil && s.session.Alive() {
		return nil
	}
	s.retire()
	again := s.scale(10 * time.Second)
	ctx, cancel := context.WithTimeoutCause(ctx, again, fmt.Errorf("%w again: it did not dial within %v", ErrNoRunner, again))
	defer cancel()
	socket, hello, err := s.next(ctx)
	if err != nil {
		return err
	}
	s.hello = hello
	s.socket, s.session = socket, s.gateway.Welcome(socket, hello, vgw.DefaultWelcome(hello))
	return nil
}

// retire ends the link, so that the runner dials anew.
func (s *Stage) retire() {
	if s.session != nil {
		s.session.End()
	}
	if s.socket != nil {
		s.socket.Goodbyes(&commonv1alpha1.Goodbye{
			Code: "gateway.draining", Message: "The next case has a session of its own.", Reconnect: commonv1alpha1.Reconnect_RECONNECT_SAME,
		})
		s.socket.Finish("the next case has a session of its own")
		timer := time.NewTimer(s.scale(5 * time.Second))
		select {
		case <-s.socket.Done():
		case <-timer.C:
			s.socket.Cut("it did not close")
		}
		timer.Stop()
	}
	s.session, s.socket = nil, nil
}

// Hurry makes the following cases wait less: of a runner that never says anything nothing is to be expected.
func (s *Stage) Hurry(hurry bool) { s.hurry = hurry }

func (s *Stage) scale(d time.Duration) time.Duration {
	if s.hurry {
		d /= 10
	}
	return time.Duration(float64(d) * s.options.Patience)
}
