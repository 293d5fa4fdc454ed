// Package suite runs many cases against one program: several runners beside each other, each case as often as asked, whatever
// the runners do meanwhile. It makes the verdict's Result of what the cases came to.
//
// The command and the kill matrix call Run, which returns when everything that it started has ended.
package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/plain"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
)

// Config says what is run.
type Config struct {
	Options engine.Options
	// Cases in the order in which they are begun.
	Cases   []*casefile.Case
	Seed    uint64
	Jobs    int
	Repeat  int
	Version string
	// Record keeps the whole traces in the result.
	Record bool
	// Again is how a case is repeated by hand, without its words.
	Again verdict.Again
	// More are words that the command which repeats a case needs besides.
	More []string
	// Progress, if not nil, is told of each case when it is over, one at a time.
	Progress func(verdict.Case)
}

// Run runs the cases. The result is not concluded yet, so that known failures can be taken off.
func Run(ctx context.Context, cfg Config) *verdict.Result {
	result := &verdict.Result{
		Schema: 1, Suite: cfg.Version, Subject: "runner", Command: cfg.Options.Command, Protocol: vgw.Protocol,
		Seed: cfg.Seed, Jobs: max(1, cfg.Jobs), Repeat: max(1, cfg.Repeat), Started: time.Now(),
	}
	b := &bench{ctx: ctx, cfg: cfg, result: result, queue: slices.Clone(cfg.Cases)}
	first, err := b.first()
	if err != nil {
		b.refuse(err)
	} else {
		var workers sync.WaitGroup
		workers.Go(func() { b.work(first) })
		for range min(result.Jobs, len(cfg.Cases)) - 1 {
			workers.Go(func() { b.work(nil) })
		}
		workers.Wait()
	}
	slices.SortFunc(result.Cases, func(x, y verdict.Case) int { return strings.Compare(x.ID, y.ID) })
	result.TookMs = time.Since(result.Started).Milliseconds()
	return result
}

// bench hands cases to workers.
type bench struct {
	ctx context.Context
	cfg Config

	mu       sync.Mutex
	result   *verdict.Result
	queue    []*casefile.Case
	deaf     int    // cases in a row that failed because nothing came
	unborn   int    // cases in a row for which the runner did not start
	sockets  uint32 // in the recorded traces
	progress sync.Mutex
}

// first starts a runner, to see whether it comes up and what it says of itself.
func (b *bench) first() (*engine.Stage, error) {
	stage, err := engine.NewStage(b.cfg.Options)
	if err != nil {
		return nil, err
	}
	hello, err := stage.Hello(b.ctx)
	if err != nil {
		stage.Close() // so that all is there that it wrote
		b.result.Output = tail(strings.TrimSpace(stage.Output()), maxOutput)
		if last, _ := plain.Last(stage.Output(), 1); len(last) > 0 {
			err = fmt.Errorf("%w; its last line: %s", err, last[0])
		}
		return nil, err
	}
	b.meet(hello)
	return stage, nil
}

func (b *bench) meet(hello *runnerv1alpha1.Hello) {
	r := b.result
	r.Runner = verdict.Runner{SDK: hello.Sdk, SDKVersion: hello.SdkVersion, Features: hello.Features}
	for _, t := range hello.Types {
		r.Runner.Types = append(r.Runner.Types, t.Name)
	}
	for _, c := range b.cfg.Cases {
		list := &r.Claimed
		if !engine.Claims(hello, c.Profile) {
			list = &r.NotClaimed
		}
		if !slices.Contains(*list, c.Profile) {
			*list = append(*list, c.Profile)
		}
	}
	slices.SortFunc(r.Claimed, profileOrder)
	slices.SortFunc(r.NotClaimed, profileOrder)
}

// profileOrder has core first.
func profileOrder(x, y string) int {
	switch {
	case x == y:
		return 0
	case x == "core":
		return -1
	case y == "core":
		return 1
	}
	return strings.Compare(x, y)
}

// refuse says of every case why none was run.
func (b *bench) refuse(err error) {
	status := verdict.Error
	if errors.Is(err, engine.ErrNoRunner) {
		status = verdict.NoStart
	}
	for _, c := range b.cfg.Cases {
		v := b.describe(c)
		v.Status, v.Code, v.Message = status, c.Id+"/start", err.Error()
		b.result.Cases = append(b.result.Cases, v)
	}
}

func (b *bench) next() *casefile.Case {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return nil
	}
	c := b.queue[0]
	b.queue = b.queue[1:]
	return c
}

// work runs cases until there are none. It takes over stage, or opens one.
func (b *bench) work(stage *engine.Stage) {
	for c := b.next(); c != nil; c = b.next() {
		if stage == nil {
			var err error
			if stage, err = engine.NewStage(b.cfg.Options); err != nil {
				v := b.describe(c)
				v.Status, v.Code, v.Message = verdict.Error, c.Id+"/prepare", err.Error()
				b.done(v)
				continue
			}
		}
		v := b.run(stage, c)
		b.late(stage)
		b.done(v)
	}
	if stage != nil {
		stage.Close()
		b.late(stage)
		b.record(stage)
	}
}

// record keeps the trace of a runner, its sockets and events numbered behind those of the runners before it.
func (b *bench) record(stage *engine.Stage) {
	if !b.cfg.Record {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	sockets, events := b.sockets, uint64(len(b.result.Trace))
	for _, e := range stage.Events() {
		if e.Socket > 0 {
			e.Socket += sockets
		}
		e.Seq += events
		b.sockets = max(b.sockets, e.Socket)
		b.result.Trace = append(b.result.Trace, e)
	}
}

func (b *bench) describe(c *casefile.Case) verdict.Case {
	v := verdict.Case{ID: c.Id, Title: c.Title, Category: casefile.Category(c.Id), Profile: c.Profile}
	for _, link := range c.Requirements {
		v.Requirements = append(v.Requirements, link.Id)
	}
	v.Repeat = b.cfg.again(c.Id)
	return v
}

// again is the command that repeats a case as it was run here.
func (cfg *Config) again(id string) string {
	words := []string{"run", "--runner", cfg.Options.Command, "--case", id, "--seed", strconv.FormatUint(cfg.Seed, 10)}
	if cfg.Repeat > 1 {
		words = append(words, "--repeat", strconv.Itoa(cfg.Repeat))
	}
	if p := cfg.Options.Patience; p != 0 && p != 1 {
		words = append(words, "--patience", strconv.FormatFloat(p, 'g', -1, 64))
	}
	if d := cfg.Options.StartTimeout; d != 0 && d != engine.DefaultStartTimeout {
		words = append(words, "--start-timeout", d.String())
	}
	return cfg.Again.With(cfg.Options.Env).Line(append(words, cfg.More...)...)
}

// severity orders statuses, so that a case has the worst of its runs.
var severity = []verdict.Status{verdict.Pass, verdict.Skip, verdict.Unknown, verdict.NoStart, verdict.Fail, verdict.Error}

// run runs one case as often as asked.
func (b *bench) run(stage *engine.Stage, c *casefile.Case) verdict.Case {
	v := b.describe(c)
	v.Status = verdict.Pass
	for range b.result.Repeat {
		if b.ctx.Err() != nil {
			v.Status, v.Code, v.Message = verdict.Unknown, c.Id+"/interrupted", "the run was interrupted"
			return v
		}
		if b.hopeless() {
			v.Status, v.Code, v.Message = verdict.NoStart, c.Id+"/prepare", "the runner did not start for three cases before"
			return v
		}
		out := stage.Run(b.ctx, c)
		if out.Status == engine.Unknown { // the machine was busy elsewhere: once more
			out = stage.Run(b.ctx, c)
		}
		b.note(stage, out)
		v.Runs++
		if out.Status == engine.Pass {
			v.Passes++
		}
		v.TookMs = max(v.TookMs, float64(out.Took.Microseconds())/1000)
		if slices.Index(severity, verdict.Status(out.Status)) > slices.Index(severity, v.Status) {
			b.keep(&v, out)
		}
		if out.Status == engine.Skip {
			return v
		}
	}
	if v.Passes > 0 && v.Passes < v.Runs {
		v.Message = fmt.Sprintf("passed %d of %d runs; %s", v.Passes, v.Runs, v.Message)
	}
	return v
}

func (b *bench) keep(v *verdict.Case, out engine.Outcome) {
	v.Status, v.Code, v.Message = verdict.Status(out.Status), out.Code, out.Message
	v.Findings, v.MoreFindings = nil, 0
	for _, f := range out.Findings {
		v.Find(verdict.Finding{Monitor: f.Monitor, Text: f.Text, Seq: f.Seq})
	}
	if out.Status != engine.Skip {
		v.Output = tail(strings.TrimSpace(out.Output), maxOutput)
		v.Events, v.Lines = out.Events, verdict.LinesOf(out.Events)
	}
}

// maxOutput is how much of a runner's output is kept of a case.
const maxOutput = 8000

// tail is the end of a text, whole runes.
func tail(text string, n int) string {
	if len(text) > n {
		text = "…" + strings.ToValidUTF8(text[len(text)-n:], "")
	}
	return text
}

const (
	// deafAfter so many cases in a row to which nothing came the others wait less: the runner says nothing at all.
	deafAfter = 5
	// unbornAfter so many in a row for which the runner did not start there are no more attempts.
	unbornAfter = 3
)

func (b *bench) hopeless() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.unborn >= unbornAfter
}

// note learns from an outcome how long to wait in the next cases.
func (b *bench) note(stage *engine.Stage, out engine.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case out.Status == engine.NoStart:
		b.unborn++
		return
	case out.TimedOut:
		b.deaf++
	case out.Status == engine.Pass:
		b.deaf = 0
	}
	b.unborn = 0
	stage.Hurry(b.deaf >= deafAfter)
}

func (b *bench) done(v verdict.Case) {
	b.mu.Lock()
	b.result.Cases = append(b.result.Cases, v)
	b.mu.Unlock()
	b.tell(v)
}

func (b *bench) tell(v verdict.Case) {
	if b.cfg.Progress != nil {
		b.progress.Lock()
		defer b.progress.Unlock()
		b.cfg.Progress(v)
	}
}
