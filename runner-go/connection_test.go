package runner_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// attached opens a connection and takes its group: the answer, the state, the greeting.
func (p *peer) attached(ref, version, n uint64, name string) {
	p.t.Helper()
	p.open(ref, 1000+n, n, name)
	c := p.commit(version, 3)
	if !slices.Equal(c.ConnectionsAdded, []string{fmt.Sprintf("c%d", n)}) || c.State != nil {
		p.t.Fatalf("changes %v", c)
	}
	if m := expect[*wire.CallResult](p); m.ID != 1000+n || m.Error != nil || m.HasOutput {
		p.t.Fatalf("answer %s", show(m))
	}
	if m := expect[*runnerv1alpha1.ConnectionState](p); m.Connection != n || decoded[Visitor](p.t, m.State).Name != name {
		p.t.Fatalf("state %v", m)
	}
	if m := expect[*wire.Emit](p); string(m.Event) != "hello" || !slices.Equal(m.To, []uint64{n}) {
		p.t.Fatalf("greeting %s", show(m))
	}
	p.ack(ref, version)
}

func TestAnOpenRunsItsHooksInOrderAndItsAnswerComesFirst(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, script{
			"onConnect": func(w *World, _ context.Context) (any, error) {
				d.add("conns=%d", len(slices.Collect(w.Conns())))
				return nil, nil
			},
		})).welcome()
		ref := p.created("world")
		p.attached(ref, 2, 11, "ada")
		p.attached(ref, 3, 12, "bob")
		if got := d.text(); !strings.HasSuffix(got, "before:ada state:ada conns=1 joined:ada before:bob state:bob conns=2 joined:bob") {
			t.Errorf("diary %s", got)
		}
	})
}

func TestARefusedOpenLeavesNoTrace(t *testing.T) {
	for _, c := range []struct{ name, hook, code string }{
		{"banned", "", "user.banned"},
		{"ada", "before:ada", "connection.rejected"},
		{"ada", "state:ada", "connection.rejected"},
		{"ada", "joined:ada", "connection.rejected"},
	} {
		t.Run(c.name+c.hook, func(t *testing.T) {
			run(t, func(t *testing.T) {
				d := &diary{}
				d.failing(c.hook, runner.Reject("not you"))
				p := newStage(t, defineWorld(d, script{
					"count": func(w *World, _ context.Context) (any, error) { return len(slices.Collect(w.Conns())), nil },
				})).welcome()
				ref := p.created("world")
				p.open(ref, 1, 11, c.name)
				p.fails(1, c.code, wire.RanYes)
				if c.hook == "joined:ada" { // what it sent is not taken back
					expect[*wire.Emit](p)
				}
				p.call(ref, 2, "do", "count")
				if n := result[int](p, 2); n != 0 {
					t.Errorf("%d connections", n)
				}
				p.send(&runnerv1alpha1.ConnectionClose{Actor: ref, Connection: 11})
				p.silent()
				if strings.Contains(d.text(), "left:") {
					t.Errorf("diary %s", d.text())
				}
			})
		})
	}
}

func TestWithoutOnDisconnectNothingIsRecorded(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil, "nodisconnect")).welcome()
		ref := p.created("world")
		p.open(ref, 1, 11, "ada")
		expect[*wire.CallResult](p)
		expect[*runnerv1alpha1.ConnectionState](p)
		expect[*wire.Emit](p)
		p.send(&runnerv1alpha1.ConnectionClose{Actor: ref, Connection: 11})
		p.silent()
	})
}

func TestAClientThatLeavesRunsOnDisconnectOnceAndItsCommitSaysSo(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, nil)).welcome()
		ref := p.created("world")
		p.attached(ref, 2, 11, "ada")
		p.send(&runnerv1alpha1.ConnectionClose{Actor: ref, Connection: 11, Code: "connection.closed"})
		if c := p.commit(3, 0); !slices.Equal(c.ConnectionsRemoved, []string{"c11"}) {
			t.Errorf("changes %v", c)
		}
		p.ack(ref, 3)
		p.send(&runnerv1alpha1.ConnectionClose{Actor: ref, Connection: 11, Code: "connection.closed"})
		p.silent()
		if strings.Count(d.text(), "left:c11:ada") != 1 {
			t.Errorf("diary %s", d.text())
		}
	})
}

func TestDisconnectIsAnOutputAndOnDisconnectFollowsIt(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, script{"kick": func(w *World, ctx context.Context) (any, error) {
			for c := range w.Conns() {
				c.Disconnect("out")
				c.Disconnect("twice")
			}
			return len(slices.Collect(w.Conns())), nil
		}})).welcome()
		ref := p.created("world")
		p.attached(ref, 2, 11, "ada")
		p.attached(ref, 3, 12, "bob")
		synctest.Wait()
		p.call(ref, 1, "do", "kick")
		p.call(ref, 2, "do", "other")
		for _, n := range []uint64{11, 12} {
			m := expect[*runnerv1alpha1.ConnectionClose](p)
			if m.Connection != n || m.Code != "connection.disconnected" || m.Reason != "out" {
				t.Errorf("close %v", m)
			}
		}
		if n := result[int](p, 1); n != 0 {
			t.Errorf("%d connections left", n)
		}
		if c := p.commit(4, 0); !slices.Equal(c.ConnectionsRemoved, []string{"c11"}) {
			t.Errorf("changes %v", c)
		}
		synctest.Wait()
		p.ack(ref, 4)
		if c := p.commit(5, 1); !slices.Equal(c.ConnectionsRemoved, []string{"c12"}) {
			t.Errorf("changes %v", c)
		}
		if got := d.text(); !strings.HasSuffix(got, "do:kick left:c11:ada left:c12:bob do:other") {
			t.Errorf("diary %s", got)
		}
	})
}

func TestTheLastTurnsDisconnectsRunOnDisconnectWithinIt(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, script{"onSleep": func(w *World, _ context.Context) (any, error) {
			for c := range w.Conns() {
				c.Disconnect("closing time")
			}
			return nil, nil
		}})).welcome()
		ref := p.created("world")
		p.attached(ref, 2, 11, "ada")
		p.stop(ref, toSleep)
		if c := p.commit(3, 1); !slices.Equal(c.ConnectionsRemoved, []string{"c11"}) {
			t.Errorf("changes %v", c)
		}
		expect[*runnerv1alpha1.ConnectionClose](p)
		p.ack(ref, 3)
		p.stopped(ref, slept)
		if got := d.text(); !strings.HasSuffix(got, "onSleep left:c11:ada") {
			t.Errorf("diary %s", got)
		}
	})
}

func TestConnectionStateIsSentWhenItChanged(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{
			"note": func(w *World, ctx context.Context) (any, error) {
				w.Conn(ctx).State().Note = "n"
				return w.Conn(ctx).ID(), nil
			},
			"look": func(w *World, ctx context.Context) (any, error) { return w.Conn(ctx).State().Note, nil },
			"huge": func(w *World, ctx context.Context) (any, error) {
				w.Conn(ctx).State().Note = strings.Repeat("x", 70_000)
				return 1, nil
			},
			"conn": func(w *World, ctx context.Context) (any, error) { return w.Conn(ctx) == nil, nil },
		})).welcome()
		ref := p.created("world")
		p.attached(ref, 2, 11, "ada")
		do := func(id uint64, name string) {
			p.send(&wire.Call{Actor: ref, ID: id, Action: []byte("do"), Args: argsOf(name), Connection: 11})
		}
		do(1, "note")
		if m := expect[*runnerv1alpha1.ConnectionState](p); decoded[Visitor](t, m.State).Note != "n" {
			t.Errorf("state %v", m)
		}
		if id := result[string](p, 1); id != "c11" {
			t.Errorf("id %s", id)
		}
		do(2, "note")
		result[string](p, 2)
		do(3, "look")
		result[string](p, 3)
		do(4, "huge")
		p.fails(4, "connection.state_too_large", wire.RanYes)
		p.call(ref, 5, "do", "conn")
		if !result[bool](p, 5) {
			t.Error("a call without connection has one")
		}
	})
}

func TestACallWhoseConnectionHasGoneDoesNotRun(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, nil)).welcome()
		ref := p.created("world")
		p.attached(ref, 2, 11, "ada")
		p.call(ref, 1, "wait", 100)
		p.send(&runnerv1alpha1.ConnectionClose{Actor: ref, Connection: 11})
		p.send(&wire.Call{Actor: ref, ID: 2, Action: []byte("do"), Args: argsOf("x"), Connection: 11})
		result[string](p, 1)
		p.commit(3, 0)
		p.fails(2, "action.canceled", wire.RanNo)
	})
}

func TestRestoredConnectionsAreThereBeforeAnyTurn(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, script{"onWake": func(w *World, _ context.Context) (any, error) {
			for c := range w.Conns() {
				var v visit
				if err := c.Params(&v); err != nil {
					return nil, err
				}
				d.add("%s:%s:%s", c.ID(), v.Name, c.State().Note)
			}
			return nil, nil
		}})).welcome()
		ref := p.woken(5, WorldState{}, func(m *runnerv1alpha1.StartActor) { m.RestoredConnections = 2 })
		p.silent()
		for _, n := range []uint64{21, 22} {
			p.send(&runnerv1alpha1.ConnectionOpen{
				Actor: ref, Connection: n, ConnectionId: fmt.Sprintf("c%d", n), Params: encoded(visit{"v"}), State: encoded(Visitor{Note: fmt.Sprint(n)}), Restored: true,
			})
		}
		expect[*runnerv1alpha1.ActorReady](p)
		wantDiary(t, d, "createVars c21:v:21 c22:v:22 onWake")
		p.send(&wire.Call{Actor: ref, ID: 1, Action: []byte("get"), Connection: 21})
		result[int](p, 1)
	})
}

func TestGoneConnectionsAreHandledBeforeOtherTurns(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, script{"x": func(*World, context.Context) (any, error) { return 1, nil }})).welcome()
		ref := p.woken(5, WorldState{}, func(m *runnerv1alpha1.StartActor) {
			m.GoneConnections = []*runnerv1alpha1.GoneConnection{
				{ConnectionId: "g1", Params: encoded(visit{"ada"}), State: encoded(Visitor{Name: "ada"})}, {ConnectionId: "g2"},
			}
		})
		p.call(ref, 1, "do", "x")
		expect[*runnerv1alpha1.ActorReady](p)
		if c := p.commit(6, 0); !slices.Equal(c.ConnectionsRemoved, []string{"g1"}) {
			t.Errorf("changes %v", c)
		}
		synctest.Wait()
		p.ack(ref, 6)
		if c := p.commit(7, 1); !slices.Equal(c.ConnectionsRemoved, []string{"g2"}) {
			t.Errorf("changes %v", c)
		}
		result[int](p, 1)
		wantDiary(t, d, "createVars onWake left:g1:ada left:g2: do:x")
	})
}

func TestConnectionStateThatCannotBeDecodedFailsTheStart(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome()
		ref := p.woken(5, WorldState{}, func(m *runnerv1alpha1.StartActor) { m.RestoredConnections = 1 })
		p.send(&runnerv1alpha1.ConnectionOpen{Actor: ref, Connection: 1, ConnectionId: "c1", State: encoded(7), Restored: true})
		if e := wire.ErrorFromProto(p.stopped(ref, notStart).Error); e.Name() != "state.invalid" || !strings.Contains(e.Message, "c1") {
			t.Errorf("error %v", e)
		}
	})
}

func TestBroadcastExceptLeavesConnectionsOut(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"shout": func(w *World, _ context.Context) (any, error) {
			conns := slices.Collect(w.Conns())
			w.BroadcastExcept("e", conns[:1], 1, "two")
			return conns[0] == slices.Collect(w.Conns())[0], nil // one object per connection
		}})).welcome()
		ref := p.created("world")
		p.attached(ref, 2, 11, "ada")
		p.attached(ref, 3, 12, "bob")
		p.call(ref, 1, "do", "shout")
		if m := expect[*wire.Emit](p); !slices.Equal(m.Except, []uint64{11}) || len(m.To) != 0 || fmt.Sprint(decoded[[]any](t, m.Args)) != "[1 two]" {
			t.Errorf("event %s", show(m))
		}
		if !result[bool](p, 1) {
			t.Error("two objects for one connection")
		}
	})
}

func TestAnOpenThatFlushesKeepsItsEventsBehindItsAnswer(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"onConnect": func(w *World, ctx context.Context) (any, error) {
			w.State().N++
			w.Broadcast("early")
			pass(10 * time.Millisecond)
			w.Broadcast("late")
			return nil, w.SaveState(ctx)
		}})).welcome()
		ref := p.created("world")
		synctest.Wait()
		p.open(ref, 1, 11, "ada")
		p.commit(2, 0)
		p.silent()
		p.ack(ref, 2)
		p.commit(3, 5)
		expect[*wire.CallResult](p)
		expect[*runnerv1alpha1.ConnectionState](p)
		for _, name := range []string{"early", "late", "hello"} {
			if m := expect[*wire.Emit](p); string(m.Event) != name {
				t.Errorf("event %s, want %s", m.Event, name)
			}
		}
	})
}

func TestConnectionsKeepTheirOrderWhileManyComeAndGo(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"list": func(w *World, _ context.Context) (any, error) {
			var ids []string
			for c := range w.Conns() {
				ids = append(ids, c.ID())
			}
			return ids, nil
		}}, "nodisconnect")).welcome()
		ref := p.created("world")
		var want []string
		for n := uint64(1); n <= 100; n++ {
			p.open(ref, n, n, "v")
			for range 3 {
				p.next()
			}
			if n%7 != 0 && n < 90 {
				p.send(&runnerv1alpha1.ConnectionClose{Actor: ref, Connection: n})
			} else {
				want = append(want, fmt.Sprintf("c%d", n))
			}
		}
		p.call(ref, 1000, "do", "list")
		if got := result[[]string](p, 1000); !slices.Equal(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
	})
}
