package link

import (
	"io"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// quietHost takes everybody and cares for nothing.
type quietHost struct{ Host }

func (quietHost) Admit(*Link, *runnerv1alpha1.Hello) (*runnerv1alpha1.Welcome, *wire.Error) {
	return &runnerv1alpha1.Welcome{Session: []byte("s")}, nil
}
func (quietHost) Joined(*Link) {}
func (quietHost) Ending(*Link) {}
func (quietHost) Gone(*Link)   {}

type quietActor struct{}

func (quietActor) Receive(any) bool  { return false }
func (quietActor) Malformed(error)   {}
func (quietActor) Lost([]wire.Frame) {}

// nowhere is a socket that takes everything at once and counts the calls.
type nowhere struct{ calls atomic.Uint64 }

func (s *nowhere) WriteFrames(b []byte) error {
	for len(b) > 0 {
		raw, rest, err := wire.NextFrame(b, len(b))
		if err != nil {
			return err
		}
		if f, err := wire.ParseFrame(raw); err == nil && f.Kind == wire.RunnerCall {
			s.calls.Add(1)
		}
		b = rest
	}
	return nil
}

func (*nowhere) Close() error { return nil }
func (*nowhere) Peer() string { return "nowhere" }

// BenchmarkCall is what a call costs the link: its frame to the runner, with Full asked before, and the result's way to the
// actor.
func BenchmarkCall(b *testing.B) {
	cfg := Config{
		Host: quietHost{}, Links: new(Links), Limits: wire.DefaultLimits(), Stats: new(stats.Stats),
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for name, features := range map[string][]string{"core": nil, "resume": {wire.FeatureResume, wire.FeatureCredit}} {
		b.Run(name, func(b *testing.B) {
			socket := new(nowhere)
			c := Accept(cfg, socket)
			hello := &runnerv1alpha1.Hello{ProtocolMin: 1, ProtocolMax: 1, Features: features}
			if err := c.Receive(wire.AppendMessage(nil, wire.Runner(hello))); err != nil {
				b.Fatal(err)
			}
			l := c.link.Load()
			binding := l.Bind(quietActor{})
			call := &wire.Call{Actor: binding.Ref, ID: 1, Action: []byte("increment"), Args: make([]byte, 20)}
			result := wire.AppendMessage(nil, &wire.CallResult{Actor: binding.Ref, ID: 1, Output: make([]byte, 20), HasOutput: true})
			b.ReportAllocs()
			for n := 1; b.Loop(); n++ {
				if l.Full() || !l.Send(binding, call) {
					b.Fatal("the link takes nothing")
				}
				if err := c.Receive(result); err != nil {
					b.Fatal(err)
				}
				if n%64 == 0 && features != nil {
					if err := c.Receive(wire.AppendMessage(nil, ack(socket.calls.Load()))); err != nil {
						b.Fatal(err)
					}
				}
			}
			l.Close(wire.GatewayDraining.New(), anywhere)
			c.Ended()
		})
	}
	cfg.Links.Close(wire.GatewayDraining.New(), anywhere)
	cfg.Links.Wait()
}
