package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/gateway"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// recorder notes the events of a connection.
type recorder struct{ events chan string }

func record(c *client.Connection, names ...string) *recorder {
	r := &recorder{make(chan string, 10_000)}
	for _, name := range names {
		c.On(name, func(e client.Event) {
			var v any
			if err := e.Decode(&v); err != nil {
				v = err
			}
			r.events <- fmt.Sprintf("%s:%v", name, v)
		})
	}
	return r
}

func (r *recorder) take() string {
	synctest.Wait()
	var got []string
	for len(r.events) > 0 {
		got = append(got, <-r.events)
	}
	return strings.Join(got, " ")
}

// connect opens a connection and waits for it.
func (w *world) connect(c *client.Client, name string) *client.Connection {
	w.Helper()
	conn := c.GetOrCreate("lab", []string{"r"}).Connect(client.ConnectOptions{Params: labConn{Name: name}})
	w.ready(conn)
	return conn
}

func (w *world) ready(conn *client.Connection) {
	w.Helper()
	if err := conn.Ready(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// [CONN-1] [CONN-3] [CONN-4]
func TestTheLifeOfAConnection(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j := new(journal)
		w.host(runner.Config{}, labType(labOptions{journal: j}))
		c := w.client()
		var heard *recorder
		ann := c.GetOrCreate("lab", []string{"r"}).Connect(client.ConnectOptions{
			Params: labConn{Name: "ann"},
			Setup:  func(ann *client.Connection) { heard = record(ann, "count", "welcome", "private") },
		})
		w.ready(ann)
		wantEqual(w, "an event of onConnect", heard.take(), "welcome:ann")
		bob := w.connect(c, "bob")
		wantEqual(w, "who is there", fmt.Sprint(call[[]string](w, ann, "conns")), "[ann bob]")
		call[int](w, bob, "add", 3)
		wantEqual(w, "a broadcast", heard.take(), "count:3")
		call[any](w, bob, "tell", "ann", "psst")
		wantEqual(w, "a message to one", heard.take(), "private:psst")
		wantEqual(w, "connection state", call[int](w, ann, "seen")+call[int](w, ann, "seen"), 3)
		wantEqual(w, "a call without connection", call[int](w, c.GetOrCreate("lab", []string{"r"}), "seen"), -1)
		j.take()
		ann.Close()
		synctest.Wait()
		wantEqual(w, "the actor hears of it, once", j.take(), "disconnect:ann")
		closed := make(chan error, 1)
		bob.OnClose(func(err error) { closed <- err })
		call[any](w, c.GetOrCreate("lab", []string{"r"}), "kick", "bob")
		e := wantCode(w, <-closed, "connection.disconnected")
		wantEqual(w, "reason", e.Message, "kicked by a test")
		sleep(time.Minute)
		wantEqual(w, "for good", bob.Status(), client.StatusClosed)
		if got := j.take(); got != "disconnect:bob sleep" {
			w.Errorf("hooks: %s", got)
		}
	})
}

// [CONN-2]
func TestARefusedConnection(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j := new(journal)
		w.host(runner.Config{}, labType(labOptions{journal: j}))
		c := w.client()
		conn := c.GetOrCreate("lab", []string{"r"}).Connect(client.ConnectOptions{Params: labConn{Name: "bad"}})
		e := wantCode(w, conn.Ready(w.Context()), "user.banned")
		var metadata map[string]int
		if err := e.DecodeMetadata(&metadata); err != nil || metadata["days"] != 3 {
			w.Errorf("metadata = %v, %v", metadata, err)
		}
		sleep(time.Minute)
		if got := j.take(); strings.Contains(got, "connect") {
			w.Errorf("hooks of a refused connection: %s", got)
		}
	})
}

// [CONN-6] [SLEEP-1]
func TestConnectionsOutliveSleepAndCrash(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j := new(journal)
		h := w.host(runner.Config{Instance: "1"}, labType(labOptions{journal: j}))
		c := w.client()
		ann := w.connect(c, "ann")
		heard := record(ann, "count")
		var statuses []string
		synctest.Wait() // its own "connected" is told by now
		ann.OnStatus(func(s client.Status) { statuses = append(statuses, s.String()) })
		wantEqual(w, "connection state", call[int](w, ann, "seen"), 1)
		j.take()
		sleep(time.Minute)
		wantEqual(w, "asleep in spite of the connection", j.take(), "sleep")
		wantEqual(w, "connection state after a sleep", call[int](w, ann, "seen"), 2)
		wantEqual(w, "woken without onConnect", j.take(), "wake")
		h.kill()
		w.host(runner.Config{Instance: "2"}, labType(labOptions{journal: j}))
		sleep(4 * time.Second)
		wantEqual(w, "its runner may yet resume", j.take(), "")
		sleep(2 * time.Second)
		wantEqual(w, "started for its connection when its runner's session is lost", j.take(), "wake")
		wantEqual(w, "connection state after a crash", call[int](w, ann, "seen"), 3)
		call[int](w, ann, "add", 1)
		wantEqual(w, "events go on", heard.take(), "count:1")
		wantEqual(w, "the client saw nothing", fmt.Sprint(statuses), "[]")
		_ = c.Close()
		synctest.Wait()
		wantEqual(w, "and leaves once", j.take(), "disconnect:ann")
	})
}

// [CONN-7]
func TestAConnectionThatEndsWhileItsActorIsAwayIsToldOnce(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j := new(journal)
		h := w.host(runner.Config{Instance: "1"}, labType(labOptions{journal: j}))
		c := w.client()
		ann, bob := w.connect(c, "ann"), w.connect(c, "bob")
		call[any](w, ann, "sleepNow")
		synctest.Wait()
		j.take()
		ann.Close()
		synctest.Wait()
		wantEqual(w, "left while it slept", j.take(), "wake disconnect:ann")
		h.kill()
		bob.Close()
		synctest.Wait()
		wantEqual(w, "left while nobody hosts it", j.take(), "")
		w.host(runner.Config{Instance: "2"}, labType(labOptions{journal: j}))
		sleep(20 * time.Second)
		wantEqual(w, "told when it is back", j.take(), "wake disconnect:bob")
		call[any](w, c.GetOrCreate("lab", []string{"r"}), "sleepNow")
		synctest.Wait()
		j.take()
		wantEqual(w, "nobody is left", fmt.Sprint(call[[]string](w, c.GetOrCreate("lab", []string{"r"}), "conns")), "[]")
		wantEqual(w, "and nobody is told again", j.take(), "wake")
	})
}

// [CONN-5] [CONN-9]
func TestSubscriptionsAreKeptAndCheckedInTheGateway(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{options: []runner.Option{runner.WithEvents("count", "welcome", "tick", "private", "big")}}))
		c := w.client()
		ann := w.connect(c, "ann")
		first, second := record(ann, "count"), record(ann, "count")
		wantEqual(w, "subscribe", call[int](w, ann, "add", 1), 1)
		wantEqual(w, "one handler", first.take(), "count:1")
		wantEqual(w, "another", second.take(), "count:1")
		s := w.dial("/v1/connect", "stagedoor.v1.json")
		s.text(`{"type":"connectionOpen","connection":1,"target":"lab:r","params":{"name":"raw"}}`)
		s.want("welcome")
		s.want("connectionOpened", "connection", 1.0)
		s.want("event", "event", "welcome")
		s.text(`{"type":"subscribe","id":1,"connection":1,"events":["count","typo"]}`)
		s.wantError("subscriptionResult", "event.not_found", "id", 1.0)
		call[int](w, ann, "add", 1)
		if m := s.next(); m != nil {
			w.Errorf("none of a refused subscribe may come, got %v", m)
		}
		s.text(`{"type":"subscribe","id":2,"connection":1,"events":["count"]}`)
		s.want("subscriptionResult", "id", 2.0)
		call[int](w, ann, "add", 1)
		s.want("event", "event", "count")
		s.text(`{"type":"unsubscribe","id":3,"connection":1,"events":["count"]}`)
		s.want("subscriptionResult", "id", 3.0)
		call[int](w, ann, "add", 1)
		if m := s.next(); m != nil {
			w.Errorf("unsubscribed, got %v", m)
		}
		s.text(`{"type":"connectionOpen","connection":2,"target":"lab:r","params":{"name":"raw"},"subscriptions":["nope"]}`)
		s.wantError("connectionClosed", "event.not_found", "reconnect", "never")
	})
}

// [SESS-3] [CALL-3]
func TestEventsAndResultsOfAConnectionKeepTheActorsOrder(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		s := w.dial("/v1/connect", "stagedoor.v1.json")
		s.text(`{"type":"connectionOpen","connection":1,"target":"lab:r","params":{"name":"x"},"subscriptions":["count","tick"]}`)
		for i := range 50 { // in one go, before anything is answered
			s.text(fmt.Sprintf(`{"type":"call","id":%d,"connection":1,"action":"add","args":[1]}`, i+1))
		}
		s.want("welcome")
		s.want("connectionOpened")
		s.want("event", "event", "welcome")
		for i := range 50 {
			m := s.want("event", "event", "count")
			wantEqual(w, "count", m["args"].([]any)[0], any(float64(i+1)))
			s.want("callResult", "id", float64(i+1), "output", float64(i+1))
		}
		s.text(`{"type":"call","id":100,"connection":1,"action":"burst","args":[500]}`)
		for i := range 500 {
			m := s.want("event", "event", "tick")
			wantEqual(w, "tick", m["args"].([]any)[0], any(float64(i)))
		}
		s.want("callResult", "id", 100.0)
	})
}

// [CONN-10]
func TestABroadcastReachesEverySubscriberOnce(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{noLeaver: true}))
		var heard []*recorder
		for i := range 40 {
			c := w.client()
			for k := range 1 + i%3 { // several connections of one session have different numbers
				conn := c.GetOrCreate("lab", []string{"r"}).Connect(client.ConnectOptions{Params: labConn{Name: fmt.Sprint(i, k)}})
				heard = append(heard, record(conn, "tick"))
				w.ready(conn)
			}
		}
		synctest.Wait()
		call[any](w, w.client().GetOrCreate("lab", []string{"r"}), "burst", 20)
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprintf("tick:%d", i))
		}
		for i, r := range heard {
			if got := strings.Fields(r.take()); !slices.Equal(got, want) {
				w.Errorf("connection %d heard %v", i, got)
			}
		}
	})
}
