package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/monitor"
	"github.com/stagedoor-dev/stagedoor/conformance/pattern"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
)

// Status is how a case ended.
type Status string

// The ways a case ends.
const (
	Pass    Status = "pass"
	Fail    Status = "fail"
	Skip    Status = "skip"    // the runner does not claim the profile
	NoStart Status = "nostart" // the program under test did not come up
	Error   Status = "error"   // the suite itself went wrong
	Unknown Status = "unknown" // the machine was too slow to tell
)

// Outcome is what is known of one run of a case.
type Outcome struct {
	Status   Status
	Code     string // stable: CASE/step, or CASE/MON-nn
	Message  string
	Took     time.Duration
	Events   []*trace.Event
	Findings []monitor.Finding
	Output   string // of the runner, where it failed
	TimedOut bool   // nothing came that was waited for
}

// run is one case under way.
type run struct {
	stage   *Stage
	test    *casefile.Case
	env     *pattern.Env
	session *vgw.Session
	socket  *vgw.Socket

	start   int // in the gateway's Log
	taken   map[int]bool
	matched map[string]int // by name of a step: the entry it matched
	ended   map[string]int // by name of a step: the Log's length at its end
	gates   []string
	actors  []*vgw.Actor
	step    string
}

// errHarness is wrapped by errors that are not the runner's.
var errHarness = errors.New("the suite")

const (
	caseTimeout = 20 * time.Second
	stepTimeout = 5 * time.Second
)

// Run runs one case.
func (s *Stage) Run(ctx context.Context, test *casefile.Case) Outcome {
	began, events := time.Now(), s.recorder.Len()
	s.gateway.Reset()
	s.forgetOutput()
	if s.beginCase(test) && s.process != nil {
		s.retire() // what the case calls by numbers of its own was called so before
	}
	s.recorder.In(test.Id)
	s.recorder.Add(&trace.Event{Happening: trace.CaseBegan, Note: test.Title})
	out := s.try(ctx, test)
	s.recorder.Add(&trace.Event{Happening: trace.CaseEnded, Note: string(out.Status) + " " + out.Message})
	s.recorder.In("")
	out.Took, out.Events = time.Since(began), s.recorder.Since(events)
	if out.Status != Pass && out.Status != Skip {
		s.kill() // nobody knows in what state it is
		out.Output = s.Output()
	}
	return out
}

func (s *Stage) try(ctx context.Context, test *casefile.Case) Outcome {
	lag := watchLag()
	defer lag.stop()
	timeout := caseTimeout
	if test.TimeoutMs > 0 {
		timeout = time.Duration(test.TimeoutMs) * time.Millisecond
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.scale(timeout), errors.New("the whole case takes too long"))
	defer cancel()
	r := &run{stage: s, test: test, env: pattern.NewEnv(), taken: map[int]bool{}, matched: map[string]int{}, ended: map[string]int{}}
	err := r.prepare(ctx)
	if err == nil {
		err = r.all(ctx, test.Steps, "")
	}
	r.clean(err == nil)
	out := r.outcome(err)
	out.TimedOut = errors.Is(err, context.DeadlineExceeded)
	if out.Status == Fail && out.TimedOut && lag.worst() > s.scale(stepTimeout)/3 {
		out.Status = Unknown
	}
	return out
}

// outcome makes of an error what it means.
func (r *run) outcome(err error) Outcome {
	findings := r.stage.findingsOf(r.test)
	code := r.test.Id + "/" + r.step
	switch {
	case err == nil && len(findings) > 0:
		return Outcome{Status: Fail, Code: r.test.Id + "/" + findings[0].Monitor, Message: findings[0].Text, Findings: findings}
	case err == nil:
		return Outcome{Status: Pass}
	case errors.Is(err, errSkip):
		return Outcome{Status: Skip, Message: err.Error()}
	case errors.Is(err, errHarness):
		return Outcome{Status: Error, Code: code, Message: err.Error(), Findings: findings}
	case errors.Is(err, ErrNoRunner) && r.step == "prepare":
		return Outcome{Status: NoStart, Code: code, Message: err.Error(), Findings: findings}
	}
	return Outcome{Status: Fail, Code: code, Message: err.Error(), Findings: findings}
}

var errSkip = errors.New("not claimed")

// prepare gives the case the isolation that it asks for.
func (r *run) prepare(ctx context.Context) error {
	r.step = "prepare"
	s := r.stage
	if r.test.Profile != "core" {
		if s.hello == nil {
			if err := s.shared(ctx); err != nil {
				return err
			}
		}
		if !Claims(s.hello, r.test.Profile) {
			return fmt.Errorf("the profile %s is %w", r.test.Profile, errSkip)
		}
	}
	switch r.test.Isolation {
	case conformancev1alpha1.Isolation_ISOLATION_LINK:
		if err := s.running(); err != nil {
			return err
		}
		s.retire()
	case conformancev1alpha1.Isolation_ISOLATION_PROCESS:
		s.kill()
	default:
		if err := s.shared(ctx); err != nil {
			return err
		}
		r.session, r.socket = s.session, s.socket
		s.share(r.test)
	}
	r.start = s.gateway.Log.Len()
	if r.session == nil && implicit(r.test.Steps[0]) {
		return r.connect(ctx, &conformancev1alpha1.Connect{})
	}
	return nil
}

// implicit says whether a link is made before that first step.
func implicit(step *casefile.Step) bool {
	switch step.Action.(type) {
	case *conformancev1alpha1.Step_Connect, *conformancev1alpha1.Step_Process:
		return false
	}
	return true
}

// all does steps; prefix stands before their numbers in codes.
func (r *run) all(ctx context.Context, steps []*casefile.Step, prefix string) error {
	for i, step := range steps {
		r.step = prefix + casefile.StepName(step, i)
		r.stage.recorder.Add(&trace.Event{Happening: trace.StepBegan, Note: r.step})
		timeout := stepTimeout
		if step.TimeoutMs > 0 {
			timeout = time.Duration(step.TimeoutMs) * time.Millisecond
		}
		err := r.one(ctx, step, r.stage.scale(timeout))
		if err != nil {
			return err
		}
		if step.Name != "" {
			r.ended[step.Name] = r.stage.gateway.Log.Len()
		}
	}
	return nil
}

// one does one step within its time.
func (r *run) one(ctx context.Context, step *casefile.Step, timeout time.Duration) error {
	if rep := step.GetRepeat(); rep != nil { // bounded by the case
		return r.repeat(ctx, rep)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, &tooLate{timeout})
	defer cancel()
	return r.do(ctx, step)
}

// tooLate is the end of a step's time.
type tooLate struct{ after time.Duration }

func (t *tooLate) Error() string        { return fmt.Sprintf("nothing came within %v", t.after) }
func (t *tooLate) Is(target error) bool { return target == context.DeadlineExceeded }

func (r *run) repeat(ctx context.Context, m *conformancev1alpha1.Repeat) error {
	before := r.env.Names()
	name := ""
	if m.As != "" {
		name = m.As[1:]
	}
	outer := r.step
	for i := range m.Times {
		for bound := range r.env.Names() {
			if !before[bound] {
				r.env.Unset(bound)
			}
		}
		if name != "" {
			r.env.Set(name, uint64(i))
		}
		if err := r.all(ctx, m.Steps, outer+"."); err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
	}
	r.step = outer
	return nil
}

// clean leaves the runner as the next case wants it.
func (r *run) clean(passed bool) {
	for _, id := range r.gates {
		r.openGate(id)
	}
	s := r.stage
	if r.test.Isolation != conformancev1alpha1.Isolation_ISOLATION_SHARED && r.test.Isolation != conformancev1alpha1.Isolation_ISOLATION_UNSPECIFIED {
		s.session, s.socket = nil, r.socket
		if r.session != nil {
			dismissed := !passed || r.dismiss()
			r.session.End()
			if !dismissed {
				s.kill()
			}
		}
		for _, a := range r.actors { // so that they are not adopted in another case
			s.gateway.Store.Disown(a.ID)
		}
		if r.test.Isolation == conformancev1alpha1.Isolation_ISOLATION_PROCESS {
			s.kill()
		}
		return
	}
	if passed && !r.dismiss() {
		s.kill()
	}
}

// dismiss ends the case's actors, so that nothing of them is heard later.
func (r *run) dismiss() bool {
	ctx, cancel := context.WithTimeout(context.Background(), r.stage.scale(3*time.Second))
	defer cancel()
	for _, a := range r.actors {
		if r.stage.gateway.Running(a) && r.stop(a.Ref(), "fenced", 2000) != nil {
			return false
		}
	}
	for _, a := range r.actors {
		if !r.stage.gateway.Running(a) {
			continue
		}
		ref := a.Ref()
		if _, err := r.stage.gateway.Log.Find(ctx, r.start, func(e *vgw.Entry) bool { return e.Name == "actorStopped" && e.Actor() == ref }); err != nil {
			return false
		}
	}
	return r.settle(ctx)
}

// settle waits until all has come that the runner has said so far: a fence is answered behind it [LINK-8]. Where there is no link
// any more there is nothing to wait for.
func (r *run) settle(ctx context.Context) bool {
	if r.session == nil || !r.session.Alive() {
		return true
	}
	socket := r.session.Socket()
	if socket == nil {
		return true
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := socket.Done()
	go func() {
		select {
		case <-ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	nonce := r.stage.gateway.NextRef()
	if r.session.Send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_Fence{Fence: &runnerv1alpha1.Fence{Nonce: nonce}}}) != nil {
		return true
	}
	_, err := r.stage.gateway.Log.Find(ctx, r.start, func(e *vgw.Entry) bool { return e.Frame.GetFenceReached().GetNonce() == nonce })
	return err == nil || closed(ended)
}
