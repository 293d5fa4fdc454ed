package model

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/requirement"
)

// Config is one campaign.
type Config struct {
	Scope
	Seed uint64
	// Cases is how many are tried, For the time after which no other one is begun.
	Cases int
	For   time.Duration
	// Run runs a case; an error says how it failed.
	Run func(*casefile.Case) error
}

// Report is what a campaign came to.
type Report struct {
	// Ran is the number of cases, those for shrinking aside.
	Ran int
	// Why the smallest case fails; nil: none did.
	Why error
	// Found is that case as a file, Hash its name.
	Found []byte
	Hash  string
}

// shrinkTime bounds the search for a smaller case.
const shrinkTime = 30 * time.Second

// Check runs a campaign. The error is about the campaign itself.
func Check(cfg Config) (*Report, error) {
	if err := tell(cfg); err != nil {
		return nil, err
	}
	report := &Report{}
	began := time.Now()
	var broken error
	out := &outcome{}
	out.run(func() {
		rapid.Check(out, func(t *rapid.T) {
			if report.Why == nil && cfg.For > 0 && time.Since(began) > cfg.For {
				return
			}
			text, c, err := write(draw(t, cfg.Scope), cfg.Scope)
			if err != nil {
				broken = err
				t.Fatal(err)
			}
			if report.Why == nil {
				report.Ran++
			}
			if err := cfg.Run(c); err != nil {
				report.Why, report.Found = err, text
				t.Fatal(err)
			}
		})
	})
	switch {
	case broken != nil:
		return nil, fmt.Errorf("make a case: %w", broken)
	case out.failed && report.Why == nil:
		return nil, fmt.Errorf("draw cases: %s", out.text)
	}
	sum := sha256.Sum256(report.Found)
	report.Hash = hex.EncodeToString(sum[:4])
	return report, nil
}

// tell sets what rapid takes from flags only. Outside of tests nobody has parsed any.
func tell(cfg Config) error {
	if !flag.Parsed() {
		testing.Init()
		if err := flag.CommandLine.Parse(nil); err != nil {
			return fmt.Errorf("prepare the campaign: %w", err)
		}
	}
	checks := max(cfg.Cases, 1)
	if testing.Short() {
		checks *= 5 // of which rapid then makes a fifth
	}
	for name, value := range map[string]string{
		"rapid.seed": strconv.FormatUint(max(cfg.Seed, 1), 10), "rapid.checks": strconv.Itoa(checks),
		"rapid.nofailfile": "true", "rapid.shrinktime": shrinkTime.String(),
	} {
		if err := flag.Set(name, value); err != nil {
			return fmt.Errorf("prepare the campaign: %w", err)
		}
	}
	return nil
}

// write makes a case of steps, as text and as the engine takes it.
func write(steps []Step, scope Scope) ([]byte, *casefile.Case, error) {
	index, err := links("CALL-1", "CALL-3", "STATE-1", "KV-2", "KV-3", "TURN-6")
	if err != nil {
		return nil, nil, err
	}
	one := map[string]any{
		"id": "MODEL-01", "title": "a program has the outcome that the reference has", "requirements": index, "profile": "kv",
		"isolation": scope.isolation(), "steps": steps, "timeoutMs": 60_000,
	}
	text, err := yaml.Marshal([]any{one})
	if err != nil {
		return nil, nil, fmt.Errorf("write a case: %w", err)
	}
	cases, err := casefile.Parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("read the case that was made: %w\n%s", err, text)
	}
	return text, cases[0], nil
}

func links(ids ...string) ([]any, error) {
	all, err := requirement.All()
	if err != nil {
		return nil, err
	}
	index := requirement.Index(all)
	var list []any
	for _, id := range ids {
		list = append(list, map[string]any{"id": id, "hash": index[id].Hash})
	}
	return list, nil
}

func (s Scope) isolation() string {
	switch {
	case s.Kills:
		return "process"
	case s.Cuts:
		return "link"
	}
	return "shared"
}

// outcome is where rapid says how a check went, outside of tests.
type outcome struct {
	failed bool
	text   string
}

// run calls f, which may end by FailNow.
func (o *outcome) run(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// What follows is rapid.TB.

func (o *outcome) Helper()             {}
func (o *outcome) Name() string        { return "campaign" }
func (o *outcome) Log(...any)          {}
func (o *outcome) Logf(string, ...any) {}
func (o *outcome) Fail()               { o.failed = true }
func (o *outcome) Failed() bool        { return o.failed }

func (o *outcome) FailNow() {
	o.failed = true
	runtime.Goexit()
}

func (o *outcome) Error(args ...any) { o.Errorf("%s", fmt.Sprint(args...)) }

func (o *outcome) Errorf(format string, args ...any) {
	o.failed, o.text = true, fmt.Sprintf(format, args...)
}

func (o *outcome) Fatal(args ...any) {
	o.Error(args...)
	o.FailNow()
}

func (o *outcome) Fatalf(format string, args ...any) {
	o.Errorf(format, args...)
	o.FailNow()
}

func (o *outcome) Skip(...any)          { runtime.Goexit() }
func (o *outcome) Skipf(string, ...any) { runtime.Goexit() }
func (o *outcome) SkipNow()             { runtime.Goexit() }
