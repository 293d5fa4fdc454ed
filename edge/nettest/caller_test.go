package nettest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/lxzan/gws"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

func body(text string) io.Reader { return strings.NewReader(text) }

// caller is a session with one connection, and one call at a time.
type caller struct {
	peer
	results chan *wire.ClientCallResult
	ended   chan any
	calls   uint64
}

func newCaller(ctx context.Context, transport, address string) (*caller, error) {
	c := &caller{results: make(chan *wire.ClientCallResult, 16), ended: make(chan any, 16)}
	var err error
	c.peer, err = dialPeer(ctx, transport, plainNetwork{}, address, func(m any) {
		switch m := m.(type) {
		case *wire.ClientCallResult:
			c.results <- m
		case *commonv1alpha1.Ping:
			go func() { _ = c.send(0, wire.Client(&clientv1alpha1.Pong{Nonce: m.GetNonce()})) }()
		case *clientv1alpha1.ConnectionClosed, *clientv1alpha1.ProtocolError, *commonv1alpha1.Goodbye:
			select {
			case c.ended <- m:
			default:
			}
		}
	})
	if err != nil {
		return nil, err
	}
	target := &commonv1alpha1.Address{Type: "tally", Key: []string{transport}}
	if err := c.send(1, wire.Client(&clientv1alpha1.ConnectionOpen{Connection: 1, Target: target})); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

var errRefused = errors.New("the gateway refused")

// call adds one, and waits for the answer.
func (c *caller) call(ctx context.Context) error {
	c.calls++
	if err := c.send(1, &wire.ClientCall{ID: c.calls, Connection: 1, Action: []byte("add"), Args: []byte{0x81, 1}}); err != nil {
		return err
	}
	select {
	case r := <-c.results:
		if r.Error != nil {
			return r.Error
		}
		return nil
	case m := <-c.ended:
		return errors.Join(errRefused, errors.New(describe(m)))
	case <-ctx.Done():
		return ctx.Err()
	}
}

// describe names what a message says.
func describe(m any) string {
	switch m := m.(type) {
	case *commonv1alpha1.Goodbye:
		return "Goodbye " + m.GetCode()
	case *clientv1alpha1.ProtocolError:
		return "ProtocolError " + m.GetError().GetGroup() + "." + m.GetError().GetCode()
	case *clientv1alpha1.ConnectionClosed:
		return "ConnectionClosed " + m.GetError().GetGroup() + "." + m.GetError().GetCode()
	case *clientv1alpha1.Reject:
		return "Reject " + m.GetError().GetGroup() + "." + m.GetError().GetCode()
	}
	return ""
}

// sayJSON begins a session in JSON, says a message, and returns the first answer but Welcome.
func sayJSON(ctx context.Context, address, message string) (string, error) {
	raw, err := plainNetwork{}.dialTCP(ctx, address)
	if err != nil {
		return "", err
	}
	w := &jsonSocket{answers: make(chan string, 16)}
	conn, _, err := gws.NewClientFromConn(w, &gws.ClientOption{
		Addr: "ws://" + address + "/v1/connect", RequestHeader: http.Header{"Sec-Websocket-Protocol": {wire.SubprotocolClientJSON}},
	}, tls.Client(raw, trust("http/1.1")))
	if err != nil {
		return "", errors.Join(err, raw.Close())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn.ReadLoop()
	}()
	defer func() {
		_ = conn.NetConn().Close()
		<-done
	}()
	err = errors.Join(conn.WriteMessage(gws.OpcodeText, []byte(`{"type":"hello"}`)), conn.WriteMessage(gws.OpcodeText, []byte(message)))
	if err != nil {
		return "", err
	}
	for {
		select {
		case answer := <-w.answers:
			if !strings.Contains(answer, `"welcome"`) {
				return answer, nil
			}
		case <-ctx.Done():
			return "", ctx.Err()
		case <-done:
			return "closed", nil
		}
	}
}

// jsonSocket hands on the messages that come.
type jsonSocket struct {
	gws.BuiltinEventHandler
	answers chan string
}

// OnMessage implements gws.Event.
func (w *jsonSocket) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	offer(w.answers, string(m.Bytes()))
}
