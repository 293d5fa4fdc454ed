package session

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	"github.com/stagedoor-dev/stagedoor/gateway/quota"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// sink is a socket that takes everything.
type sink struct{ sent int }

func (s *sink) Send([]byte) bool         { s.sent++; return true }
func (*sink) Backlog() int               { return 0 }
func (*sink) Ended() bool                { return false }
func (*sink) Finish([]byte, *wire.Error) {}
func (*sink) Cut([]byte, *wire.Error)    {}
func (*sink) Ping()                      {}
func (*sink) Transport() string          { return "sink" }
func (*sink) Peer() string               { return "nobody" }

// newSessions is the sessions of a gateway without anything behind them.
func newSessions(tb testing.TB) *Sessions {
	tb.Helper()
	limits, counters := wire.DefaultLimits(), new(stats.Stats)
	open, err := auth.New(auth.Tokens{}, true)
	if err != nil {
		tb.Fatal(err)
	}
	return New(Config{
		Router: route.New(route.Config{}), Auth: open, Limits: limits, Stats: counters, Logger: slog.New(slog.DiscardHandler),
		Quotas: quota.New(limits, counters), Budget: budget.New(limits.MaxMemory), Gateway: "local-1",
	})
}

func (all *Sessions) accept(s Socket, f Form) *Attachment {
	return all.Accept(s, f, "", "", netip.Addr{})
}

// benchmarkSession is a session that a socket has begun, and its connection 1.
func benchmarkSession(b *testing.B, form Form, resumable bool) (*Session, *channel) {
	b.Helper()
	a := newSessions(b).accept(new(sink), form)
	hello := &clientv1alpha1.Hello{}
	if resumable {
		hello.Features = []string{wire.FeatureClientResume}
	}
	if !a.hello(hello) {
		b.Fatal("no session")
	}
	a.read()
	s := a.session.Load()
	ch := &channel{session: s, number: 1, conn: &route.Connection{Tag: 1}}
	if !s.enter(ch, 0, nil) {
		b.Fatal("no connection")
	}
	b.Cleanup(func() {
		ch.ended = true // nobody is at its other end
		a.timer.Stop()
		s.end()
	})
	return s, ch
}

func eachForm(b *testing.B, f func(*testing.B, *Session, *channel)) {
	for _, c := range []struct {
		name      string
		form      Form
		resumable bool
	}{{"proto", Proto{}, false}, {"proto+resume", Proto{}, true}, {"JSON", JSON{}, false}, {"JSON+resume", JSON{}, true}} {
		b.Run(c.name, func(b *testing.B) {
			s, ch := benchmarkSession(b, c.form, c.resumable)
			b.ReportAllocs()
			f(b, s, ch)
		})
	}
}

// acknowledge is the client that acknowledges as it must.
func acknowledge(b *testing.B, s *Session, ch *channel) {
	if !s.resumable || ch.sent-ch.acked < ackFrames {
		return
	}
	if e := s.acknowledged(&clientv1alpha1.Ack{Received: []*clientv1alpha1.Received{{Connection: ch.number, Frames: ch.sent}}}); e != nil {
		b.Fatal(e)
	}
}

// BenchmarkSessionCall is a call of connection 1 and its result, without what the router does.
func BenchmarkSessionCall(b *testing.B) {
	eachForm(b, func(b *testing.B, s *Session, ch *channel) {
		m := &wire.ClientCall{Connection: 1, Action: []byte("increment"), Args: make([]byte, 64)}
		result := route.Result{Output: []byte{0x18, 42}, HasOutput: true, Last: true}
		for b.Loop() {
			m.ID++
			c, e := s.begin(m, 90, time.Now())
			if e != nil {
				b.Fatal(e)
			}
			c.Reply(&c.Call, result)
			acknowledge(b, s, ch)
		}
	})
}

// BenchmarkSessionCallWithoutConnection is a call by address.
func BenchmarkSessionCallWithoutConnection(b *testing.B) {
	eachForm(b, func(b *testing.B, s *Session, _ *channel) {
		m := &wire.ClientCall{
			Action: []byte("increment"), Args: make([]byte, 64), Target: &commonv1alpha1.Address{Type: "counter", Key: []string{"a"}},
		}
		result := route.Result{Output: []byte{0x18, 42}, HasOutput: true, Last: true}
		for b.Loop() {
			m.ID++
			c, e := s.begin(m, 110, time.Now())
			if e != nil {
				b.Fatal(e)
			}
			c.Reply(&c.Call, result)
			acknowledge(b, s, &s.own)
		}
	})
}

// BenchmarkSessionEvent is one receiver of a broadcast, of a small event and of one that is kept by reference.
func BenchmarkSessionEvent(b *testing.B) {
	for name, size := range map[string]int{"64B": 64, "4KiB": 4096} {
		b.Run(name, func(b *testing.B) {
			eachForm(b, func(b *testing.B, s *Session, ch *channel) {
				args := append([]byte{0x81, 0x59, byte(size >> 8), byte(size)}, make([]byte, size)...)
				e := &fanout.Event{Name: []byte("tick"), Args: args}
				for b.Loop() {
					ch.Event(ch.conn, e)
					acknowledge(b, s, ch)
				}
			})
		})
	}
}
