package e2e

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// hostLab hosts the lab and returns the journal of its hooks, emptied, and the gate of its action wait.
func (w *world) hostLab() (*journal, chan struct{}) {
	w.Helper()
	j, gate := new(journal), make(chan struct{})
	w.host(runner.Config{}, labType(labOptions{journal: j, gate: gate, options: []runner.Option{runner.WithSleepAfter(time.Hour)}}))
	return j, gate
}

// [SESS-12] [SESS-13] [SESS-14] [SESS-15]
func TestASessionGoesOnOverAnotherSocket(t *testing.T) {
	inAllForms(t, gateway.Config{}, func(w *world, r *resumer) {
		j, _ := w.hostLab()
		wantEqual(w, "resumed", r.connect(), false)
		r.opened(1, "r", "ann", "count")
		r.opened(2, "s", "bob", "count")
		j.take()
		r.call(1, "add", 1)
		r.want("1 count 1", "result 1/1 = 1")
		r.call(1, "add", 1) // its event and its result have come, and are lost with the socket
		r.call(2, "add", 5)
		r.call(0, "add", 9)
		synctest.Wait()
		session := r.welcome.GetSession()
		r.cut()
		w.act("lab:r", "add", "[1]") // an event while nobody is there
		w.act("lab:s", "tell", `["bob","psst"]`)
		r.call(2, "add", 5) // never got to a socket
		wantEqual(w, "resumed", r.connect(), true)
		wantEqual(w, "session", r.welcome.GetSession(), session)
		r.want("result 0/4 = 9") // channel by channel
		r.want("1 count 2", "result 1/2 = 2", "1 count 3")
		r.want("2 count 5", "result 2/3 = 5", "2 private psst", "2 count 10", "result 2/5 = 10")
		r.silent()
		r.call(1, "seen")
		r.want("result 1/6 = 1")
		wantEqual(w, "the actors noticed nothing", j.take(), "createState create wake")
		r.say(&clientv1alpha1.ConnectionClose{Connection: 1})
		r.want("closed 1 - never")
		wantEqual(w, "and hear of the end", j.take(), "disconnect:ann")
		r.say(&commonv1alpha1.Goodbye{Code: "connection.closed"})
		synctest.Wait()
		wantEqual(w, "a Goodbye ends the session at once", j.take(), "disconnect:bob")
		wantEqual(w, "resumed", r.connect(), false)
	})
}

// [SESS-15]: whatever point the socket breaks at, the client has each frame once, and so has the gateway.
func TestCutAtEveryPoint(t *testing.T) {
	inAllForms(t, gateway.Config{}, func(w *world, r *resumer) {
		w.hostLab()
		r.connect()
		r.opened(1, "r", "ann", "tick")
		for first := range 13 { // of the twelve messages, this many arrive before the first cut
			r.call(1, "burst", 10)
			r.call(1, "add", 1)
			heard := 0
			hear := func(to int) {
				for ; heard < to; heard++ {
					switch {
					case heard < 10:
						r.want(fmt.Sprintf("1 tick %d", heard))
					case heard == 10:
						r.want(fmt.Sprintf("result 1/%d = <nil>", r.lastID-1))
					default:
						r.want(fmt.Sprintf("result 1/%d = %d", r.lastID, first+1))
					}
				}
			}
			hear(first)
			for range 3 { // and the sockets after it break too, amid the replay
				r.cut()
				wantEqual(w, "resumed", r.connect(), true)
				hear(min(heard+1, 12))
			}
			hear(12)
			r.silent()
		}
	})
}

// [SESS-16]: the Welcome that was lost is not missed; one that was read makes the token before it void.
func TestATokenIsGoodUntilItsSuccessorHasArrived(t *testing.T) {
	inAllForms(t, gateway.Config{}, func(w *world, r *resumer) {
		j, _ := w.hostLab()
		r.connect()
		first := r.resume
		if !strings.HasPrefix(string(first), r.welcome.GetGateway()+".") || len(first) > 128 {
			w.Errorf("the token %q", first)
		}
		r.opened(1, "r", "ann")
		j.take()
		r.cut()
		r.dial() // its Welcome is never read
		synctest.Wait()
		r.cut()
		r.dial()
		synctest.Wait()
		r.cut()
		wantEqual(w, "resumed with the same token", r.connect(), true)
		second := r.resume
		r.call(1, "seen")
		r.want("result 1/1 = 1")
		r.cut()
		r.resume = first
		channels := r.channels
		wantEqual(w, "resumed with a token that is void", r.connect(), false)
		wantEqual(w, "which harms nobody", j.take(), "")
		r.resume, r.channels = second, channels
		wantEqual(w, "resumed with the last one", r.connect(), true)
		r.call(1, "seen")
		r.want("result 1/2 = 2")
	})
}

// [SESS-15] [SESS-18]
func TestAResumeClosesTheOldSocket(t *testing.T) {
	inBothForms(t, gateway.Config{}, func(w *world, r *resumer) {
		w.hostLab()
		r.connect()
		r.opened(1, "r", "ann")
		old := *r
		r.call(1, "add", 1)
		synctest.Wait()
		wantEqual(w, "resumed", r.connect(), true)
		r.want("result 1/1 = 1")
		old.write(0, old.encode(&wire.ClientCall{ID: 77, Connection: 1, Action: []byte("add"), Args: []byte{0x81, 0x18, 100}}))
		old.want("result 1/1 = 1", "goodbye session.superseded never") // what was written before
		old.silent()
		wantEqual(w, "the old socket is closed", old.closed(), true)
		r.call(1, "add", 1)
		r.want("result 1/2 = 2") // what the old socket said later is ignored
		r.silent()
	})
}

// [SESS-15] [SESS-16]: of two sockets that resume with one token, the later has the session, and no frame goes to both.
func TestTwoSocketsResumeAtOnce(t *testing.T) {
	inBothForms(t, gateway.Config{}, func(w *world, r *resumer) {
		w.hostLab()
		r.connect()
		r.opened(1, "r", "ann")
		r.call(1, "add", 1)
		r.want("result 1/1 = 1")
		r.cut()
		other := *r
		r.dial()
		other.dial()
		synctest.Wait()
		wantEqual(w, "one has been superseded", r.closed() != other.closed(), true)
		left, gone := r, &other
		if r.closed() {
			left, gone = &other, r
		}
		if m, ok := left.hear().(*clientv1alpha1.Welcome); !ok || !m.GetResumed() {
			w.Fatalf("the one that is left was not welcomed: %v", m)
		}
		m := gone.hear()
		if _, ok := m.(*clientv1alpha1.Welcome); ok { // or it was overtaken
			m = gone.hear()
		}
		wantEqual(w, "the other one", gone.short(m), "goodbye session.superseded never")
		left.call(1, "add", 1)
		left.want("result 1/2 = 2")
	})
}

// [SESS-16]: a token is good for its principal only; another one's attempt does no harm.
func TestATokenIsBoundToItsPrincipal(t *testing.T) {
	tokens := auth.Tokens{Client: []string{"c1", "c2"}, Admin: []string{"a"}, Runner: []string{"r"}}
	inAllForms(t, gateway.Config{Tokens: tokens}, func(w *world, r *resumer) {
		j := new(journal)
		w.host(runner.Config{Token: "r"}, labType(labOptions{journal: j}))
		r.token = "c1"
		r.connect()
		r.opened(1, "r", "ann")
		j.take()
		r.cut()
		for _, token := range []string{"c2", "a"} {
			thief := *r
			thief.token = token
			wantEqual(w, "resumed by "+token, thief.connect(), false)
			thief.call(0, "get")
			thief.want(fmt.Sprintf("result 0/%d = 0", thief.lastID))
		}
		nobody := *r
		nobody.token = "wrong"
		nobody.dial()
		nobody.want("reject auth.unauthenticated")
		wantEqual(w, "nobody has left", strings.Contains(j.take(), "disconnect"), false)
		wantEqual(w, "resumed by its own", r.connect(), true)
		r.call(1, "seen")
		r.want("result 1/1 = 1")
	})
}

// [SESS-8] [SESS-15]: a session that nobody comes back for ends, and what it had under way.
func TestAKeptSessionExpires(t *testing.T) {
	inAllForms(t, gateway.Config{}, func(w *world, r *resumer) {
		j, _ := w.hostLab()
		r.connect()
		wantEqual(w, "resume_ms", r.welcome.GetResumeMs(), 30_000)
		r.opened(1, "r", "ann")
		r.opened(2, "s", "bob")
		r.call(1, "wait")
		synctest.Wait()
		j.take()
		r.cut()
		sleep(20 * time.Second)
		wantEqual(w, "resumed in time", r.connect(), true)
		r.cut()
		sleep(29 * time.Second)
		wantEqual(w, "before the end", j.take(), "")
		sleep(2 * time.Second)
		got := j.take()
		for _, want := range []string{"canceled", "disconnect:ann", "disconnect:bob"} {
			if strings.Count(got, want) != 1 {
				w.Errorf("%s is not once in %q", want, got)
			}
		}
		wantEqual(w, "resumed too late", r.connect(), false)
		r.opened(1, "r", "ann")
	})
}

// [SESS-12]: what is said of a connection after its end goes on channel 0; answers to calls that crossed the close come
// once, also when nobody was there.
func TestResultsThatCrossTheCloseGoOnChannel0(t *testing.T) {
	inBothForms(t, gateway.Config{}, func(w *world, r *resumer) {
		_, gate := w.hostLab()
		r.connect()
		r.opened(1, "r", "ann")
		r.opened(2, "other", "bob")
		r.call(1, "wait")
		synctest.Wait()
		r.say(&clientv1alpha1.ConnectionClose{Connection: 1})
		r.call(1, "seen") // crosses the close
		r.say(&clientv1alpha1.Subscribe{Id: 50, Connection: 1, Events: []string{"tick"}})
		r.want("closed 1 - never")
		r.want("result 0/2 connection.not_found no", "subscribed 0/50 connection.not_found")
		r.silent()
		wantEqual(w, "the client has forgotten channel 1", r.channels[1] == nil, true)
		r.cut()
		close(gate)
		synctest.Wait()
		wantEqual(w, "resumed", r.connect(), true)
		r.want("result 0/1 = opened")
		for _, m := range r.welcome.GetReceived() {
			if m.GetConnection() == 1 {
				w.Error("the gateway has not forgotten channel 1")
			}
		}
		r.call(2, "kick", "bob") // the other way round: the actor closes
		r.want("closed 2 connection.disconnected never")
		r.want("result 0/3 = <nil>")
		r.silent()
	})
}

// [SESS-12] [SESS-14]: the end of a channel whose acknowledgement was lost comes once, and what crossed it is answered.
func TestTheEndOfAChannelIsLostWithTheSocket(t *testing.T) {
	inBothForms(t, gateway.Config{}, func(w *world, r *resumer) {
		w.hostLab()
		r.connect()
		r.opened(1, "r", "ann")
		w.act("lab:r", "kick", `["ann"]`)
		r.cut() // the close has come and was not heard
		r.call(1, "seen")
		wantEqual(w, "resumed", r.connect(), true)
		r.want("closed 1 connection.disconnected never", "result 0/1 connection.not_found no")
		r.silent()
		r.cut()
		r.connect()
		r.silent()
		wantEqual(w, "channels of the client", len(r.channels), 1)
		wantEqual(w, "channels of the gateway", len(r.welcome.GetReceived()), 1)
	})
}

// [SESS-5] [SESS-6] [SESS-18]: who was let go for silence or for not reading comes back and has missed nothing.
func TestSlowAndSilentClientsComeBack(t *testing.T) {
	limits := wire.DefaultLimits()
	limits.MaxSessionQueue, limits.MaxChannelKept = 20_000, 1<<20
	inBothForms(t, gateway.Config{Limits: limits}, func(w *world, r *resumer) {
		j, _ := w.hostLab()
		r.connect()
		r.opened(1, "r", "ann", "big")
		j.take()
		sleep(61 * time.Second)
		for m := r.hear(); m != nil; m = r.hear() {
			if g, ok := m.(*commonv1alpha1.Goodbye); ok {
				wantEqual(w, "silent", r.short(g), "goodbye session.ping_timed_out same")
			}
		}
		wantEqual(w, "closed", r.closed(), true)
		wantEqual(w, "resumed", r.connect(), true)

		r.pipe.pause() // it does not read any more
		for range 12 {
			wantEqual(w, "the actor is not delayed", w.act("lab:r", "bigEvent", "[5000]").status, 200)
		}
		r.pipe.flow()
		for range 4 { // what was being written, and what fitted before the farewell
			if m := r.hear(); r.short(m) == "goodbye session.slow_reader same" {
				break
			}
		}
		wantEqual(w, "closed", r.closed(), true)
		r.cut()
		wantEqual(w, "nobody has left", j.take(), "")
		heard := r.channels[1].received
		wantEqual(w, "resumed", r.connect(), true)
		for n := heard; n < 2+12; n++ {
			if got := r.short(r.hear()); !strings.HasPrefix(got, "1 big ") {
				w.Fatalf("got %.30q", got)
			}
		}
		r.silent()
		r.call(1, "add", 1)
		r.want("result 1/1 = 1")
	})
}

// [SESS-18] [SESS-15]: a gateway that drains ends kept sessions too.
func TestADrainEndsKeptSessions(t *testing.T) {
	inAllForms(t, gateway.Config{}, func(w *world, r *resumer) {
		w.hostLab()
		r.connect()
		r.opened(1, "r", "ann")
		r.cut()
		other := w.resumer(r.json)
		other.connect()
		if err := w.Drain(w.Context()); err != nil {
			w.Error(err)
		}
		other.want("goodbye gateway.draining any")
		wantEqual(w, "closed", other.closed(), true)
		if got := w.do("GET", "/metrics", "").raw; !strings.Contains(got, "\nstagedoor_sessions 0\n") {
			w.Error("a session is left")
		}
	})
}

// [SESS-8] [SESS-13] [FRAME-4]: a session that was not given resume ends with its socket, and knows no Ack.
func TestWithoutResumeNothingIsKept(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j, _ := w.hostLab()
		s := w.dial("/v1/connect", "stagedoor.v1.json")
		s.text(`{"type":"hello"}`)
		if m := s.want("welcome"); m["resumeToken"] != nil || m["resumeMs"] != nil || m["features"] != nil {
			w.Errorf("Welcome: %v", m)
		}
		s.text(`{"type":"connectionOpen","connection":1,"target":"lab:r","params":{"name":"ann"}}`)
		s.want("connectionOpened")
		s.want("event")
		s.text(`{"type":"ack","received":[{"frames":2}]}`)
		s.want("unsupported", "kind", "ack")
		for i := range 200 { // no Ack comes by itself
			s.text(fmt.Sprintf(`{"type":"call","id":%d,"connection":1,"action":"seen"}`, i+1))
			s.want("callResult", "connection", 1.0)
		}
		j.take()
		_ = s.conn.NetConn().Close()
		synctest.Wait()
		wantEqual(w, "it ends at once", j.take(), "disconnect:ann")
	})
}

// [SESS-15]: a session is kept encoded, so it goes on in its form only.
func TestASessionGoesOnInItsForm(t *testing.T) {
	inBothForms(t, gateway.Config{}, func(w *world, r *resumer) {
		w.hostLab()
		r.connect()
		r.opened(1, "r", "ann")
		r.cut()
		other := *r
		other.json = !r.json
		other.dial()
		other.want("reject request.invalid")
		wantEqual(w, "resumed", r.connect(), true)
		r.call(1, "seen")
		r.want("result 1/1 = 1")
	})
}
