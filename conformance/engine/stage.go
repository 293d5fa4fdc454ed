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
	// StartTimeout bounds the time from the start of the process to its Hello; 0: 20 s.
	StartTimeout time.Duration
	// Patience multiplies every time-out of a case; 0: 1.
	Patience float64
	// FromRunner and ToRunner rewrite the traffic: see vgw.Config.
	FromRunner, ToRunner func() vgw.Tap
	// Chunk and Fragment shape it: see websocket.Conn.Shape.
	Chunk, Fragment int
	// Via is told the virtual gateway's endpoint and names the one that runners dial instead (package proxy); nil: the same.
	Via func(endpoint string) string
}

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

	mu       sync.Mutex // guards what the recorder's callback touches
	monitor  *monitor.Monitor
	findings []monitor.Finding
}

// NewStage opens the suite's ends; the runner is not started yet.
func NewStage(options Options) (*Stage, error) {
	if options.StartTimeout == 0 {
		options.StartTimeout = 20 * time.Second
	}
	if options.Patience == 0 {
		options.Patience = 1
	}
	s := &Stage{options: options, monitor: monitor.New()}
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

func (s *Stage) observe(e *trace.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.findings = append(s.findings, s.monitor.Observe(e)...)
}

// takeFindings is what the monitors found since the last call.
func (s *Stage) takeFindings() []monitor.Finding {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.findings
	s.findings = nil
	return found
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

// Output is what the runner's process has written.
func (s *Stage) Output() string {
	if s.process == nil {
		return ""
	}
	return s.process.Output()
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
	process, err := launch.Start(s.options.Command, env)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoRunner, err)
	}
	s.process, s.dialed = process, false
	s.recorder.Add(&trace.Event{Happening: trace.ProcessStarted})
	return nil
}

// kill ends the process, and what is left of its link.
func (s *Stage) kill() {
	if s.process == nil {
		return
	}
	s.process.Kill()
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
			fmt.Errorf("%w: no Hello within %v", ErrNoRunner, s.options.StartTimeout))
		defer cancel()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	process := s.process
	go func() {
		select {
		case <-process.Done():
			code, _ := process.Exit(context.Background())
			cancel(fmt.Errorf("%w: its process ended with status %d", ErrNoRunner, code))
		case <-ctx.Done():
		}
	}()
	socket, err := s.gateway.Accept(ctx)
	if err != nil {
		return nil, nil, err
	}
	hello, err := socket.Hello(ctx)
	if err != nil {
		socket.Cut("no Hello")
		if !s.dialed && !errors.Is(err, ErrNoRunner) {
			err = fmt.Errorf("%w: no Hello: %w", ErrNoRunner, err)
		}
		return nil, nil, err
	}
	s.dialed = true
	return socket, hello, nil
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
	ctx, cancel := context.WithTimeoutCause(ctx, s.scale(10*time.Second), fmt.Errorf("%w again", ErrNoRunner))
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
