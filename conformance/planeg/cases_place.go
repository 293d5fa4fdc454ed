package planeg

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func placeCases() []*Case {
	return []*Case{
		{ID: "GPLC-01", Title: "new actors go to the runners of the highest version, and to the least loaded of them", Requirements: needs("LINK-12:b4a50a"), run: highestVersion},
		{ID: "GPLC-02", Title: "an open that its runner did not answer is made again with the next life", Requirements: needs("CONN-8:8e67c4"), run: openAgain},
		{ID: "GPLC-03", Title: "an actor that ends again and again is paused, and who would wait long hears why", Requirements: needs("LIFE-11:440629"), run: crashLoop},
		{ID: "GPLC-04", Title: "generations are of the store's time and grow, and every life has a nonce of its own", Requirements: needs("FENCE-2:cb7fae COMMIT-3:555c84"), run: generations},
		{ID: "GPLC-05", Title: "a class that the store cannot give is refused for good, and fast is none of these", Requirements: needs("CLASS-1:f2794a"), run: classes},
	}
}

// either takes the first such message that comes to any of the peers, and says to which.
func either[M any, S sided](p *play, of []S, fits ...func(M) bool) (S, M) {
	end := time.Now().Add(p.patience(5 * time.Second))
	for {
		for _, s := range of {
			if m, why := find(s.side(), 10*time.Millisecond, fits); why == "" {
				return s, m
			}
		}
		p.check(time.Now().Before(end), nameOf[M](), "none of %d gets a %s", len(of), nameOf[M]())
	}
}

func highestVersion(p *play) {
	versioned := func(version uint64) *runner {
		hello := p.aHello()
		hello.RunnerVersion = version
		return p.welcomed(hello)
	}
	c, newer, other, old := p.client(), versioned(2), versioned(2), versioned(1)
	took := map[*runner]int{}
	for i := range uint64(6) {
		c.call(i+1, fmt.Sprint(i), "x")
		r, start := either[*runnerv1alpha1.StartActor](p, []*runner{newer, other, old})
		took[r]++
		r.ready(start)
		r.reply(want[*runnerv1alpha1.Call](r), "\x01")
		c.answered(i+1, "\x01")
	}
	p.check(took[old] == 0, "version", "%d of 6 actors went to the runner of a lower version", took[old])
	p.check(took[newer] == 3 && took[other] == 3, "load", "of 6 actors %d and %d went to two equal runners", took[newer], took[other])
}

func openAgain(p *play) {
	first, c := p.runner(), p.client()
	c.send(&clientv1alpha1.ConnectionOpen{Connection: 1, Target: p.to("a"), Params: []byte("\x07"), Subscriptions: []string{"tick"}})
	first.begin()
	want[*runnerv1alpha1.ConnectionOpen](first) // and is not answered
	first.cut()
	r := p.runner()
	ref := r.begin().Actor
	open := r.admit()
	p.check(open.Actor == ref && string(open.Params) == "\x07" && len(open.Subscriptions) == 1, "open", "the next life gets %s", show(open))
	want(c, func(m *clientv1alpha1.ConnectionOpened) bool { return m.Connection == 1 })
	none[*clientv1alpha1.ConnectionClosed](c, "the open was made again")
	r.send(emit(ref, "tick", open.Connection))
	want[*clientv1alpha1.Event](c)
}

func crashLoop(p *play) {
	r, c := p.runner(), p.client()
	var ended time.Time
	for failures := 0; ; failures++ {
		p.check(failures < 12, "refused", "%d lives have failed, and no caller was told", failures)
		id := uint64(failures) + 1
		c.call(id, "a", "x")
		switch _, m := either(p, []*peer{r.peer, c.peer}, startOrResult); m := m.(type) {
		case *runnerv1alpha1.StartActor:
			if failures >= 2 {
				pause := 100 * time.Millisecond << (failures - 2)
				p.check(time.Since(ended) > pause-5*time.Millisecond, "pause", "after %d failures the next life began %v later", failures, time.Since(ended))
			}
			r.ready(m)
			r.reply(want[*runnerv1alpha1.Call](r), "\x01")
			c.answered(id, "\x01")
			ended = time.Now()
			r.send(&runnerv1alpha1.ActorStopped{
				Actor: m.Actor, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_CRASHED,
				Error: &commonv1alpha1.Error{Group: "user", Code: "boom", Message: "It went off.", Ran: commonv1alpha1.Ran_RAN_YES},
			})
			r.fence() // else the next call might cross the end, and wait for the next life without being refused
		case *clientv1alpha1.CallResult:
			p.loops(m.Error, failures)
			return
		}
	}
}

// startOrResult fits the next life, and the answer to who does not get one.
func startOrResult(m proto.Message) bool {
	switch m.(type) {
	case *runnerv1alpha1.StartActor, *clientv1alpha1.CallResult:
		return true
	}
	return false
}

// loops checks what is told of an actor that has failed so often.
func (p *play) loops(e *commonv1alpha1.Error, failures int) {
	p.check(failures > 2, "early", "after %d failures the caller is told %s", failures, show(e))
	p.check(e.GetGroup() == "actor" && e.GetCode() == "crash_loop" && e.Ran == commonv1alpha1.Ran_RAN_NO, "error", "the caller is told %s", show(e))
	p.check(e.RetryAfterMs > 0 && e.RetryAfterMs <= 11_000 && strings.Contains(e.Message, "user.boom"), "error", "the caller is told %s", show(e))
	a := p.ask("GET", p.at(":a"), "")
	actor := described(a)
	cause, _ := actor["cause"].(object)
	p.check(actor["failures"] == float64(failures) && cause["code"] == "boom" && actor["nextStartAt"] != nil, "described", "after %d failures the description is %s", failures, a.text)
}

func generations(p *play) {
	r, c := p.runner(), p.client()
	var last *runnerv1alpha1.StartActor
	for id := range uint64(3) {
		c.call(id+1, "a", "x")
		start := r.begin()
		at := time.UnixMicro(int64(start.Generation)) //nolint:gosec // compared with 2^53 next
		p.check(start.Generation < 1<<53 && time.Since(at).Abs() < 24*time.Hour, "generation", "the generation %d is no time in microseconds that is near", start.Generation)
		p.check(len(start.Nonce) == 16, "nonce", "the nonce is %x", start.Nonce)
		if last != nil {
			p.check(start.Generation > last.Generation, "generation", "the generation %d follows %d", start.Generation, last.Generation)
			p.check(string(start.Nonce) != string(last.Nonce), "nonce", "two lives have the nonce %x", start.Nonce)
		}
		last = start
		r.reply(want[*runnerv1alpha1.Call](r), "\x01")
		c.answered(id+1, "\x01")
		r.send(&runnerv1alpha1.ActorIntent{Actor: start.Actor, Intent: runnerv1alpha1.Intent_INTENT_SLEEP})
		r.stops(start.Actor, runnerv1alpha1.StopReason_STOP_REASON_SLEEP, slept)
	}
}

func classes(p *play) {
	for name, class := range runnerv1alpha1.Durability_value {
		hello := p.aHello()
		hello.Types[0].Name += strings.ToLower(name[len("DURABILITY"):])
		hello.Types[0].Durability = runnerv1alpha1.Durability(class)
		r := p.dial()
		r.send(hello)
		switch m := want(r, func(m any) bool { _, ack := m.(*commonv1alpha1.Ping); return !ack }).(type) {
		case *runnerv1alpha1.Welcome:
		case *runnerv1alpha1.Reject:
			p.check(m.Code == "runner.durability_unsupported" && !m.Retryable, "reject", "a type of %s is rejected by %s", name, show(m))
			p.check(hello.Types[0].Durability > runnerv1alpha1.Durability_DURABILITY_FAST, "fast", "a type of %s is refused", name)
			r.closes()
		default:
			p.failf("answer", "a type of %s is answered %s", name, show(m))
		}
	}
}
