package proxy_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/proxy"
	"github.com/stagedoor-dev/stagedoor/conformance/tap"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is a runner of a few lines that talks to a virtual gateway through a Proxy.
type scene struct {
	t       *testing.T
	ctx     context.Context
	gateway *vgw.Gateway
	proxy   *proxy.Proxy
	runner  *websocket.Conn
}

func newScene(t *testing.T, cfg proxy.Config) *scene {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	gateway, err := vgw.Listen(vgw.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gateway.Close)
	cfg.Upstream = gateway.Endpoint()
	p, err := proxy.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	header := http.Header{"Authorization": {"Bearer secret"}}
	runner, err := websocket.Dial(ctx, p.Endpoint()+vgw.Path, vgw.Subprotocol, header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = runner.Close() })
	return &scene{t, ctx, gateway, p, runner}
}

func (s *scene) say(frames ...*tap.Frame) {
	s.t.Helper()
	var message []byte
	for _, f := range frames {
		body, err := proto.Marshal(f)
		if err != nil {
			s.t.Fatal(err)
		}
		message = frame.Append(message, body)
	}
	if err := s.runner.Write(websocket.Binary, message); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) accept() (*vgw.Socket, *runnerv1alpha1.Hello) {
	s.t.Helper()
	socket, err := s.gateway.Accept(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	hello, err := socket.Hello(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return socket, hello
}

func helloFrame() *tap.Frame {
	return &tap.Frame{Kind: &runnerv1alpha1.Frame_Hello{Hello: &runnerv1alpha1.Hello{ProtocolMin: 1, ProtocolMax: 1, Instance: "i"}}}
}

func TestEveryFrameArrivesAndActorsKeepTheirOrder(t *testing.T) {
	for _, travel := range []proxy.Travel{
		{}, {Alone: true}, {Together: true}, {Together: true, Interleave: true}, {Jitter: true}, {Chunk: 7}, {Fragment: 11},
	} {
		t.Run(fmt.Sprintf("%+v", travel), func(t *testing.T) {
			s := newScene(t, proxy.Config{Travel: travel, Seed: 1})
			s.say(helloFrame())
			socket, hello := s.accept()
			if socket.Authorization != "Bearer secret" {
				t.Errorf("the token arrives as %q", socket.Authorization)
			}
			s.gateway.Welcome(socket, hello, vgw.DefaultWelcome(hello))
			s.upwards()
			s.untilGoodbye()
		})
	}
}

// upwards sends frames of three actors, several in a message.
func (s *scene) upwards() {
	s.t.Helper()
	const each = 20
	for n := range each {
		s.say(fence(1, n), fence(2, n), fence(3, n))
	}
	s.say(&tap.Frame{Kind: &runnerv1alpha1.Frame_Drain{Drain: &runnerv1alpha1.Drain{DeadlineMs: 1}}})
	last, err := s.gateway.Log.Find(s.ctx, 0, func(e *vgw.Entry) bool { return e.Name == "drain" })
	if err != nil {
		s.t.Fatal(err)
	}
	seen := map[uint64]int{}
	entries, _ := s.gateway.Log.From(0)
	for _, e := range entries[:last.Index] {
		m := e.Frame.GetFenceReached()
		if m == nil {
			continue
		}
		if m.Nonce != uint64(seen[m.Actor]) {
			s.t.Errorf("frame %d of actor %d comes as number %d", m.Nonce, m.Actor, seen[m.Actor])
		}
		seen[m.Actor]++
	}
	if seen[1] != each || seen[2] != each || seen[3] != each {
		s.t.Errorf("before the last frame came %v", seen)
	}
}

func fence(actor uint64, n int) *tap.Frame {
	return &tap.Frame{Kind: &runnerv1alpha1.Frame_FenceReached{FenceReached: &runnerv1alpha1.FenceReached{Actor: actor, Nonce: uint64(n)}}}
}

// untilGoodbye reads what the gateway sends, to the last frame.
func (s *scene) untilGoodbye() {
	s.t.Helper()
	for {
		_, message, err := s.runner.Read()
		if err != nil {
			s.t.Fatalf("the socket ends before Goodbye: %v", err)
		}
		bodies, err := frame.Split(message, 1<<20)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, body := range bodies {
			f := new(tap.Frame)
			if err := proto.Unmarshal(body, f); err != nil {
				s.t.Fatal(err)
			}
			if f.GetGoodbye() != nil {
				return
			}
		}
	}
}

func TestTheHandshakeCanBeChanged(t *testing.T) {
	handshake := tap.Tap{
		FromRunner: func(f *tap.Frame) tap.Out {
			f = tap.Clone(f)
			f.GetHello().Instance = "another"
			return tap.Out{Gateway: []*tap.Frame{f}}
		},
		ToRunner: func(f *tap.Frame) tap.Out {
			f = tap.Clone(f)
			f.GetReject().Code = "auth.forbidden"
			return tap.Out{Runner: []*tap.Frame{f}}
		},
	}
	s := newScene(t, proxy.Config{Handshake: handshake})
	s.say(helloFrame())
	socket, hello := s.accept()
	if hello.Instance != "another" {
		t.Errorf("Hello arrives from %q", hello.Instance)
	}
	socket.Reject(&runnerv1alpha1.Reject{Code: "auth.unauthenticated"})
	_, message, err := s.runner.Read()
	if err != nil {
		t.Fatal(err)
	}
	f := new(tap.Frame)
	if err := proto.Unmarshal(message[frame.HeaderLen:], f); err != nil || f.GetReject().GetCode() != "auth.forbidden" {
		t.Errorf("the answer arrives as %v (%v)", f, err)
	}
}

func TestWhatIsNoFramePassesAsItIs(t *testing.T) {
	s := newScene(t, proxy.Config{Travel: proxy.Travel{Alone: true}})
	if err := s.runner.Write(websocket.Text, []byte("hello?")); err != nil {
		t.Fatal(err)
	}
	s.untilGoodbye()
}

func TestARefusedHandshakeIsRefused(t *testing.T) {
	s := newScene(t, proxy.Config{})
	s.gateway.Refuse(http.StatusServiceUnavailable)
	if _, err := websocket.Dial(s.ctx, s.proxy.Endpoint()+vgw.Path, vgw.Subprotocol, nil); err == nil {
		t.Error("the gateway refuses the handshake, and the runner is taken")
	}
}

func TestTheEndOfASocketReachesTheOtherSide(t *testing.T) {
	s := newScene(t, proxy.Config{})
	s.say(helloFrame(), &tap.Frame{Kind: &runnerv1alpha1.Frame_Ping{Ping: &commonv1alpha1.Ping{Nonce: 1}}})
	socket, _ := s.accept()
	_ = s.runner.Close()
	select {
	case <-socket.Done():
	case <-s.ctx.Done():
		t.Error("the gateway's socket lives on")
	}
}
