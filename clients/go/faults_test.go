package client

import (
	"testing"
	"testing/synctest"

	"github.com/lxzan/gws"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

func TestUnusableFramesCostTheSocket(t *testing.T) {
	cases := map[string]func(*peer){
		"length 0":     func(p *peer) { _ = p.conn.WriteMessage(gws.OpcodeBinary, []byte{0, 0, 0, 0}) },
		"cut off":      func(p *peer) { _ = p.conn.WriteMessage(gws.OpcodeBinary, []byte{0, 0, 0, 9, 1}) },
		"too long":     func(p *peer) { _ = p.conn.WriteMessage(gws.OpcodeBinary, []byte{0xff, 0, 0, 9, 1}) },
		"no kind":      func(p *peer) { _ = p.conn.WriteMessage(gws.OpcodeBinary, []byte{0, 0, 0, 2, 8, 1}) },
		"bad result":   func(p *peer) { _ = p.conn.WriteMessage(gws.OpcodeBinary, []byte{0, 0, 0, 3, 0x12, 1, 0xff}) },
		"bad welcome":  func(p *peer) { _ = p.conn.WriteMessage(gws.OpcodeBinary, []byte{0, 0, 0, 4, 0x8a, 1, 1, 0xff}) },
		"text":         func(p *peer) { _ = p.conn.WriteMessage(gws.OpcodeText, []byte("{}")) },
		"ask too much": flood,
	}
	for name, send := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				call := increment(t.Context(), g.client(Options{}).Get("a", nil))
				p := g.greet(nil)
				next1[*wire.ClientCall](p)
				send(p)
				wantError(t, <-call, CodeSessionLost, RanMaybe)
				rest := p.ended()
				if name == "ask too much" {
					return // it does not read: nothing can be said
				}
				if bye, ok := rest[len(rest)-1].(*commonv1alpha1.Goodbye); !ok || bye.GetCode() != CodeRequestInvalidFrame {
					t.Errorf("sent %v", rest)
				}
			})
		})
	}
}

func flood(p *peer) {
	resume := p.stopReading()
	defer resume()
	for range 10 * maxReplies {
		if p.conn.WriteMessage(gws.OpcodeBinary, encoded(&commonv1alpha1.Ping{Nonce: 1})) != nil {
			return
		}
	}
}

func TestHarmlessFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		call := increment(t.Context(), g.client(Options{}).Get("a", nil))
		p := g.greet(nil)
		got := next1[*wire.ClientCall](p)
		_ = p.conn.WriteMessage(gws.OpcodeBinary, []byte{0, 0, 0, 3, 0xd2, 5, 0}) // kind 90, not known
		if m := next1[*commonv1alpha1.Unsupported](p); m.GetKind() != 90 {
			t.Errorf("%v", m)
		}
		p.send(&clientv1alpha1.Welcome{}, &clientv1alpha1.Hello{}, &clientv1alpha1.ProtocolError{}, &commonv1alpha1.Unsupported{Kind: 500},
			&clientv1alpha1.ConnectionOpened{Connection: 9}, &clientv1alpha1.ConnectionClosed{Connection: 9}, event(9, "x"),
			&clientv1alpha1.SubscriptionResult{Id: 9}, &wire.ClientCallResult{ID: 999}, result(got, 1))
		noError(t, <-call)
		p.silent()
	})
}

// gws slices with the length of the header before it looks at its sign.
func TestWebSocketLengthOf64Bits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		call := increment(t.Context(), g.client(Options{}).Get("a", nil))
		p := g.greet(nil)
		next1[*wire.ClientCall](p)
		_, err := p.conn.NetConn().Write([]byte{0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0})
		noError(t, err)
		wantError(t, <-call, CodeSessionLost, RanMaybe)
	})
}
