package adapters_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// until asks again and again until the answer is the wanted one: for what comes a moment later.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if holds() {
			return
		}
	}
	t.Fatalf("it never comes true: %s", what)
}

func value[T any](t *testing.T, w *world, on client.Caller, action string, args ...any) T {
	t.Helper()
	v, err := client.Call[T](w.context(), on, action, args...)
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	return v
}

func TestHooksWriteTheirEntries(t *testing.T) {
	programs(t, func(t *testing.T, w *world, _ string) {
		plans := dict{"onCreate": list{"put:made"}, "run": list{"gate:run"}, "onSleep": list{"put:slept", "throw"}}
		life := w.client.GetOrCreate("lifecycle", nil, client.WithInput(plans))
		value[int](t, w, life, "memory")
		w.gates.reached(t, "run")
		w.gates.open("run")
		first := []string{"createState", "onCreate", "createVars", "onWake", "run", "run over"}
		until(t, "run is over", func() bool { return slices.Equal(value[[]string](t, w, life, "log"), first) })
		if n := value[int](t, w, life, "memory"); n != 2 {
			t.Errorf("memory is %d", n)
		}
		value[any](t, w, life, "plan", "run", list{})
		value[any](t, w, life, "sleep")
		until(t, "it has slept", func() bool { return value[int](t, w, life, "memory") == 1 })
		if got, want := value[[]string](t, w, life, "log"), append(slices.Clone(first), "onSleep", "createVars", "onWake"); !slices.Equal(got, want) {
			t.Errorf("the log is %q, not %q", got, want)
		}
		value[any](t, w, life, "destroy")
		until(t, "it is another one", func() bool {
			log, err := client.Call[[]string](w.context(), life, "log")
			return err == nil && slices.Equal(log, first)
		})
	})
}

func TestStartsFailAsPlanned(t *testing.T) {
	programs(t, func(t *testing.T, w *world, _ string) {
		for _, hook := range []string{"createState", "onCreate", "createVars", "onWake"} {
			life := w.client.GetOrCreate("lifecycle", []string{hook}, client.WithInput(dict{hook: list{"fail:nope"}}))
			if err := life.Call(w.context(), "log", nil); client.CodeOf(err) != client.CodeActorStartFailed {
				t.Errorf("%s: %v", hook, err)
			}
		}
	})
}

func TestGatesHoldTurns(t *testing.T) {
	programs(t, func(t *testing.T, w *world, language string) {
		c := w.client.GetOrCreate("counter", []string{"gates"})
		answers := make(chan int, 2)
		for _, id := range []string{"g1", "g2"} {
			go func() {
				n, _ := client.Call[int](w.context(), c, "addSlow", 1, id)
				answers <- n
			}()
			if language == "js" || id == "g1" { // a serial actor does not get to the second
				w.gates.reached(t, id)
			}
		}
		w.gates.open("g1")
		w.gates.open("g2")
		sum := <-answers + <-answers
		if want := map[string]int{"go": 3, "js": 2}[language]; sum != want {
			t.Errorf("the answers add up to %d, not %d", sum, want)
		}
	})
}

func TestSleeperSleepsByItself(t *testing.T) {
	programs(t, func(t *testing.T, w *world, _ string) {
		s := w.client.GetOrCreate("sleeper", nil)
		value[int](t, w, s, "touch")
		value[any](t, w, s, "waitUntil", "late", "key")
		w.gates.reached(t, "late")
		w.gates.open("late")
		value[any](t, w, s, "keepAwake", "awake")
		w.gates.reached(t, "awake")
		w.gates.open("awake")
		if n := value[int](t, w, s, "touch"); n != 2 {
			t.Errorf("touch answers %d", n)
		}
	})
}

func TestAwaitCancelTellsWhatCame(t *testing.T) {
	programs(t, func(t *testing.T, w *world, _ string) {
		e := w.client.GetOrCreate("echo", []string{"cancel"})
		w.gates.open("first")
		if got := value[string](t, w, e, "awaitCancel", "first", "k"); got != "opened" {
			t.Errorf("it tells %q", got)
		}
	})
}

func TestConnectionsFollowTheirPlans(t *testing.T) {
	programs(t, func(t *testing.T, w *world, _ string) {
		room := w.client.GetOrCreate("conn", nil)
		events := make(chan string, 10)
		conn := room.Connect(client.ConnectOptions{
			Params: dict{"v": 7, "connect": list{"send:hello"}, "disconnect": list{"broadcast:left"}},
			Setup: func(c *client.Connection) {
				client.On(c, "hello", func(id string) { events <- id })
			},
		})
		if err := conn.Ready(w.context()); err != nil {
			t.Fatal(err)
		}
		if id := <-events; id != conn.ID() {
			t.Errorf("hello names %q, not %q", id, conn.ID())
		}
		if v := value[int](t, w, conn, "state"); v != 7 {
			t.Errorf("the connection's state is %d", v)
		}
		value[any](t, w, conn, "setState", "new")
		if got := value[string](t, w, conn, "state"); got != "new" || value[string](t, w, conn, "whoami") != conn.ID() {
			t.Errorf("state %q", got)
		}
		refused := room.Connect(client.ConnectOptions{Params: dict{"before": list{"fail:nope"}}})
		if err := refused.Ready(w.context()); client.CodeOf(err) != "user.nope" {
			t.Errorf("a refused connection says %v", err)
		}
		id := conn.ID()
		if !value[bool](t, w, room, "kick", id, "out") {
			t.Error("kick does not find it")
		}
		want := []string{"before", "state", "connect " + id, "before", "disconnect " + id}
		until(t, "onDisconnect ran", func() bool { return slices.Equal(value[[]string](t, w, room, "log"), want) })
	})
}

func TestEventsReachConnections(t *testing.T) {
	programs(t, func(t *testing.T, w *world, _ string) {
		actor := w.client.GetOrCreate("events", nil)
		got := make(chan string, 10)
		conn := actor.Connect(client.ConnectOptions{Setup: func(c *client.Connection) {
			for _, name := range []string{"tick", "tock", "data"} {
				c.On(name, func(e client.Event) {
					var first any
					_ = e.Decode(&first)
					got <- fmt.Sprint(name, ":", first)
				})
			}
		}})
		if err := conn.Ready(w.context()); err != nil {
			t.Fatal(err)
		}
		value[int](t, w, actor, "count")
		value[int](t, w, actor, "burst", "data", 2, 3)
		value[any](t, w, conn, "reply", "tick", 9)
		for _, want := range []string{"tick:1", "tock:1", "data:0", "data:1", "tick:9"} {
			if event := <-got; event != want {
				t.Errorf("the event is %s, not %s", event, want)
			}
		}
	})
}
