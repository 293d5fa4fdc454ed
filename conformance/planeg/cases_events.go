package planeg

import (
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func eventsCases() []*Case {
	return []*Case{
		{ID: "GSSE-01", Title: "a connection's events come as server-sent events, between its beginning and its end", Requirements: needs("HTTP-10:785f55 CONN-3:a8ef08"), run: eventsOverHTTP},
		{ID: "GSSE-02", Title: "a connection that is refused at once is answered as any request is", Requirements: needs("HTTP-10:785f55"), run: eventsRefused},
		{ID: "GSSE-03", Title: "behind the last event that arrived come those that did not, once each", Requirements: needs("HTTP-10:785f55 SESS-15:01f473"), run: eventsGoOn},
		{ID: "GSSE-04", Title: "an id that leads nowhere is answered with another connection", Requirements: needs("HTTP-10:785f55"), run: eventsOfNobody},
		{ID: "GSSE-05", Title: "a stream of events that is silent for a while gets a comment", Requirements: needs("HTTP-10:785f55 SESS-5:3b0af6"), Slow: true, run: silentEvents},
	}
}

// following has the actor a of the case take a connection whose events are tick.
func (p *play) following(r *runner) (s *stream, opened object, at *runnerv1alpha1.ConnectionOpen) {
	p.put(r, "a")
	return p.follow(r, p.at(":a")+"/events?event=tick&params=7", "")
}

// follow is events with a runner that takes the connection.
func (p *play) follow(r *runner, path, behind string) (s *stream, opened object, at *runnerv1alpha1.ConnectionOpen) {
	streams := p.events(path, behind)
	at = r.admit()
	s, opened = p.opened(streams)
	return s, opened, at
}

func (r *runner) tick(at *runnerv1alpha1.ConnectionOpen, arg byte) {
	r.send(&runnerv1alpha1.Emit{Actor: at.Actor, Event: "tick", Args: []byte{0x81, arg}})
}

func eventsOverHTTP(p *play) {
	r := p.runner()
	s, opened, at := p.following(r)
	p.check(at.Transport == "sse" && string(at.Params) == "\x07" && len(at.Subscriptions) == 1 && at.Subscriptions[0] == "tick", "open", "the actor is asked %s", show(at))
	p.check(opened["connectionId"] == at.ConnectionId && opened["actorId"] != nil && opened["resumed"] == false, "opened", "stagedoor:opened says %v", opened)
	r.tick(at, 1)
	r.send(
		&runnerv1alpha1.Emit{Actor: at.Actor, Event: "tock", Args: []byte{0x80}},
		&runnerv1alpha1.Emit{Actor: at.Actor, Event: "stagedoor:closed", Args: []byte{0x80}, To: []uint64{at.Connection}},
		&runnerv1alpha1.Emit{Actor: at.Actor, Event: "a\ndata: b", Args: []byte{0x80}, To: []uint64{at.Connection}},
		&runnerv1alpha1.Emit{Actor: at.Actor, Event: "told", Args: []byte{0x82, 0x61, '\n', 0x41, 0}, To: []uint64{at.Connection}},
		&runnerv1alpha1.ConnectionClose{Actor: at.Actor, Connection: at.Connection, Code: "connection.disconnected", Reason: "Bye."},
	)
	s.hears("tick", "[1]")
	s.hears("told", `["\n",["$Uint8Array","AA=="]]`)
	closed := s.ends()
	p.check(codeOf(closed) == "connection.disconnected" && closed["reconnect"] == "never", "closed", "stagedoor:closed says %v", closed)
	a := p.ask("GET", p.at(":a")+"/events?event=tick", "", "Last-Event-ID", s.id)
	p.check(a.status == 204, "never", "who comes back all the same is answered %d %s", a.status, short(a.text))
}

func eventsRefused(p *play) {
	r := p.runner()
	p.says(p.ask("GET", p.at(":none")+"/events?event=tick&mode=get", ""), 404, "actor.not_found")
	p.put(r, "a")
	answers := p.asking("GET", p.at(":a")+"/events", "", "Accept", "text/event-stream")
	open := want[*runnerv1alpha1.ConnectionOpen](r)
	r.send(&runnerv1alpha1.CallResult{Actor: open.Actor, Id: open.Call, Error: &commonv1alpha1.Error{Group: "user", Code: "banned", Message: "No.", Ran: commonv1alpha1.Ran_RAN_YES}})
	p.says(p.answered(answers), 400, "user.banned")
	for _, query := range []string{"event=a%0Ab", "event=a%0Db", "event=stagedoor:opened", "mode=perhaps"} {
		p.says(p.ask("GET", p.at(":a")+"/events?"+query, ""), 400, "request.invalid")
	}
	p.says(p.ask("GET", p.at(":a")+"/events?params=x", ""), 400, "request.invalid_json")
	p.says(p.ask("POST", p.at(":a")+"/events", ""), 405, "request.method_not_allowed")
	r.fence()
	none[*runnerv1alpha1.ConnectionOpen](r, "it was refused")
}

func eventsGoOn(p *play) {
	r := p.runner()
	s, opened, at := p.following(r)
	r.tick(at, 1)
	r.tick(at, 2)
	s.hears("tick", "[1]")
	s.leave()
	r.tick(at, 3)
	path := p.at(":a") + "/events?event=tick&params=7"
	for i, path := range []string{path, path + "&lastEventId=nowhere"} { // the header is what a browser has of its own
		next, again := p.opened(p.events(path, s.id))
		s = next
		p.check(again["resumed"] == true && again["connectionId"] == opened["connectionId"] && again["actorId"] == opened["actorId"], "opened", "stagedoor:opened says %v, first %v", again, opened)
		for n := byte(2 + 2*i); n < byte(4+2*i); n++ {
			s.hears("tick", "["+string('0'+n)+"]")
		}
		s.leave()
		r.tick(at, byte(4+2*i))
		r.tick(at, byte(5+2*i))
	}
	r.fence()
	none[*runnerv1alpha1.ConnectionOpen](r, "its connection goes on")
	none[*runnerv1alpha1.ConnectionClose](r, "its connection goes on")
}

func eventsOfNobody(p *play) {
	r := p.runner()
	s, opened, _ := p.following(r)
	path := p.at(":a") + "/events?event=tick&params=7"
	for _, id := range []string{"nonsense", "..", s.id + "0"} {
		_, other, _ := p.follow(r, path, id)
		p.check(other["resumed"] == false && other["connectionId"] != opened["connectionId"], "anew", "behind %q stagedoor:opened says %v", id, other)
	}
	s, _, _ = p.follow(r, path, "")
	_, other, _ := p.follow(r, p.at(":a")+"/events?event=tock", s.id)
	p.check(other["resumed"] == false, "anew", "for other events stagedoor:opened says %v", other)
}

func silentEvents(p *play) {
	r := p.runner()
	every := time.Duration(p.client().welcome.PingMs) * time.Millisecond
	p.check(every > 0, "ping_ms", "Welcome does not say how often there are Pings")
	s, _, at := p.following(r)
	late := time.AfterFunc(every+p.patience(5*time.Second), s.leave)
	defer late.Stop()
	e, err := s.read()
	p.check(err == nil && e.name == "" && e.comment != "", "comment", "within %s there came %s %s, %v", every, e.name, e.data, err)
	r.tick(at, 1)
	s.hears("tick", "[1]")
}
