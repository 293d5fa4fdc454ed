package planeg

import (
	"net/url"
	"slices"
	"strings"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func httpCases() []*Case {
	return []*Case{
		{ID: "GHTTP-01", Title: "over HTTP an actor is created once, found, and described", Requirements: needs("HTTP-2:acd40f LIFE-1:cd21b6"), run: resources},
		{ID: "GHTTP-02", Title: "a listing has every actor once, in the order of their ids, page by page", Requirements: needs("LIST-1:c118a1 HTTP-2:acd40f"), Admin: true, run: listing},
		{ID: "GHTTP-03", Title: "a body is read by its content type, and answered in kind or as asked for", Requirements: needs("HTTP-3:1807a2"), run: contentTypes},
		{ID: "GHTTP-04", Title: "the deadline of a call over HTTP comes by header or by parameter", Requirements: needs("HTTP-5:766114 CALL-4:6508b7"), run: httpDeadline},
		{ID: "GHTTP-05", Title: "a gateway that serves says so, and what it is", Requirements: needs("HTTP-6:6548a8"), run: health},
		{ID: "GHTTP-06", Title: "pages of the same origin may ask, of others only in development", Requirements: needs("HTTP-7:2ea2ae"), run: origins},
		{ID: "GHTTP-07", Title: "a destroy from outside runs the hook of an actor that can be started, and removes one that cannot", Requirements: needs("LIFE-7:5e9bdd HTTP-2:acd40f"), Admin: true, run: destroyedFromOutside},
	}
}

// described is the actor of an answer.
func described(a answer) object {
	o, _ := a.body["actor"].(object)
	return o
}

func resources(p *play) {
	r := p.runner()
	p.says(p.ask("GET", p.at(":a"), ""), 404, "actor.not_found")
	answers := p.asking("POST", p.at(":a"), `{"input":7}`)
	start := r.begin("a")
	p.check(string(start.Input) == "\x07", "input", "the input is %x", start.Input)
	a := p.answered(answers)
	p.says(a, 201, "")
	actor := described(a)
	key, _ := actor["key"].([]any)
	p.check(a.body["created"] == true && actor["id"] == start.Id && actor["type"] == p.kind && actor["namespace"] == "default" && len(key) == 1 && key[0] == "a",
		"created", "the creation answers %s", a.text)
	for _, field := range []string{"state", "generation", "version", "createdAt"} {
		p.check(actor[field] != nil, "created", "the description has no %s: %s", field, a.text)
	}
	again := p.ask("POST", p.at(":a"), `{}`)
	p.says(again, 409, "actor.duplicate_key")
	got := p.ask("PUT", p.at(":a"), `{}`)
	p.says(got, 200, "")
	p.check(got.body["created"] == false && described(got)["id"] == start.Id, "found", "getOrCreate answers %s", got.text)
	found := p.ask("GET", p.at(":a"), "")
	p.says(found, 200, "")
	p.check(described(found)["id"] == start.Id, "described", "the description is %s", found.text)
}

func listing(p *play) {
	r := p.runner()
	var made []string
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		made = append(made, p.put(r, key).Id)
	}
	var listed []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		p.check(pages < 100, "end", "the listing does not end: %v", listed)
		a := p.ask("GET", "/v1/actors?limit=2&type="+p.kind+"&cursor="+url.QueryEscape(cursor), "", p.admin()...)
		p.says(a, 200, "")
		actors, _ := a.body["actors"].([]any)
		p.check(len(actors) <= 2, "limit", "a page of at most 2 has %d", len(actors))
		for _, one := range actors {
			o, _ := one.(object)
			id, _ := o["id"].(string)
			listed = append(listed, id)
		}
		cursor, _ = a.body["cursor"].(string)
	}
	slices.Sort(made)
	p.check(slices.Equal(listed, made), "order", "listed are %v, there are %v", listed, made)
}

func contentTypes(p *play) {
	r := p.runner()
	const json, cbor, curl = "application/json", "application/cbor", "application/x-www-form-urlencoded"
	const binary, inCBOR = "\xa1\x64args\x81\x05", "\xa1\x66output\x06" // {"args":[5]}, {"output":6}
	for i, c := range []struct{ body, kind, accept, answered string }{
		{`{"args":[5]}`, json + "; charset=utf-8", "", json},
		{`{"args":[5]}`, curl, "", json},
		{binary, cbor, "", cbor},
		{`{"args":[5]}`, json, cbor, cbor},
		{binary, cbor, json, json},
	} {
		headers := []string{"Content-Type", c.kind}
		if c.accept != "" {
			headers = append(headers, "Accept", c.accept)
		}
		answers := p.asking("POST", p.action(":a"), c.body, headers...)
		if i == 0 {
			r.begin()
		}
		call := want[*runnerv1alpha1.Call](r)
		p.check(string(call.Args) == "\x81\x05", "args", "the arguments %q as %s come as %x", c.body, c.kind, call.Args)
		r.reply(call, "\x06")
		a := p.answered(answers)
		p.check(a.status == 200 && strings.HasPrefix(a.header.Get("Content-Type"), c.answered), "kind", "%s, Accept %q is answered %d %s", c.kind, c.accept, a.status, a.header.Get("Content-Type"))
		p.check(c.answered != cbor || a.text == inCBOR, "output", "the answer is %x", a.text)
	}
	p.says(p.ask("POST", p.action(":a"), `{"args":[5]}`, "Content-Type", "text/plain"), 415, "request.unsupported_media_type")
	r.fence()
	none[*runnerv1alpha1.Call](r, "its content type is not taken")
}

func httpDeadline(p *play) {
	r := p.runner()
	start := func(a <-chan answer) {
		call := want[*runnerv1alpha1.Call](r)
		p.check(call.DeadlineMs > 0 && call.DeadlineMs <= 400, "deadline", "the runner is given %d ms", call.DeadlineMs)
		began := time.Now()
		p.says(p.answered(a), 504, "action.timed_out")
		p.check(time.Since(began) < p.patience(5*time.Second), "late", "after a deadline of 400 ms the answer came in %v", time.Since(began))
		r.send(&runnerv1alpha1.CallResult{Actor: call.Actor, Id: call.Id, Error: &commonv1alpha1.Error{Group: "action", Code: "timed_out", Message: "late", Ran: commonv1alpha1.Ran_RAN_YES}})
	}
	answers := p.asking("POST", p.action(":a"), "", "Stagedoor-Deadline-Ms", "400")
	r.begin()
	start(answers)
	start(p.asking("POST", p.action(":a")+"?deadlineMs=400", ""))
	p.says(p.ask("POST", p.action(":a")+"?deadlineMs=soon", ""), 400, "request.invalid")
}

func health(p *play) {
	for _, path := range []string{"/healthz", "/readyz", "/v1/metadata"} {
		a := p.ask("GET", path, "", p.admin()...)
		p.check(a.status == 200, "status", "%s answers %d %s", path, a.status, short(a.text))
		p.check(path != "/v1/metadata" || len(a.body) > 0, "metadata", "the metadata are %s", short(a.text))
	}
	if p.adminToken == "" && p.clientToken != "" {
		return // metrics are an admin's
	}
	a := p.ask("GET", "/metrics", "", p.admin()...)
	p.check(a.status == 200 && strings.Contains(a.text, "# TYPE stagedoor_"), "metrics", "/metrics answers %d %s", a.status, short(a.text))
}

func origins(p *play) {
	r := p.runner()
	const header = "Access-Control-Allow-Origin"
	own := strings.TrimSuffix(p.gateway.url(""), "/")
	a := p.ask("OPTIONS", p.action(":a"), "", "Origin", own, "Access-Control-Request-Method", "POST")
	p.check(a.status/100 == 2 && (a.header.Get(header) == own || a.header.Get(header) == "*"), "same", "the gateway's own origin is answered %d, %s %q", a.status, header, a.header.Get(header))
	const foreign = "https://elsewhere.example"
	a = p.ask("OPTIONS", p.action(":a"), "", "Origin", foreign, "Access-Control-Request-Method", "POST")
	allowed := a.header.Get(header)
	if p.client().welcome.Development {
		p.check(allowed == foreign || allowed == "*", "any", "in development %s is told that %q may ask", foreign, allowed)
		return
	}
	p.check(allowed == "", "foreign", "%s is told that %q may ask; the gateway has to be started without other origins", foreign, allowed)
	p.says(p.ask("POST", p.action(":a"), "", "Origin", foreign, "Content-Type", "application/json"), 403, "auth.forbidden")
	r.fence()
	none[*runnerv1alpha1.StartActor](r, "the origin may not ask")
}

func destroyedFromOutside(p *play) {
	r := p.runner()
	start := p.put(r, "hosted")
	failing := p.put(r, "failing")
	answers := p.asking("DELETE", p.at(":hosted"), "", p.admin()...)
	stop := want[*runnerv1alpha1.StopActor](r)
	p.check(stop.Actor == start.Actor && stop.Reason == runnerv1alpha1.StopReason_STOP_REASON_DESTROY, "stop", "the actor is stopped by %s", show(stop))
	r.send(&runnerv1alpha1.Commit{Actor: start.Actor, Version: 2, Changes: changes(&runnerv1alpha1.Changes{Destroy: true})})
	r.acked(start.Actor, 2)
	r.send(&runnerv1alpha1.ActorStopped{Actor: start.Actor, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_DESTROYED})
	p.says(p.answered(answers), 204, "")
	p.says(p.ask("GET", p.at(":hosted"), ""), 404, "actor.not_found")
	// One that cannot be started needs no hook.
	r.send(&runnerv1alpha1.ActorIntent{Actor: failing.Actor, Intent: runnerv1alpha1.Intent_INTENT_SLEEP})
	r.stops(failing.Actor, runnerv1alpha1.StopReason_STOP_REASON_SLEEP, slept)
	r.fence()
	answers = p.asking("DELETE", p.at(":failing"), "", p.admin()...)
	start = want[*runnerv1alpha1.StartActor](r)
	r.send(&runnerv1alpha1.ActorStopped{
		Actor: start.Actor, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED,
		Error: &commonv1alpha1.Error{Group: "user", Code: "no_disk", Message: "No disk.", Ran: commonv1alpha1.Ran_RAN_YES},
	})
	p.says(p.answered(answers), 204, "")
	p.says(p.ask("GET", p.at(":failing"), ""), 404, "actor.not_found")
}
