package runnertest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
	"github.com/stagedoor-dev/stagedoor/runner-go/runnertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bothTimes runs a test in real time and in a bubble of virtual time.
func bothTimes(t *testing.T, f func(t *testing.T)) {
	t.Run("real", f)
	t.Run("virtual", func(t *testing.T) { synctest.Test(t, f) })
}

func connect(t *testing.T, a *runnertest.Actor, name string) *runnertest.Conn {
	t.Helper()
	c, err := a.Connect(JoinParams{Name: name})
	if err != nil {
		t.Fatalf("connect %s: %v", name, err)
	}
	return c
}

func call[R any](t *testing.T, on runnertest.Caller, action string, args ...any) R {
	t.Helper()
	r, err := runnertest.Call[R](on, action, args...)
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	return r
}

func wantEvents(t *testing.T, c *runnertest.Conn, want ...string) {
	t.Helper()
	var got []string
	for _, e := range c.Events() {
		got = append(got, e.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s got %q, want %q", c.ID(), got, want)
	}
}

func TestEventsAreRecordedInOrderBeforeTheResult(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		ada, bob := connect(t, a, "ada"), connect(t, a, "bob")
		call[int](t, ada, "say", "hi")
		wantEvents(t, ada, `welcome(0)`, `joined("bob")`, `message("ada", "hi")`)
		wantEvents(t, bob, `welcome(0)`, `message("ada", "hi")`)
		if got := runnertest.State[RoomState](a).Messages; !slices.Equal(got, []string{"hi"}) {
			t.Errorf("committed %q", got)
		}
		var name, text string
		if e := ada.Events()[2]; e.Args(&name, &text) != nil || name != "ada" || text != "hi" {
			t.Errorf("arguments %q %q", name, text)
		}
	})
}

func TestARefusedConnectionHasTheHooksCode(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		_, err := a.Connect(JoinParams{})
		if runnertest.CodeOf(err) != "connection.rejected" {
			t.Errorf("got %v", err)
		}
	})
}

func TestConnectionsAndTheirStateOutliveSleep(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		ada := connect(t, a, "ada")
		call[struct{}](t, ada, "rename", "countess")
		a.Sleep()
		if a.Awake() {
			t.Fatal("awake after Sleep")
		}
		call[int](t, ada, "say", "still here")
		wantEvents(t, ada, `welcome(0)`, `message("countess", "still here")`)
	})
}

func TestAClientThatLeavesWhileTheActorSleepsIsDisconnectedOnce(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		ada, bob := connect(t, a, "ada"), connect(t, a, "bob")
		a.Sleep()
		ada.Close()
		call[int](t, bob, "say", "where is ada?")
		a.Sleep()
		call[int](t, bob, "say", "gone")
		wantEvents(t, bob, `welcome(0)`, `left("ada")`, `message("bob", "where is ada?")`, `message("bob", "gone")`)
	})
}

func TestDisconnectClosesAndTellsWhy(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		ada, bob := connect(t, a, "ada"), connect(t, a, "bob")
		if n := call[int](t, bob, "kick", "ada", "spam"); n != 1 {
			t.Fatalf("kicked %d", n)
		}
		call[int](t, a, "wakes")
		if c := ada.Closed(); c == nil || c.Code != "connection.disconnected" || c.Message != "spam" {
			t.Errorf("ada was closed with %v", c)
		}
		wantEvents(t, bob, `welcome(0)`, `left("ada")`)
		if _, err := runnertest.Call[int](ada, "say", "?"); runnertest.CodeOf(err) != "connection.not_found" {
			t.Errorf("a closed connection calls: %v", err)
		}
	})
}

func TestACrashLosesWhatWasNotCommittedAndVars(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		ada := connect(t, a, "ada")
		call[int](t, ada, "say", "kept")
		a.Crash()
		if n := call[int](t, ada, "say", "after"); n != 2 {
			t.Errorf("%d messages after the crash", n)
		}
		if n := call[int](t, a, "wakes"); n != 1 {
			t.Errorf("wakes %d: memory survived", n)
		}
	})
}

func TestAPanicFailsItsCallOnlyAndDoesNotRollBack(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		ada := connect(t, a, "ada")
		call[int](t, ada, "say", "one")
		_, err := runnertest.Call[int](a, "panic")
		var failure *runnertest.Error
		if !errors.As(err, &failure) || failure.Code != "internal.error" || failure.Ran != "yes" {
			t.Fatalf("got %v", err)
		}
		if n := call[int](t, ada, "say", "two"); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

func TestAUserErrorPassesWithItsMetadata(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		_, err := runnertest.Call[int](a, "say", "x")
		var failure *runnertest.Error
		var metadata map[string]int
		if !errors.As(err, &failure) || failure.Code != "user.not_a_member" || failure.Metadata(&metadata) != nil || len(metadata) != 1 {
			t.Fatalf("got %v %v", err, metadata)
		}
	})
}

func TestKVIsReadBackAndCommitted(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		if v := call[string](t, a, "note", "k", "v"); v != "v" {
			t.Errorf("read %q", v)
		}
		if v, ok := a.KVText("k"); !ok || v != "v" {
			t.Errorf("stored %q %v", v, ok)
		}
	})
}

func TestADestroyedActorStartsAnew(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		ada := connect(t, a, "ada")
		call[int](t, ada, "say", "x")
		call[struct{}](t, ada, "close")
		if err := a.Wake(); err != nil {
			t.Fatal(err)
		}
		if c := ada.Closed(); c == nil || c.Code != "actor.destroyed" {
			t.Errorf("ada was closed with %v", c)
		}
		if got := runnertest.State[RoomState](a).Messages; len(got) != 0 {
			t.Errorf("inherited %q", got)
		}
		a.Destroy()
		if a.Exists() {
			t.Error("exists after Destroy")
		}
	})
}

func TestACallersContextCancelsItsCall(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := runnertest.CallContext[int](ctx, a, "block")
		if code := runnertest.CodeOf(err); code != "action.timed_out" {
			t.Errorf("got %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, err := runnertest.CallContext[int](ctx, a, "block"); runnertest.CodeOf(err) != "action.canceled" {
			t.Errorf("got %v", err)
		}
	})
}

func TestACrashLeavesCallsWithAnUnknownOutcome(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		call[int](t, a, "wakes")
		time.AfterFunc(10*time.Millisecond, a.Crash)
		_, err := runnertest.Call[int](a, "block")
		var failure *runnertest.Error
		if !errors.As(err, &failure) || failure.Code != "action.outcome_unknown" || failure.Ran != "maybe" {
			t.Errorf("got %v", err)
		}
	})
}

func TestKVPagesRangesAndLargeValues(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		if n := call[int](t, a, "fill", 250); n != 250 {
			t.Errorf("%d entries in the turn that wrote them", n)
		}
		if n := call[int](t, a, "fill", 0); n != 250 {
			t.Errorf("%d entries read back", n)
		}
		if n := len(a.KV()); n != 250 {
			t.Errorf("%d entries stored", n)
		}
		call[runner.None](t, a, "clear", "key-1", "key-2")
		if n := len(a.KV()); n != 150 {
			t.Errorf("%d entries left", n)
		}
		call[runner.None](t, a, "forget", "key-000")
		if _, ok := a.KVText("key-000"); ok {
			t.Error("a deleted key is there")
		}
		big := strings.Repeat("x", 300_000)
		if v := call[string](t, a, "note", "big", big); v != big {
			t.Errorf("%d bytes came back", len(v))
		}
		a.Sleep()
		if v := call[string](t, a, "read", "big"); v != big {
			t.Errorf("%d bytes came back after a sleep", len(v))
		}
	})
}

func TestAStartThatFailsTellsItsCause(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("closed").WithInput("refuse")
		_, err := runnertest.Call[int](a, "wakes")
		var failure *runnertest.Error
		if !errors.As(err, &failure) || failure.Code != "actor.start_failed" || !strings.Contains(failure.Message, "user.closed") {
			t.Fatalf("got %v", err)
		}
		if a.Exists() {
			t.Error("a first start that failed left an actor")
		}
		if err := a.WithInput("fine").Wake(); err != nil {
			t.Error(err)
		}
	})
}

func TestNextWaitsForTheNextEvent(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		ada := connect(t, a, "ada")
		if e := ada.Next(); e.String() != "welcome(0)" {
			t.Errorf("got %s", e)
		}
		time.AfterFunc(10*time.Millisecond, func() { _, _ = runnertest.Call[int](ada, "say", "later") })
		if e := ada.Next(); e.String() != `message("ada", "later")` {
			t.Errorf("got %s", e)
		}
	})
}

func TestConnectionsHearWhatTheySubscribedTo(t *testing.T) {
	bothTimes(t, func(t *testing.T) {
		a := runnertest.New(t, room()).Actor("lobby")
		ada, err := a.Connect(JoinParams{Name: "ada"}, "left")
		if err != nil {
			t.Fatal(err)
		}
		bob := connect(t, a, "bob")
		call[int](t, bob, "say", "hi")
		bob.Close()
		call[int](t, a, "wakes")
		wantEvents(t, ada, `welcome(0)`, `left("bob")`)
	})
}

func TestIdleActorsSleepInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := runnertest.New(t, room())
		var all []*runnertest.Actor
		for i := range 100 {
			a := h.Actor(fmt.Sprint(i))
			call[int](t, a, "wakes")
			all = append(all, a)
		}
		<-time.After(29 * time.Second)
		synctest.Wait()
		for _, a := range all {
			if !a.Awake() {
				t.Fatalf("%s sleeps too early", a)
			}
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		for _, a := range all {
			if a.Awake() {
				t.Fatalf("%s is awake after its idle time", a)
			}
		}
	})
}
