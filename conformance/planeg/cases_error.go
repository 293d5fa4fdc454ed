package planeg

import (
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func errorCases() []*Case {
	return []*Case{
		{ID: "GERR-01", Title: "a code that nobody knows becomes internal.error, and its text does not leave", Requirements: needs("ERR-1:a4adbc ERR-2:f038b8"), run: replacedCode("planet", "exploded")},
		{ID: "GERR-02", Title: "a code that a runner may not send becomes internal.error", Requirements: needs("ERR-2:f038b8"), run: replacedCode("store", "unavailable")},
		{ID: "GERR-03", Title: "a user's error passes unchanged", Requirements: needs("ERR-3:b662b7"), run: userError},
		{ID: "GERR-04", Title: "a refusal reaches the client with the hook's code, and is for good unless it may be repeated", Requirements: needs("CONN-2:03e63e"), run: refusal},
		{ID: "GERR-05", Title: "over HTTP an error has its status, its form, and says whether it ran", Requirements: needs("HTTP-4:5f7246 ERR-4:c3e7dd HTTP-1:f78b5b"), run: httpErrors},
		{ID: "GERR-06", Title: "a start that fails reaches the caller with its cause", Requirements: needs("LIFE-3:34ddda"), run: failedStart},
	}
}

func replacedCode(group, code string) func(*play) {
	return func(p *play) {
		r, c := p.runner(), p.client()
		c.call(1, "a", "x")
		r.begin()
		call := want[*runnerv1alpha1.Call](r)
		r.send(&runnerv1alpha1.CallResult{Actor: call.Actor, Id: call.Id, Error: &commonv1alpha1.Error{Group: group, Code: code, Message: "secret text", Ran: commonv1alpha1.Ran_RAN_YES}})
		e := c.refused(1, "internal.error")
		p.check(e.Message != "secret text", "text", "the text of the error left the gateway")
		c.call(2, "a", "y") // the actor goes on
		r.reply(want[*runnerv1alpha1.Call](r), "\x02")
		c.answered(2, "\x02")
	}
}

func userError(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	r.begin()
	call := want[*runnerv1alpha1.Call](r)
	r.send(&runnerv1alpha1.CallResult{Actor: call.Actor, Id: call.Id, Error: &commonv1alpha1.Error{
		Group: "user", Code: "no_money", Message: "Not enough.", Metadata: []byte("\x18\x2a"), Retryable: true, Ran: commonv1alpha1.Ran_RAN_YES,
	}})
	e := c.refused(1, "user.no_money")
	p.check(e.Message == "Not enough." && string(e.Metadata) == "\x18\x2a" && e.Retryable && e.Ran == commonv1alpha1.Ran_RAN_YES, "unchanged", "the error is %s", show(e))
}

func refusal(p *play) {
	r, c := p.runner(), p.client()
	refuse := func(number uint64, start bool, e *commonv1alpha1.Error) *clientv1alpha1.ConnectionClosed {
		c.send(&clientv1alpha1.ConnectionOpen{Connection: number, Target: p.to("a")})
		if start {
			r.begin()
		}
		open := want[*runnerv1alpha1.ConnectionOpen](r)
		e.Ran = commonv1alpha1.Ran_RAN_YES
		r.send(&runnerv1alpha1.CallResult{Actor: open.Actor, Id: open.Call, Error: e})
		return want(c, func(m *clientv1alpha1.ConnectionClosed) bool { return m.Connection == number })
	}
	m := refuse(1, true, &commonv1alpha1.Error{Group: "user", Code: "banned", Message: "Go away."})
	p.check(m.Error.GetGroup() == "user" && m.Error.GetCode() == "banned", "error", "the client gets %s", show(m))
	p.check(m.Reconnect == commonv1alpha1.Reconnect_RECONNECT_NEVER, "reconnect", "the client gets %s", show(m))
	m = refuse(2, false, &commonv1alpha1.Error{Group: "user", Code: "full", Message: "Later.", Retryable: true})
	p.check(m.Reconnect == commonv1alpha1.Reconnect_RECONNECT_SAME, "reconnect", "the client gets %s", show(m))
	r.fence()
	none[*runnerv1alpha1.ConnectionClose](r, "the connections were never there")
}

func httpErrors(p *play) {
	r := p.runner()
	answers := p.asking("POST", p.action(":a"), `{"args":[]}`)
	r.begin()
	call := want[*runnerv1alpha1.Call](r)
	r.send(&runnerv1alpha1.CallResult{Actor: call.Actor, Id: call.Id, Error: &commonv1alpha1.Error{Group: "user", Code: "no_money", Message: "Not enough.", Ran: commonv1alpha1.Ran_RAN_YES}})
	a := p.answered(answers)
	e, _ := a.body["error"].(object)
	p.check(a.status == 400 && codeOf(a.body) == "user.no_money" && e["ran"] == "yes", "user", "the answer is %d %s", a.status, a.text)
	answers = p.asking("POST", p.action(":a"), `{"args":[]}`)
	call = want[*runnerv1alpha1.Call](r)
	r.send(&runnerv1alpha1.CallResult{Actor: call.Actor, Id: call.Id})
	a = p.answered(answers)
	output, there := a.body["output"]
	p.check(a.status == 200 && there && output == nil, "null", "an action without result answers %d %s", a.status, a.text)
	a = p.ask("POST", p.action(":nobody")+"?mode=get", `{"args":[]}`)
	e, _ = a.body["error"].(object)
	p.check(a.status == 404 && codeOf(a.body) == "actor.not_found" && e["ran"] == "no", "missing", "the answer is %d %s", a.status, a.text)
}

func failedStart(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	start := want[*runnerv1alpha1.StartActor](r)
	r.send(&runnerv1alpha1.ActorStopped{
		Actor: start.Actor, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED,
		Error: &commonv1alpha1.Error{Group: "user", Code: "no_disk", Message: "No disk.", Ran: commonv1alpha1.Ran_RAN_YES},
	})
	e := c.refused(1, "actor.start_failed")
	p.check(e.Ran == commonv1alpha1.Ran_RAN_NO, "ran", "ran is %v", e.Ran)
	c.send(&clientv1alpha1.Call{Id: 2, Action: "x", Target: p.to("a"), Mode: commonv1alpha1.Mode_MODE_GET})
	c.refused(2, "actor.not_found") // the creation was undone [LIFE-4]
}
