package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"testing/synctest"

	"github.com/lxzan/gws"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// raw is a WebSocket without an SDK: what a stranger's client sends.
type raw struct {
	w    *world
	conn *gws.Conn
	in   *inbox
	done chan struct{}
}

type inbox struct {
	gws.BuiltinEventHandler
	messages chan []byte
	closed   chan error
}

func (i *inbox) OnMessage(_ *gws.Conn, m *gws.Message) {
	i.messages <- append([]byte(nil), m.Bytes()...)
	_ = m.Close()
}

func (i *inbox) OnClose(_ *gws.Conn, err error) { i.closed <- err }

// dial opens a WebSocket; an empty subprotocol offers none.
func (w *world) dial(path, subprotocol string) *raw {
	w.Helper()
	r, res, err := w.tryDial(path, subprotocol)
	if err != nil {
		w.Fatalf("dial %s: %v (%v)", path, err, res)
	}
	return r
}

func (w *world) tryDial(path, subprotocol string) (*raw, *http.Response, error) {
	in := &inbox{messages: make(chan []byte, 4096), closed: make(chan error, 1)}
	header := http.Header{}
	if subprotocol != "" {
		header.Set("Sec-WebSocket-Protocol", subprotocol)
	}
	pipe, err := w.Dial(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	conn, res, err := gws.NewClientFromConn(in, &gws.ClientOption{
		Addr: "ws://gateway" + path, RequestHeader: header, ReadMaxPayloadSize: 64 << 20, WriteMaxPayloadSize: 64 << 20,
		NewDialer: func() (gws.Dialer, error) { return fixed{pipe}, nil },
	}, pipe)
	if err != nil {
		_ = pipe.Close()
		return nil, res, err
	}
	r := &raw{w: w, conn: conn, in: in, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		conn.ReadLoop()
	}()
	w.Cleanup(func() {
		_ = conn.NetConn().Close()
		<-r.done
	})
	return r, res, nil
}

type fixed struct{ c net.Conn }

func (f fixed) Dial(_, _ string) (net.Conn, error) { return f.c, nil }

func (r *raw) text(s string) {
	r.w.Helper()
	if err := r.conn.WriteMessage(gws.OpcodeText, []byte(s)); err != nil {
		r.w.Fatalf("send %s: %v", s, err)
	}
}

// frames sends whole frames in one binary message.
func (r *raw) frames(messages ...wire.Message) {
	r.w.Helper()
	var b []byte
	for _, m := range messages {
		b = wire.AppendMessage(b, m)
	}
	if err := r.conn.WriteMessage(gws.OpcodeBinary, b); err != nil {
		r.w.Fatal(err)
	}
}

// next is the next text message as JSON; nil when the socket has closed or nothing comes.
func (r *raw) next() map[string]any {
	r.w.Helper()
	synctest.Wait()
	select {
	case m := <-r.in.messages:
		var v map[string]any
		if err := json.Unmarshal(m, &v); err != nil {
			r.w.Fatalf("not JSON: %q", m)
		}
		return v
	default:
		return nil
	}
}

// want reads the next message and compares its type and, where given, pairs of fields.
func (r *raw) want(typ string, pairs ...any) map[string]any {
	r.w.Helper()
	m := r.next()
	if m == nil {
		r.w.Fatalf("nothing came, want %s", typ)
	}
	if m["type"] != typ {
		r.w.Fatalf("got %v, want %s", m, typ)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if got := m[pairs[i].(string)]; got != pairs[i+1] {
			r.w.Fatalf("%s: %s = %v (%T), want %v", typ, pairs[i], got, got, pairs[i+1])
		}
	}
	return m
}

// wantError reads the next message, which carries an error.
func (r *raw) wantError(typ, code string, pairs ...any) map[string]any {
	r.w.Helper()
	m := r.want(typ, pairs...)
	e, _ := m["error"].(map[string]any)
	if e == nil || e["group"].(string)+"."+e["code"].(string) != code {
		r.w.Fatalf("got %v, want error %s", m, code)
	}
	return e
}

// frame is the next frame of a proto session, decoded; nil when nothing comes.
func (r *raw) frame() any {
	r.w.Helper()
	synctest.Wait()
	select {
	case b := <-r.in.messages:
		frame, rest, err := wire.NextFrame(b, 64<<20)
		if err != nil {
			r.w.Fatal(err)
		}
		if len(rest) > 0 {
			r.in.messages <- rest // only ever read here, and in order: one frame comes per message
		}
		f, err := wire.ParseFrame(frame)
		if err != nil {
			r.w.Fatal(err)
		}
		m, err := wire.DecodeClient(f)
		if err != nil {
			r.w.Fatal(err)
		}
		return m
	default:
		return nil
	}
}

// isClosed tells whether the gateway has closed the socket.
func (r *raw) isClosed() bool {
	synctest.Wait()
	select {
	case err := <-r.in.closed:
		r.in.closed <- err
		return true
	default:
		return false
	}
}
