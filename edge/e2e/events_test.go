package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// [HTTP-10] [CONN-1] [CONN-3]
func TestEventsOverHTTP(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j, _ := w.hostLab()
		l := w.open(annsEvents("&event=count&event=big"), "")
		wantEqual(w, "Cache-Control", l.res.Header.Get("Cache-Control"), "no-store")
		wantEqual(w, "X-Accel-Buffering", l.res.Header.Get("X-Accel-Buffering"), "no")
		wantEqual(w, "resumed", l.opened.Resumed, false)
		described := w.do("GET", "/v1/actors/lab:r", "").body["actor"].(map[string]any)
		wantEqual(w, "actor", l.opened.ActorID, described["id"].(string))
		if l.opened.ConnectionID == "" || l.id == "" {
			w.Errorf("opened is %+v, its id %q", l.opened, l.id)
		}
		l.want(`welcome ["ann"]`)
		w.act("lab:r", "burst", "[3]") // it is not subscribed to these
		w.act("lab:r", "add", "[2]")
		w.act("lab:r", "tell", `["ann","one\ntwo"]`)
		w.act("lab:r", "bigEvent", "[2]")
		l.want("count [2]", `private ["one\ntwo"]`, `big [["$Uint8Array","AAA="]]`)
		l.silent()
		byID := w.open("/v1/actors/@"+l.opened.ActorID+"/events?event=count", "")
		byID.want(`welcome [""]`)
		w.act("lab:r", "add", "[1]")
		byID.want("count [3]")
		l.want("count [3]")
		wantEqual(w, "the hooks", j.take(), "createState create wake connect:ann connect:")
		w.act("lab:r", "destroyMe", "[]")
		l.closed("actor.destroyed", "never")
	})
}

// [HTTP-10] [SESS-15]: whatever point the socket breaks at, the client has each event once.
func TestEventsGoOnWhereTheyWereCut(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j, _ := w.hostLab()
		path := annsEvents("&event=tick")
		l := w.open(path, "")
		l.want(`welcome ["ann"]`)
		first := l.opened
		for heard := range 11 { // of the ten events, so many arrive before the first cut
			w.act("lab:r", "burst", "[10]")
			tick := 0
			hear := func(to int) {
				for ; tick < to; tick++ {
					l.want(fmt.Sprintf("tick [%d]", tick))
				}
			}
			hear(heard)
			for range 3 { // and those after it break, too, in the middle of an event
				if tick < 10 {
					_, _ = l.from.ReadString(' ')
				}
				id := l.id
				l.cut()
				if tick%2 == 0 {
					l = w.open(path+"&lastEventId="+url.QueryEscape(id), "")
				} else {
					l = w.open(path, id)
				}
				wantEqual(w, "resumed", l.opened.Resumed, true)
				wantEqual(w, "actor", l.opened.ActorID, first.ActorID)
				wantEqual(w, "connection", l.opened.ConnectionID, first.ConnectionID)
				hear(min(tick+1, 10))
			}
			hear(10)
			l.silent()
		}
		// What was said while nobody was there; and a response of which nothing arrives.
		l.cut()
		w.act("lab:r", "burst", "[1]")
		lost := w.listen(path, l.id)
		lost.cut()
		l = w.open(path, l.id)
		wantEqual(w, "resumed", l.opened.Resumed, true)
		l.want("tick [0]")
		wantEqual(w, "the actor noticed nothing", j.take(), "createState create wake connect:ann")
		l.cut()
		sleep(29 * time.Second)
		wantEqual(w, "the client may come back", j.take(), "")
		sleep(2 * time.Second)
		wantEqual(w, "and has not", j.take(), "disconnect:ann")
		wantEqual(w, "resumed", w.open(path, l.id).opened.Resumed, false)
	})
}

// [HTTP-10] [SESS-15]: sockets break while the actor goes on, now with much that was not read, now with nothing.
func TestEventsAmidCuts(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j, _ := w.hostLab()
		random := rand.New(rand.NewPCG(7, 10))
		path := annsEvents("&event=count")
		l := w.open(path, "")
		l.want(`welcome ["ann"]`)
		const all = 2000
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range all {
				w.act("lab:r", "add", "[1]")
			}
		}()
		cuts := 0
		for n := 1; n <= all; n++ {
			l.want(fmt.Sprintf("count [%d]", n))
			if random.IntN(10) > 0 {
				continue
			}
			if cuts++; random.IntN(2) == 0 {
				_ = l.conn.Close() // else the gateway learns of it by who comes
			}
			if l = w.open(path, l.id); !l.opened.Resumed {
				w.Fatalf("behind event %d: another connection", n)
			}
		}
		<-done
		l.silent()
		wantEqual(w, "the actor noticed nothing", j.take(), "createState create wake connect:ann")
		if cuts < all/20 {
			w.Errorf("%d cuts", cuts)
		}
	})
}

// [HTTP-10] [SESS-15]: the client is back before the gateway has noticed that it was away.
func TestEventsGoOnOverAnotherSocket(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.hostLab()
		path := annsEvents("&event=tick")
		first := w.open(path, "")
		first.want(`welcome ["ann"]`)
		second := w.open(path, first.id)
		wantEqual(w, "resumed", second.opened.Resumed, true)
		first.closed("session.superseded", "never")
		wantEqual(w, "the first stays away", w.do("GET", path, "", "Last-Event-ID", first.id).status, http.StatusNoContent)
		w.act("lab:r", "burst", "[2]")
		second.want("tick [0]", "tick [1]")
	})
}

// [HTTP-10]: where a session cannot go on, another begins, and nobody else's is harmed.
func TestEventsThatCannotGoOn(t *testing.T) {
	cfg := gateway.Config{Tokens: auth.Tokens{Client: []string{"c1", "c2"}, Runner: []string{"r"}}}
	inWorld(t, cfg, func(w *world) {
		j := new(journal)
		w.host(runner.Config{Token: "r"}, labType(labOptions{journal: j, options: []runner.Option{runner.WithSleepAfter(time.Hour)}}))
		ann, bob := []string{"Authorization", "Bearer c1"}, []string{"Authorization", "Bearer c2"}
		path := annsEvents("&event=tick")
		l := w.open(path, "", ann...)
		l.want(`welcome ["ann"]`)
		token, _, _ := strings.Cut(l.id, l.id[strings.LastIndexByte(l.id, '.'):])
		for _, id := range []string{"nonsense", ".", "never.1", ".2", "\xff\xfe", strings.Repeat("9", 1000), "local.1", token, token + "x.2"} {
			wantEqual(w, "resumed behind "+id, w.open(path, id, ann...).opened.Resumed, false)
		}
		wantEqual(w, "another's", w.open(path, l.id, bob...).opened.Resumed, false)
		w.act("lab:r", "tell", `["ann","psst"]`, ann...)
		l.want(`private ["psst"]`)
		wantEqual(w, "nobody has left", strings.Contains(j.take(), "disconnect"), false)

		// What is asked for is not what there was.
		for _, other := range []string{annsEvents("&event=count"), strings.Replace(path, "lab:r", "lab:s", 1)} {
			l := w.open(path, "", ann...)
			l.want(`welcome ["ann"]`)
			id := l.id
			wantEqual(w, "resumed as something else", w.open(other, id, ann...).opened.Resumed, false)
			l.closed("session.superseded", "never")
		}
		// Counts that are impossible: the session is over.
		for _, count := range []string{"0", "3", "-1", "18446744073709551615", "18446744073709551616", "two", ""} {
			l := w.open(path, "", ann...)
			l.want(`welcome ["ann"]`)
			j.take()
			wantEqual(w, "resumed behind "+count, w.open(path, l.id[:strings.LastIndexByte(l.id, '.')+1]+count, ann...).opened.Resumed, false)
			l.closed("session.superseded", "never")
			synctest.Wait()
			if got := j.take(); !strings.Contains(got, "disconnect:ann") {
				w.Errorf("behind the count %q: %s", count, got)
			}
		}
	})
}

// [HTTP-10] [SESS-15]: the session of an event stream is no other's, and no other's is that of an event stream.
func TestEventsAndSocketsDoNotShareSessions(t *testing.T) {
	inBothForms(t, gateway.Config{}, func(w *world, r *resumer) {
		w.hostLab()
		r.connect()
		r.opened(1, "r", "bob", "tick")
		l := w.open(annsEvents("&event=tick"), string(r.resume)+".1")
		wantEqual(w, "resumed", l.opened.Resumed, false)
		l.want(`welcome ["ann"]`)
		r.call(1, "burst", 1)
		r.want("1 tick 0")
		l.want("tick [0]")
		r.cut()
		r.resume = []byte(l.id[:strings.LastIndexByte(l.id, '.')])
		r.dial()
		r.want("reject request.invalid")
		w.act("lab:r", "burst", "[1]")
		l.want("tick [0]")
	})
}

// [HTTP-10] [CONN-4]: the end of a connection comes behind its events, and says whether to come back.
func TestTheEndOfEvents(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j, _ := w.hostLab()
		path := annsEvents("&event=tick")
		l := w.open(path, "")
		w.act("lab:r", "burst", "[2]")
		w.act("lab:r", "kick", `["ann"]`)
		l.want(`welcome ["ann"]`, "tick [0]")
		l.cut() // the end is lost, and comes again
		l = w.open(path, l.id)
		wantEqual(w, "resumed", l.opened.Resumed, true)
		l.want("tick [1]")
		l.closed("connection.disconnected", "never")
		r := w.do("GET", path, "", "Last-Event-ID", l.id)
		wantEqual(w, "who comes back all the same", fmt.Sprint(r.status, r.raw), "204")
		wantEqual(w, "and by parameter", w.do("GET", path+"&lastEventId="+l.id, "").status, 204)
		wantEqual(w, "the hooks", j.take(), "createState create wake connect:ann disconnect:ann")
	})
}

// [HTTP-10] [SESS-17]: what was too much to keep is lost with its connection, and another is opened at once.
func TestEventsThatWereTooManyToKeep(t *testing.T) {
	inWorld(t, limited(func(l *wire.Limits) { l.MaxChannelKept = 4 << 10 }), func(w *world) {
		j, _ := w.hostLab()
		path := annsEvents("&event=tick")
		l := w.open(path, "")
		for range 100 { // with the socket alive it harms nobody, though nothing is acknowledged
			w.act("lab:r", "burst", "[10]")
		}
		l.want(`welcome ["ann"]`)
		for i := range 1000 {
			l.want(fmt.Sprintf("tick [%d]", i%10))
		}
		id := l.id
		l.cut()
		l = w.open(path, id)
		wantEqual(w, "resumed", l.opened.Resumed, true)
		l.cut()
		w.act("lab:r", "burst", "[1000]")
		synctest.Wait()
		wantEqual(w, "the connection is over", j.take(), "createState create wake connect:ann disconnect:ann")
		l = w.open(path, l.id)
		wantEqual(w, "resumed", l.opened.Resumed, false)
		l.want(`welcome ["ann"]`)
		w.act("lab:r", "burst", "[1]")
		l.want("tick [0]")
	})
}

// [HTTP-10] [SESS-6]: who does not read is parted from, delays nobody, and may come back.
func TestASlowReaderOfEvents(t *testing.T) {
	inWorld(t, limited(func(l *wire.Limits) { l.MaxSessionQueue = 32 << 10 }), func(w *world) {
		j, _ := w.hostLab()
		path := annsEvents("&event=tick")
		slow, quick := w.open(path, ""), w.open(strings.Replace(path, "ann", "bob", 1), "")
		quick.want(`welcome ["bob"]`)
		for range 20 {
			w.act("lab:r", "burst", "[100]")
			for i := range 100 {
				quick.want(fmt.Sprintf("tick [%d]", i))
			}
		}
		sleep(3 * time.Second) // it does not read the farewell either
		wantEqual(w, "slow readers", strings.Contains(w.do("GET", "/metrics", "").raw, "\nstagedoor_slow_readers_total 1\n"), true)
		if _, err := io.Copy(io.Discard, slow.conn); err != nil {
			w.Errorf("its socket: %v", err)
		}
		slow = w.open(path, slow.id)
		wantEqual(w, "resumed", slow.opened.Resumed, true)
		slow.want(`welcome ["ann"]`)
		for i := range 2000 {
			slow.want(fmt.Sprintf("tick [%d]", i%100))
		}
		if got := j.take(); strings.Contains(got, "disconnect") {
			w.Errorf("the hooks: %s", got)
		}
	})
}

// [HTTP-10] [SESS-5]: a client says nothing, and is kept for as long as it takes what comes.
func TestSilentEventsArePinged(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j, _ := w.hostLab()
		l := w.open(annsEvents("&event=count"), "")
		l.want(`welcome ["ann"]`)
		begun := time.Now()
		for range 20 {
			l.want(": ping")
		}
		wantEqual(w, "twenty pings", time.Since(begun), 300*time.Second)
		sleep(14 * time.Second)
		w.act("lab:r", "add", "[1]")
		l.want("count [1]")
		begun = time.Now()
		l.want(": ping")
		wantEqual(w, "behind an event", time.Since(begun), 15*time.Second)
		// A client that takes nothing is gone after three intervals.
		j.take()
		sleep(45*time.Second + 15*time.Second)
		wantEqual(w, "it may come back", j.take(), "")
		sleep(30 * time.Second)
		wantEqual(w, "it has not", j.take(), "disconnect:ann")
	})
}

// [HTTP-10] [FRAME-6]
func TestEventsOfAGatewayThatDrains(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.hostLab()
		l := w.open(annsEvents("&event=count"), "")
		w.act("lab:r", "add", "[1]")
		drained := make(chan error, 1)
		go func() { drained <- w.Drain(w.Context()) }()
		l.want(`welcome ["ann"]`, "count [1]")
		l.closed("gateway.draining", "any")
		if err := <-drained; err != nil {
			w.Error(err)
		}
		r := w.do("GET", annsEvents(""), "", "Last-Event-ID", l.id)
		wantEqual(w, "another", fmt.Sprint(r.status, " ", r.name()), "503 gateway.draining")
	})
}

// [HTTP-10] [HTTP-4]: what is refused at once is answered as any request.
func TestEventsThatAreRefused(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j, _ := w.hostLab()
		w.act("lab:r", "get", "[]")
		j.take()
		many := strings.Repeat("&event=a", 300)
		for _, c := range []struct {
			name, method, path string
			header             []string
			status             int
			code               string
		}{
			{"no actor", "GET", "/v1/actors/lab:none/events?mode=get", nil, 404, "actor.not_found"},
			{"no actor by id", "GET", "/v1/actors/@local-00000000000000000000000000/events", nil, 404, "actor.not_found"},
			{"no type", "GET", "/v1/actors/nobody/events", nil, 404, "actor.type_not_found"},
			{"a hook's error", "GET", "/v1/actors/lab:r/events?params=" + url.QueryEscape(`{"name":"bad"}`), nil, 400, "user.banned"},
			{"a creation's error", "GET", "/v1/actors/lab:n/events?input=" + url.QueryEscape(`"refuse"`), nil, 503, "actor.start_failed"},
			{"there already", "GET", "/v1/actors/lab:r/events?mode=create", nil, 409, "actor.duplicate_key"},
			{"params of no JSON", "GET", "/v1/actors/lab:r/events?params=x", nil, 400, "request.invalid_json"},
			{"input of no JSON", "GET", "/v1/actors/lab:r/events?input=x", nil, 400, "request.invalid_json"},
			{"mode", "GET", "/v1/actors/lab:r/events?mode=upsert", nil, 400, "request.invalid"},
			{"no name", "GET", "/v1/actors/lab:r/events?event=", nil, 400, "request.invalid"},
			{"long name", "GET", "/v1/actors/lab:r/events?event=" + strings.Repeat("x", 129), nil, 400, "request.invalid"},
			{"LF", "GET", "/v1/actors/lab:r/events?event=a%0Adata:b", nil, 400, "request.invalid"},
			{"CR", "GET", "/v1/actors/lab:r/events?event=a%0D", nil, 400, "request.invalid"},
			{"no UTF-8", "GET", "/v1/actors/lab:r/events?event=%ff", nil, 400, "request.invalid"},
			{"the gateway's own", "GET", "/v1/actors/lab:r/events?event=stagedoor:closed", nil, 400, "request.invalid"},
			{"subscriptions", "GET", "/v1/actors/lab:r/events?event=a" + many, nil, 413, "request.too_large"},
			{"address", "GET", "/v1/actors/%ff/events", nil, 400, "request.invalid_address"},
			{"origin", "GET", "/v1/actors/lab:r/events", []string{"Origin", "http://elsewhere"}, 403, "auth.forbidden"},
			{"POST", "POST", "/v1/actors/lab:r/events", nil, 405, "request.method_not_allowed"},
			{"below", "GET", "/v1/actors/lab:r/events/x", nil, 404, "request.not_found"},
		} {
			r := w.do(c.method, c.path, "", append(c.header, "Accept", "text/event-stream")...)
			if r.status != c.status || r.name() != c.code {
				w.Errorf("%s: %d %s, want %d %s", c.name, r.status, r.raw, c.status, c.code)
			}
		}
		head, err := w.HTTP().Head("http://gateway/v1/actors/lab:r/events")
		if err != nil || head.StatusCode != http.StatusMethodNotAllowed {
			w.Errorf("HEAD: %v, %v", head, err)
		}
		wantEqual(w, "nobody was connected", strings.Contains(j.take(), "connect"), false)
		wantEqual(w, "no session is left", strings.Contains(w.do("GET", "/metrics", "").raw, "\nstagedoor_sessions 0\n"), true)
	})
}

// [HTTP-10] [AUTH-1] [LIMIT-2]
func TestWhoMayHaveEvents(t *testing.T) {
	cfg := limited(func(l *wire.Limits) { l.MaxSessionsPerPrincipal, l.MaxSockets = 2, 4 })
	cfg.Tokens = auth.Tokens{Client: []string{"c1", "c2"}, Runner: []string{"r"}, Admin: []string{"a"}}
	inWorld(t, cfg, func(w *world) {
		w.host(runner.Config{Token: "r"}, labType(labOptions{}))
		r := w.do("GET", annsEvents(""), "")
		wantEqual(w, "without token", fmt.Sprint(r.status, " ", r.name(), " ", r.header.Get("WWW-Authenticate")), "401 auth.unauthenticated Bearer")
		wantEqual(w, "a runner's", w.do("GET", annsEvents("&token=r"), "").name(), "auth.forbidden")
		first := w.open(annsEvents("&token=c1"), "")
		second := w.open(annsEvents(""), "", "Authorization", "Bearer c1")
		r = w.do("GET", annsEvents("&token=c1"), "")
		wantEqual(w, "one more session", fmt.Sprint(r.status, " ", r.name()), "429 session.too_many")
		wantEqual(w, "its socket is free again", w.open(annsEvents("&token=c2"), "").opened.Resumed, false)
		r = w.do("GET", annsEvents("&token=c2"), "")
		wantEqual(w, "one more socket", fmt.Sprint(r.status, " ", r.name()), "503 gateway.overloaded")
		wantEqual(w, "counted", w.reached("max_sockets"), 1)
		first.cut()
		second.cut()
		wantEqual(w, "a session without socket is a session", w.do("GET", annsEvents("&token=c1"), "").name(), "session.too_many")
		wantEqual(w, "resumed", w.open(annsEvents("&token=c1"), first.id).opened.Resumed, true)
	})
}

// [HTTP-10]: a client that goes before there is an answer.
func TestEventsThatNobodyWaitsFor(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		waiting, start := make(chan struct{}), make(chan struct{})
		j := new(journal)
		w.host(runner.Config{}, labType(labOptions{journal: j, start: func(context.Context) error {
			close(waiting)
			<-start
			return nil
		}}))
		conn, err := w.Dial(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: gateway\r\n\r\n", annsEvents("&event=count"))
		<-waiting
		_ = conn.Close()
		synctest.Wait()
		close(start)
		synctest.Wait()
		wantEqual(w, "the hooks", j.take(), "createState create wake")
		wantEqual(w, "sessions", strings.Contains(w.do("GET", "/metrics", "").raw, "\nstagedoor_sessions 0\n"), true)
	})
}
