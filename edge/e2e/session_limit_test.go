package e2e

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lxzan/gws"

	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// limited is a gateway with some limits changed.
func limited(change func(*wire.Limits)) gateway.Config {
	limits := wire.DefaultLimits()
	change(&limits)
	return gateway.Config{Limits: limits}
}

// reached is how often a limit was.
func (w *world) reached(limit string) (times int) {
	w.Helper()
	for line := range strings.Lines(w.do("GET", "/metrics", "", "Authorization", "Bearer a").raw) {
		if _, err := fmt.Sscanf(line, `stagedoor_limit_reached_total{limit="`+limit+`"} %d`, &times); err == nil {
			return times
		}
	}
	w.Fatalf("no counter of %s", limit)
	return 0
}

// [LIMIT-1] [LIMIT-2]
func TestSocketsOfAGateway(t *testing.T) {
	inWorld(t, limited(func(l *wire.Limits) { l.MaxSockets = 3 }), func(w *world) {
		w.host(runner.Config{}, labType(labOptions{})) // one
		first, second := w.dial("/v1/connect", ""), w.dial("/v1/connect", "")
		first.text(`{"type":"call","id":1,"action":"add","args":[1],"target":"lab:a"}`)
		first.want("welcome")
		first.want("callResult")
		r := w.do("GET", "/v1/connect", "", "Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		wantEqual(w, "status", r.status, 503)
		wantEqual(w, "code", r.name(), "gateway.overloaded")
		pipe, err := w.DialRunner(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		if n, err := pipe.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			w.Errorf("a runner's socket: %v", err)
		}
		wantEqual(w, "counted", w.reached("max_sockets"), 2)
		wantEqual(w, "HTTP goes on", w.act("lab:a", "add", "[1]").status, 200)
		first.text(`{"type":"call","id":2,"action":"add","args":[1],"target":"lab:a"}`)
		first.want("callResult", "output", 3.0)
		_ = second.conn.NetConn().Close()
		synctest.Wait()
		w.dial("/v1/connect", "").text(`{"type":"hello"}`)
	})
}

// [LIMIT-2] [SESS-15]: no more sessions are kept without socket than there may be sockets.
func TestKeptSessionsOfAGateway(t *testing.T) {
	inAllForms(t, limited(func(l *wire.Limits) { l.MaxSockets = 3 }), func(w *world, r *resumer) {
		j, _ := w.hostLab()
		var all []*resumer
		for _, name := range []string{"ann", "bob", "cid", "dan"} {
			c := w.resumer(r.json)
			c.connect()
			c.opened(1, "r", name)
			c.cut()
			all = append(all, c)
		}
		if got := j.take(); strings.Count(got, "disconnect") != 1 || !strings.Contains(got, "disconnect:dan") {
			w.Errorf("who has left: %s", got)
		}
		wantEqual(w, "resumed", all[0].connect(), true)
		wantEqual(w, "resumed", all[3].connect(), false)
	})
}

// [LIMIT-1] [LIMIT-2]: sessions without socket are sessions.
func TestSessionsOfAPrincipal(t *testing.T) {
	cfg := limited(func(l *wire.Limits) { l.MaxSessionsPerPrincipal = 2 })
	cfg.Tokens = auth.Tokens{Client: []string{"c1", "c2"}, Runner: []string{"r"}, Admin: []string{"a"}}
	inAllForms(t, cfg, func(w *world, r *resumer) {
		w.host(runner.Config{Token: "r"}, labType(labOptions{}))
		with := func(token string) *resumer {
			c := w.resumer(r.json)
			c.token = token
			return c
		}
		first, second, third := with("c1"), with("c1"), with("c1")
		first.connect()
		second.connect()
		second.cut()
		third.dial()
		third.want("reject session.too_many")
		wantEqual(w, "closed", third.closed(), true)
		wantEqual(w, "counted", w.reached("max_sessions_per_principal"), 1)
		with("c2").connect()
		wantEqual(w, "a resume is no new session", second.connect(), true)
		second.say(&commonv1alpha1.Goodbye{})
		synctest.Wait()
		wantEqual(w, "one has left", third.connect(), false)
		first.call(0, "add", 1)
		first.want("result 0/1 = 1")
	})
}

// [LIMIT-1] [LIMIT-2]: over all sessions and HTTP.
func TestCallsOfAPrincipal(t *testing.T) {
	cfg := limited(func(l *wire.Limits) { l.MaxCallsPerPrincipal = 3 })
	cfg.Tokens = auth.Tokens{Client: []string{"c1", "c2"}, Runner: []string{"r"}, Admin: []string{"a"}}
	inBothForms(t, cfg, func(w *world, r *resumer) {
		gate := make(chan struct{})
		w.host(runner.Config{Token: "r"}, labType(labOptions{gate: gate}))
		r.token = "c1"
		r.connect()
		r.call(0, "wait")
		answered := make(chan response, 1)
		go func() {
			answer, err := w.try("POST", "/v1/actors/lab:b/actions/wait", "", "Authorization", "Bearer c1")
			if err != nil {
				w.Error(err)
			}
			answered <- answer
		}()
		synctest.Wait()
		r.call(0, "get") // waits behind the first
		r.call(0, "get")
		r.want(fmt.Sprintf("result 0/%d request.too_many no", r.lastID))
		e := w.act("lab:c", "get", "[]", "Authorization", "Bearer c1")
		wantEqual(w, "over HTTP", e.status, 429)
		wantEqual(w, "over HTTP", e.name(), "request.too_many")
		wantEqual(w, "counted", w.reached("max_calls_per_principal"), 2)
		wantEqual(w, "a neighbour", w.act("lab:c", "get", "[]", "Authorization", "Bearer c2").status, 200)
		close(gate)
		r.want("result 0/1 = opened", "result 0/2 = 0")
		wantEqual(w, "over HTTP", (<-answered).status, 200)
		for range 20 {
			r.call(0, "get")
			r.want(fmt.Sprintf("result 0/%d = 0", r.lastID))
		}
		r.call(0, "wait") // what a session leaves behind is done when its calls are
		r.say(&commonv1alpha1.Goodbye{})
		synctest.Wait()
		wantEqual(w, "afterwards", w.act("lab:c", "get", "[]", "Authorization", "Bearer c1").status, 200)
	})
}

// [LIMIT-4]: from 80 % on new sessions and calls are refused, and nothing else is.
func TestNewWorkIsRefusedWhenMemoryIsShort(t *testing.T) {
	inAllForms(t, limited(func(l *wire.Limits) { l.MaxMemory = 1 << 20 }), func(w *world, r *resumer) {
		_, gate := w.hostLab()
		r.connect()
		r.opened(1, "r", "ann", "tick")
		r.call(0, "wait")
		for range 9 { // held until the first call has ended
			r.call(0, "tell", "nobody", strings.Repeat("x", 100_000))
			sleep(100 * time.Millisecond) // until the runner has acknowledged it
		}
		other := w.resumer(r.json)
		other.dial()
		other.want("reject gateway.overloaded")
		r.call(0, "get")
		r.want(fmt.Sprintf("result 0/%d gateway.overloaded no", r.lastID))
		e := w.act("lab:r", "burst", "[1]")
		wantEqual(w, "over HTTP", e.status, 503)
		wantEqual(w, "over HTTP", e.name(), "gateway.overloaded")
		wantEqual(w, "a creation", w.do("PUT", "/v1/actors/lab:new", "").name(), "gateway.overloaded")
		r.open(2, "s", "bob")
		r.want("closed 2 gateway.overloaded same")
		wantEqual(w, "counted", w.reached("max_memory"), 5)
		r.cut()
		wantEqual(w, "a resume is no new session", r.connect(), true)
		close(gate)
		r.want("result 0/1 = opened")
		for i := range 9 {
			r.want(fmt.Sprintf("result 0/%d = <nil>", i+2))
		}
		wantEqual(w, "afterwards", w.act("lab:r", "burst", "[1]").status, 200)
		r.want("1 tick 0")
		other.connect()
	})
}

// [LIMIT-4]: from 90 % on, sessions without socket end, those that hold most first.
func TestSessionsWithoutSocketEndWhenMemoryIsShort(t *testing.T) {
	inBothForms(t, limited(func(l *wire.Limits) { l.MaxMemory = 2_200_000 }), func(w *world, r *resumer) {
		j, gate := w.hostLab()
		size := 60_000
		if r.json {
			size = 45_000 // base64 makes the same of it
		}
		hold := func(name string, results int) *resumer {
			c := w.resumer(r.json)
			c.connect()
			c.opened(1, name, name)
			c.call(1, "pause", 1000)
			for range results {
				c.call(1, "result", size)
			}
			synctest.Wait()
			c.cut()
			sleep(2 * time.Second)
			return c
		}
		much, little := hold("much", 11), hold("little", 1)
		r.connect()
		r.opened(1, "r", "ann") // this client reads, and does not acknowledge
		r.opened(2, "r", "bob")
		r.call(1, "wait")
		for range 11 { // one after the other, so that little is under way beside what is kept
			for n := uint64(1); n <= 2; n++ {
				r.call(n, "result", size)
				r.call(n, "pause", 100)
			}
		}
		synctest.Wait()
		j.take()
		close(gate)
		sleep(5 * time.Second)
		wantEqual(w, "who has left", j.take(), "disconnect:much")
		for range 1 + 4*11 {
			if got := r.short(r.hear()); !strings.HasPrefix(got, "result ") || strings.Contains(got, "overloaded") {
				w.Fatalf("got %.40q", got)
			}
		}
		wantEqual(w, "resumed with little", little.connect(), true)
		for range 2 {
			little.hear()
		}
		little.silent()
		r.ack()
		synctest.Wait()
		wantEqual(w, "resumed with much", much.connect(), false)
	})
}

// [LIMIT-4]: at 100 %, sessions whose clients do not read end, those that hold most first. They may come back, if they
// were given resume, and nothing is lost of what is acknowledged.
func TestClientsThatDoNotReadAreLetGoWhenMemoryIsShort(t *testing.T) {
	inAllForms(t, limited(func(l *wire.Limits) { l.MaxMemory = 1 << 20 }), func(w *world, r *resumer) {
		j, gate := w.hostLab()
		slow, reader := w.resumer(r.json), w.resumer(r.json)
		slow.connect()
		slow.opened(1, "a", "slow", "big")
		reader.connect()
		reader.opened(1, "b", "reader", "big")
		r.connect()
		r.call(0, "wait")
		for range 10 {
			r.call(0, "bigEvent", 60_000)
		}
		synctest.Wait()
		j.take()
		slow.pipe.pause()
		reader.pipe.pause()
		wantEqual(w, "status", w.act("lab:b", "bigEvent", "[9000]").status, 200)
		close(gate)
		synctest.Wait()
		wantEqual(w, "let go", w.reached("max_memory") > 0, true)
		slow.pipe.flow()
		reader.pipe.flow()
		events := 0
		hear := func(c *resumer) (last string) {
			for m := c.hear(); m != nil; m = c.hear() {
				if last = c.short(m); strings.HasPrefix(last, "1 big") {
					events++
				}
			}
			return last
		}
		wantEqual(w, "the slow one", hear(slow), "goodbye session.slow_reader same")
		slow.cut()
		wantEqual(w, "nobody has left", j.take(), "")
		wantEqual(w, "resumed", slow.connect(), true)
		slow.call(1, "get")
		wantEqual(w, "the slow one again", hear(slow), "result 1/1 = 0")
		wantEqual(w, "events of the slow one", events, 10)
		hear(reader)
		wantEqual(w, "events of the other one", events, 11)
		wantEqual(w, "which is not let go", reader.closed(), false)
	})
}

// [SESS-5]: a message that has begun comes to its end in time, or its socket is closed.
func TestAMessageThatDoesNotEnd(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.dial("/v1/connect", "stagedoor.v1.json")
		s.text(`{"type":"hello"}`)
		s.want("welcome")
		mask := []byte{0, 0, 0, 0}
		write := func(header ...byte) {
			if _, err := s.conn.NetConn().Write(append(header, mask...)); err != nil {
				w.Fatal(err)
			}
		}
		write(0x01, 0x80) // the first fragment of a text
		for range 8 {
			sleep(5 * time.Second)
			write(0x8a, 0x80) // a pong
			write(0x00, 0x80) // another fragment
		}
		for m := s.next(); m != nil; m = s.next() {
			wantEqual(w, "so far", m["type"], any("ping"))
		}
		sleep(6 * time.Second)
		s.want("goodbye", "code", "session.ping_timed_out")
		wantEqual(w, "closed", s.isClosed(), true)
	})
}

// [HTTP-1]: a body comes to its end in time; the call that it brought may take longer.
func TestABodyThatDoesNotEnd(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.hostLab()
		wantEqual(w, "a call that takes its time", w.act("lab:a", "pause", "[50000]").status, 200)
		for path, status := range map[string]string{"actors/lab:a/actions/get": "400", "nothing": "404"} {
			pipe, err := w.Dial(w.Context())
			if err != nil {
				w.Fatal(err)
			}
			answer := make(chan string, 1)
			go func() {
				b, _ := io.ReadAll(pipe)
				answer <- string(b)
			}()
			fmt.Fprintf(pipe, "POST /v1/%s HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n\r\n", path)
			for range 4 {
				fmt.Fprint(pipe, " ")
				sleep(11 * time.Second)
			}
			wantEqual(w, "answered early", len(answer), 0)
			sleep(2 * time.Second)
			if len(answer) == 0 {
				w.Fatalf("%s: nothing came", path)
			}
			if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 "+status) {
				w.Errorf("%s: got %q", path, got)
			}
		}
	})
}

// [SESS-15]: a socket that broke amid a message has sent nothing of it.
func TestHalfAMessageIsNone(t *testing.T) {
	inBothForms(t, gateway.Config{}, func(w *world, r *resumer) {
		w.hostLab()
		r.connect()
		r.opened(1, "r", "ann")
		whole := r.encode(&wire.ClientCall{ID: 1, Connection: 1, Action: []byte("add"), Args: []byte{0x81, 1}})
		r.channels[1].unacked = append(r.channels[1].unacked, sent{frame: whole})
		header := []byte{0x82, 0x80 | byte(len(whole)), 0, 0, 0, 0}
		if r.json {
			header[0] = 0x81
		}
		if _, err := r.s.conn.NetConn().Write(append(header, whole[:len(whole)-1]...)); err != nil {
			w.Fatal(err)
		}
		r.lastID = 1
		r.cut()
		wantEqual(w, "resumed", r.connect(), true)
		r.want("result 1/1 = 1")
		r.silent()
	})
}

// [LIMIT-1]: the table of limits is public.
func TestMetadataShowsTheLimits(t *testing.T) {
	inWorld(t, limited(func(l *wire.Limits) { l.MaxKVKey = 77 }), func(w *world) {
		table, _ := w.do("GET", "/v1/metadata", "").body["limits"].(map[string]any)
		for name, want := range map[string]string{"maxMessage": "16777216", "maxKvKey": "77", "maxMemory": "1073741824", "eventWindow": "8388608"} {
			wantEqual(w, name, fmt.Sprint(table[name]), want)
		}
	})
}

// [FRAME-2] [LIMIT-1]: a message that is too long costs its socket, and is counted.
func TestAMessageThatIsTooLong(t *testing.T) {
	inWorld(t, limited(func(l *wire.Limits) { l.MaxFrame = 64 << 10 }), func(w *world) {
		w.hostLab()
		s := w.dial("/v1/connect", "stagedoor.v1.json")
		s.text(`{"type":"hello"}`)
		s.want("welcome")
		before := w.reached("max_frame")
		_ = s.conn.WriteMessage(gws.OpcodeText, make([]byte, 64<<10+1)) // it is refused before it has come
		synctest.Wait()
		wantEqual(w, "closed", s.isClosed(), true)
		wantEqual(w, "counted", w.reached("max_frame"), before+1)
	})
}
