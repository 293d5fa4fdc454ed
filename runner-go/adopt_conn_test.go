package runner_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// crowd is a world that remembers the pointers of its connections.
type crowd struct {
	diary *diary
	conns map[string]*runner.Conn[Visitor]
}

func newCrowd() *crowd { return &crowd{diary: &diary{}, conns: map[string]*runner.Conn[Visitor]{}} }

func (c *crowd) world(s script, opts ...any) *runner.Type[World] {
	all := script{
		"onConnect": func(w *World, _ context.Context) (any, error) {
			for conn := range w.Conns() {
				c.conns[conn.ID()] = conn
			}
			return nil, nil
		},
		"list": func(w *World, ctx context.Context) (any, error) {
			var ids []string
			for conn := range w.Conns() {
				ids = append(ids, fmt.Sprint(conn.ID(), conn == c.conns[conn.ID()]))
			}
			return strings.Join(ids, " "), nil
		},
	}
	for name, f := range s {
		all[name] = f
	}
	return defineWorld(c.diary, all, opts...)
}

// emitted is the next frame, an event of that name, and whom it goes to.
func (p *peer) emitted(name string, to, except []uint64) {
	p.t.Helper()
	m := expect[*wire.Emit](p)
	if string(m.Event) != name || !slices.Equal(m.To, to) || !slices.Equal(m.Except, except) {
		p.t.Fatalf("got %s to %v except %v, want %s to %v except %v", m.Event, m.To, m.Except, name, to, except)
	}
}

// [LEASE-4]
func TestRestoredConnectionsKeepTheirObjectsAndGetNewRefs(t *testing.T) {
	run(t, func(t *testing.T) {
		c := newCrowd()
		s := newStage(t, c.world(script{
			"tell": func(w *World, ctx context.Context) (any, error) {
				w.State().N++
				c.conns["c11"].Send("one")
				c.conns["c12"].Send("two")
				w.BroadcastExcept("but", []*runner.Conn[Visitor]{c.conns["c11"], c.conns["c12"]})
				c.conns["c11"].State().Note = "told"
				return nil, nil
			},
			"me": func(w *World, ctx context.Context) (any, error) { return w.Conn(ctx) == c.conns["c11"], nil },
		}))
		p := s.welcome(resilient)
		ref := p.created("world")
		synctest.Wait()
		p.attached(ref, 2, 11, "ada")
		p.attached(ref, 3, 12, "bob")
		p.call(ref, 1, "do", "tell")
		p.commit(4, 5)
		p.call(ref, 2, "do", "tell") // waits behind it
		q := s.lose(p)
		ref = q.adopt(q.offered(1)[0], 3, 11, 12)
		for version := range uint64(2) {
			q.commit(4+version, []uint32{4, 3}[version]) // the state is the same the second time
			q.emitted("one", []uint64{1011}, nil)
			q.emitted("two", []uint64{1012}, nil)
			q.emitted("but", nil, []uint64{1011, 1012})
			if version == 0 {
				if m := expect[*runnerv1alpha1.ConnectionState](q); m.Connection != 1011 || m.Actor != ref {
					t.Errorf("state %v", m)
				}
			}
			q.silent()
			q.ack(ref, 4+version)
		}
		q.send(&wire.Call{Actor: ref, ID: 3, Action: []byte("do"), Args: argsOf("me"), Connection: 1011})
		if !result[bool](q, 3) {
			t.Error("the connection is another object")
		}
		q.call(ref, 4, "do", "list")
		if got := result[string](q, 4); got != "c11true c12true" {
			t.Errorf("connections %s", got)
		}
		q.send(&runnerv1alpha1.ConnectionClose{Actor: ref, Connection: 1012})
		q.commit(6, 0)
		if got := c.diary.text(); !strings.HasSuffix(got, "left:c12:bob") || strings.Count(got, "left:") != 1 {
			t.Errorf("diary %s", got)
		}
	})
}

// [LEASE-4] [CONN-4]
func TestConnectionsThatWereNotRestoredLeaveOnceAndFirst(t *testing.T) {
	run(t, func(t *testing.T) {
		c := newCrowd()
		world := c.world(script{
			"tell": func(w *World, ctx context.Context) (any, error) {
				w.State().N++
				c.conns["c11"].Send("one")
				c.conns["c12"].Send("two")
				c.conns["c11"].State().Note = "told"
				return nil, nil
			},
		})
		steps := withSteps(world)
		s := newStage(t, world)
		p := s.welcome(resilient)
		ref := p.created("world")
		synctest.Wait()
		p.attached(ref, 2, 11, "ada")
		p.attached(ref, 3, 12, "bob")
		p.attached(ref, 4, 13, "eve")
		p.call(ref, 1, "do", "tell")
		p.commit(5, 4)
		p.send(&runnerv1alpha1.ConnectionClose{Actor: ref, Connection: 13})
		q := s.lose(p)
		offer := q.offered(1)[0]
		steps <- func(w *World, _ context.Context) {
			c.diary.add("do")
			c.conns["c11"].Send("nobody")
			c.conns["c13"].Disconnect("nobody")
		}
		synctest.Wait()
		ref = q.adopt(offer, 4, 12)
		q.commit(5, 1)
		q.emitted("two", []uint64{1012}, nil)
		q.silent()
		q.ack(ref, 5)
		if m := q.commit(6, 0); !slices.Equal(m.ConnectionsRemoved, []string{"c13", "c11"}) && !slices.Equal(m.ConnectionsRemoved, []string{"c11"}) {
			t.Errorf("changes %v", m)
		}
		q.silent()
		if got := c.diary.text(); strings.Count(got, "left:c11:ada") != 1 || strings.Count(got, "left:c13:eve") != 1 || !strings.HasSuffix(got, "left:c11:ada do") {
			t.Errorf("diary %s", got)
		}
	})
}

// [LEASE-4] [CONN-7] [CONN-8]
func TestAConnectionAcceptedInAnUnansweredGroupMayBeGone(t *testing.T) {
	for _, alive := range []bool{true, false} {
		t.Run(fmt.Sprint("restored ", alive), func(t *testing.T) {
			run(t, func(t *testing.T) {
				c := newCrowd()
				s := newStage(t, c.world(nil))
				p := s.welcome(resilient)
				ref := p.created("world")
				synctest.Wait()
				p.open(ref, 1, 11, "ada")
				p.commit(2, 3)
				q := s.lose(p)
				offer := q.offered(1)[0]
				if alive { // it was applied, and the answer left
					ref = q.adopt(offer, 2, 11)
				} else {
					ref = q.adopt(offer, 1)
				}
				outputs := uint32(0)
				if alive {
					outputs = 2
				}
				if m := q.commit(2, outputs); !slices.Equal(m.ConnectionsAdded, []string{"c11"}) {
					t.Errorf("changes %v", m)
				}
				if alive {
					expect[*runnerv1alpha1.ConnectionState](q)
					q.emitted("hello", []uint64{1011}, nil)
				}
				q.silent()
				q.ack(ref, 2)
				if alive {
					q.silent()
					return
				}
				if m := q.commit(3, 0); !slices.Equal(m.ConnectionsRemoved, []string{"c11"}) {
					t.Errorf("changes %v", m)
				}
				q.ack(ref, 3)
				q.attached(ref, 4, 11, "ada") // the gateway opens it again
				q.call(ref, 5, "do", "list")
				if got := result[string](q, 5); got != "c11true" {
					t.Errorf("connections %s", got)
				}
			})
		})
	}
}

// [LEASE-4] [CONN-4]
func TestADisconnectionWhoseCloseWasLostIsRepeated(t *testing.T) {
	for _, c := range []struct {
		name       string
		unanswered bool // the close is in the unanswered group
		alive      bool
		reason     string
	}{
		{"unanswered, alive", true, true, "go"}, {"unanswered, gone", true, false, ""}, {"answered, alive", false, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(t *testing.T) {
				all := newCrowd()
				s := newStage(t, all.world(script{"out": func(w *World, _ context.Context) (any, error) {
					w.State().N++
					all.conns["c11"].Send("bye")
					all.conns["c11"].Disconnect("go")
					return nil, nil
				}}, "nodisconnect"))
				p := s.welcome(resilient)
				ref := p.created("world")
				synctest.Wait()
				p.open(ref, 1, 11, "ada")
				for range 3 {
					p.next()
				}
				p.call(ref, 2, "do", "out")
				p.commit(2, 3)
				if !c.unanswered {
					p.ack(ref, 2)
				}
				synctest.Wait()
				q := s.lose(p)
				conns := []uint64{11}
				if !c.alive {
					conns = nil
				}
				version := uint64(2)
				if c.unanswered {
					version = 1
				}
				ref = q.adopt(q.offered(1)[0], version, conns...)
				if c.unanswered && c.alive {
					q.commit(2, 2)
					q.emitted("bye", []uint64{1011}, nil)
				} else if c.unanswered {
					q.commit(2, 0)
				}
				if c.alive {
					if m := expect[*runnerv1alpha1.ConnectionClose](q); m.Connection != 1011 || m.Reason != c.reason || m.Actor != ref || m.Code != "connection.disconnected" {
						t.Errorf("close %v", m)
					}
				}
				q.silent()
				q.call(ref, 3, "do", "list")
				if got := result[string](q, 3); got != "" {
					t.Errorf("connections %s", got)
				}
			})
		})
	}
}

// [LEASE-4] [CONN-8]
func TestAnOpenThatRunsAtTheLossLeavesNoTrace(t *testing.T) {
	for _, c := range []struct{ accepted, late bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
		t.Run(fmt.Sprint("accepted ", c.accepted, ", after the adoption ", c.late), func(t *testing.T) {
			run(t, func(t *testing.T) {
				goOn := make(chan bool)
				d := &diary{}
				if !c.accepted {
					d.failing("joined:ada", errBoom)
				}
				s := newStage(t, defineWorld(d, script{
					"onConnect": func(w *World, _ context.Context) (any, error) { <-goOn; w.State().N++; return nil, nil },
					"count":     func(w *World, _ context.Context) (any, error) { return len(slices.Collect(w.Conns())), nil },
				}))
				p := s.welcome(resilient)
				ref := p.created("world")
				p.ack(ref, 1)
				p.open(ref, 1, 11, "ada")
				synctest.Wait()
				q := s.lose(p)
				offer := q.offered(1)[0]
				if !c.late {
					close(goOn)
					synctest.Wait()
				}
				ref = q.adopt(offer, 1)
				q.silentUnless(!c.late)
				if c.late {
					close(goOn)
				}
				m := q.commit(2, 0)
				if decoded[WorldState](t, m.State).N != 1 || c.accepted != slices.Equal(m.ConnectionsAdded, []string{"c11"}) {
					t.Errorf("changes %v", m)
				}
				q.ack(ref, 2)
				if c.accepted {
					if m := q.commit(3, 0); !slices.Equal(m.ConnectionsRemoved, []string{"c11"}) {
						t.Errorf("changes %v", m)
					}
					q.ack(ref, 3)
				}
				q.call(ref, 2, "do", "count")
				if n := result[int](q, 2); n != 0 {
					t.Errorf("%d connections", n)
				}
				if n := strings.Count(d.text(), "left:c11"); n != map[bool]int{true: 1, false: 0}[c.accepted] {
					t.Errorf("diary %s", d.text())
				}
			})
		})
	}
}

func (p *peer) silentUnless(speaks bool) {
	p.t.Helper()
	if !speaks {
		p.silent()
	}
}

// [LEASE-4]
func TestAConnectionStateThatDidNotArriveIsSentAtTheNextChange(t *testing.T) {
	run(t, func(t *testing.T) {
		c := newCrowd()
		touch := func(w *World, _ context.Context) (any, error) { c.conns["c11"].State().Note = "new"; return nil, nil }
		s := newStage(t, c.world(script{"touch": touch}))
		p := s.welcome(resilient)
		ref := p.created("world")
		synctest.Wait()
		p.attached(ref, 2, 11, "ada")
		p.call(ref, 1, "do", "touch")
		expect[*runnerv1alpha1.ConnectionState](p)
		expect[*wire.CallResult](p)
		q := s.lose(p)
		offer := q.offered(1)[0]
		before := restored(77, 11)
		before.State = encoded(Visitor{Name: "ada"})
		q.send(&runnerv1alpha1.Adopted{Old: offer.Actor, Actor: 77, Generation: 9, Version: 2, RestoredConnections: 1}, before)
		q.call(77, 1, "do", "touch")
		if m := expect[*runnerv1alpha1.ConnectionState](q); decoded[Visitor](t, m.State).Note != "new" || m.Connection != 1011 {
			t.Errorf("state %v", m)
		}
		expect[*wire.CallResult](q)
	})
}
