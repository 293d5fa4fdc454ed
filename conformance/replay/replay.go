package replay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/gate"
	"github.com/stagedoor-dev/stagedoor/conformance/launch"
	"github.com/stagedoor-dev/stagedoor/conformance/plain"
	"github.com/stagedoor-dev/stagedoor/conformance/tap"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
)

// Config is one replay.
type Config struct {
	// Runner is the shell command that starts the runner.
	Runner string
	// Events are those of one case.
	Events []*trace.Event
	// Patience is how long each frame may take; 0: 5 s.
	Patience time.Duration
}

// Report is what a replay came to.
type Report struct {
	// Sent frames, and those that came as they were recorded.
	Sent, Same int
	// Differences from the recording, in order.
	Differences []Difference
}

// Difference is a frame that came otherwise, not at all, or besides.
type Difference struct {
	Event     uint64 // of the trace; 0: besides
	Want, Got string
}

func (d Difference) String() string {
	switch {
	case d.Event == 0:
		return fmt.Sprintf("besides came %s", d.Got)
	case d.Got == "":
		return fmt.Sprintf("event %d did not come: %s", d.Event, d.Want)
	}
	return fmt.Sprintf("event %d was %s, now it is %s", d.Event, d.Want, d.Got)
}

// maxDifferences ends a replay that has lost its way.
const maxDifferences = 10

// player is a replay under way.
type player struct {
	cfg     Config
	gateway *vgw.Gateway
	process *launch.Process
	gates   *gate.Server
	env     map[string]string

	socket  *vgw.Socket
	hello   *runnerv1alpha1.Hello
	session *vgw.Session
	taken   map[int]bool // entries of the Log
	reads   map[readID]uint64
	report  Report
}

// Run replays. The error is about the runner, which wraps engine.ErrNoRunner if it did not come up, or about the suite.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Patience == 0 {
		cfg.Patience = 5 * time.Second
	}
	p := &player{cfg: cfg, taken: map[int]bool{}, reads: map[readID]uint64{}}
	var err error
	if p.gateway, err = vgw.Listen(vgw.Config{}); err != nil {
		return nil, err
	}
	defer p.gateway.Close()
	if p.gates, err = gate.Listen(); err != nil {
		return nil, err
	}
	defer p.gates.Close()
	p.env = map[string]string{
		"STAGEDOOR_ENDPOINT": p.gateway.Endpoint(), "STAGEDOOR_TOKEN": engine.Token, "STAGEDOOR_RUNNER_NAME": "conform", "CONFORM_GATE_URL": p.gates.URL(),
	}
	if !slices.ContainsFunc(cfg.Events, func(e *trace.Event) bool { return e.Happening == trace.GateOpened }) {
		open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
		defer open.Close()
		p.env["CONFORM_GATE_URL"] = open.URL
	}
	if err := p.launch(); err != nil {
		return nil, err
	}
	defer func() { p.process.Kill() }()
	for i, e := range cfg.Events {
		if e.Happening == trace.Ended && restarts(cfg.Events[i+1:]) {
			p.process.Kill() // it was no doing of the runner's
		}
		if err := p.event(ctx, e); err != nil {
			return nil, fmt.Errorf("event %d: %w", e.Seq, err)
		}
		if len(p.report.Differences) >= maxDifferences {
			return &p.report, nil
		}
	}
	p.besides(ctx)
	return &p.report, nil
}

func (p *player) launch() error {
	process, err := launch.Start(p.cfg.Runner, p.env)
	p.process = process
	return err
}

// event does what a record says.
func (p *player) event(ctx context.Context, e *trace.Event) error {
	switch {
	case e.Happening == trace.ProcessEnded:
		p.process.Kill()
		p.socket, p.session = nil, nil
	case e.Happening == trace.ProcessStarted && !p.process.Alive():
		p.socket, p.session = nil, nil
		return p.launch()
	case e.Happening == trace.Opened:
		return p.accept(ctx)
	case e.Happening == trace.GateReached:
		ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.Patience, errors.New("it does not come there"))
		defer cancel()
		return p.gates.Reached(ctx, e.Note)
	case e.Happening == trace.GateOpened:
		p.gates.Open(e.Note)
	case e.Happening == trace.Closed && p.socket != nil:
		p.socket.Cut("as recorded")
	case e.Happening == trace.Ended && p.socket != nil:
		return p.ended(ctx)
	case e.Frame == nil:
	case e.Direction == trace.ToRunner && !e.Assembled:
		return p.say(ctx, e)
	case e.Direction == trace.FromRunner:
		return p.hear(ctx, e)
	}
	return nil
}

// restarts says whether another process was started before the next socket.
func restarts(events []*trace.Event) bool {
	for _, e := range events {
		if e.Happening == trace.ProcessStarted || e.Happening == trace.ProcessEnded {
			return true
		}
		if e.Happening == trace.Opened {
			return false
		}
	}
	return false
}

// accept takes the runner's next socket, as long as its process lives.
func (p *player) accept(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 4*p.cfg.Patience, fmt.Errorf("the runner does not dial within %v", 4*p.cfg.Patience))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	process := p.process
	go func() {
		select {
		case <-process.Done():
			code, _ := process.Exit(context.Background())
			stop(fmt.Errorf("its command %s", launch.Ending(code)))
		case <-ctx.Done():
		}
	}()
	var err error
	first := p.hello == nil
	if p.socket, err = p.gateway.Accept(ctx); err == nil {
		p.hello, err = p.socket.Hello(ctx)
	}
	if err == nil || !first || ctx.Err() == nil {
		return err
	}
	if last, _ := plain.Last(p.process.Output(), 1); len(last) > 0 {
		return fmt.Errorf("%w: %w; its last line: %s", engine.ErrNoRunner, context.Cause(ctx), last[0])
	}
	return fmt.Errorf("%w: %w", engine.ErrNoRunner, context.Cause(ctx))
}

func (p *player) ended(ctx context.Context) error {
	timer := time.NewTimer(p.cfg.Patience)
	defer timer.Stop()
	select {
	case <-p.socket.Done():
		return nil
	case <-timer.C:
		return errors.New("the runner does not close its socket, as it did when this was recorded")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// linked makes sure of a session: a case that shares its link with others was recorded without the link's beginning.
func (p *player) linked(ctx context.Context) error {
	if p.session != nil {
		return nil
	}
	if p.socket == nil {
		if err := p.accept(ctx); err != nil {
			return err
		}
	}
	p.begin(vgw.DefaultWelcome(p.hello))
	return nil
}

func (p *player) begin(m *runnerv1alpha1.Welcome) {
	p.session = p.gateway.Welcome(p.socket, p.hello, m)
	p.session.Hold(vgw.Drains, vgw.Adopts)
}

// say sends what was sent.
func (p *player) say(ctx context.Context, e *trace.Event) error {
	f := new(tap.Frame)
	_ = proto.Unmarshal(e.Frame, f) // what is none is sent as it is
	switch {
	case f.GetWelcome() != nil && p.socket == nil:
		return errors.New("a Welcome without socket")
	case f.GetWelcome().GetResumedReceived() > 0 && p.session != nil:
		return p.gateway.Resume(p.socket, p.hello, p.session, nil)
	case f.GetWelcome() != nil:
		p.begin(f.GetWelcome())
		return nil
	case f.GetReject() != nil && p.socket != nil:
		p.socket.Reject(f.GetReject())
		return nil
	case f.GetGoodbye() != nil && p.socket != nil:
		p.socket.Goodbyes(f.GetGoodbye())
		return nil
	case ours(f):
		return nil
	}
	if err := p.linked(ctx); err != nil {
		return err
	}
	p.report.Sent++
	return p.session.SendRaw(p.rebound(f, e.Frame))
}

// ours are frames that the virtual gateway sends by itself.
func ours(f *tap.Frame) bool {
	return f.GetPing() != nil || f.GetPong() != nil || f.GetAck() != nil || f.GetResumed() != nil
}

// hear waits for the next frame of the same actor, and compares.
func (p *player) hear(ctx context.Context, e *trace.Event) error {
	want := new(tap.Frame)
	if proto.Unmarshal(e.Frame, want) != nil || skipped(want) {
		return nil
	}
	if err := p.linked(ctx); err != nil {
		return err
	}
	got := p.next(ctx, tap.Actor(want))
	switch {
	case got == nil:
		p.differ(Difference{Event: e.Seq, Want: text(want)})
	case !p.same(want, got):
		p.differ(Difference{Event: e.Seq, Want: text(want), Got: text(got)})
	default:
		p.report.Same++
	}
	return nil
}

func (p *player) differ(d Difference) { p.report.Differences = append(p.report.Differences, d) }

// next is the actor's next frame that was not looked at; nil: none came in time.
func (p *player) next(ctx context.Context, actor uint64) *tap.Frame {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Patience)
	defer cancel()
	found, err := p.gateway.Log.Find(ctx, 0, func(entry *vgw.Entry) bool {
		return !p.taken[entry.Index] && entry.Frame != nil && !skipped(entry.Frame) && entry.Actor() == actor
	})
	if err != nil {
		return nil
	}
	p.taken[found.Index] = true
	return found.Frame
}

// besides are frames that were not recorded: of those that have come when a fence is answered, or when the session was over.
func (p *player) besides(ctx context.Context) {
	entries, _ := p.gateway.Log.From(0)
	if last := p.fence(ctx); last != nil {
		entries, _ = p.gateway.Log.From(0)
		entries = entries[:last.Index]
	}
	for _, entry := range entries {
		if !p.taken[entry.Index] && entry.Frame != nil && !skipped(entry.Frame) {
			p.differ(Difference{Got: text(entry.Frame)})
		}
	}
}

// fence is the answer to one that was not recorded; nil: there is none.
func (p *player) fence(ctx context.Context) *vgw.Entry {
	const nonce = 1 << 50
	f := &tap.Frame{Kind: &runnerv1alpha1.Frame_Fence{Fence: &runnerv1alpha1.Fence{Nonce: nonce}}}
	if p.session == nil || !p.session.Alive() || p.session.Send(f) != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Patience)
	defer cancel()
	answer, err := p.gateway.Log.Find(ctx, 0, func(entry *vgw.Entry) bool { return entry.Frame.GetFenceReached().GetNonce() == nonce })
	if err != nil {
		return nil
	}
	return answer
}
