package e2e

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lxzan/gws"

	"github.com/stagedoor-dev/stagedoor/gateway"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// [SESS-1] [SESS-2] [SESS-7]
func TestABareWebSocketTalks(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		s := w.dial("/v1/connect", "")
		s.text(`{"type":"call","id":1,"action":"add","args":[2],"target":"lab:a"}`)
		s.want("welcome")
		s.want("callResult", "id", 1.0, "output", 2.0)
		s.text(`{"type":"call","id":2,"action":"get","target":{"type":"lab","key":["a"]}}`)
		s.want("callResult", "id", 2.0, "output", 2.0)
		one := w.dial(`/v1/actors/lab:a/connect?params=%7B%22name%22%3A%22one%22%7D&subscribe=count`, "")
		one.want("welcome")
		one.want("connectionOpened", "connection", 1.0)
		one.want("event", "event", "welcome")
		one.text(`{"type":"call","id":1,"connection":1,"action":"add","args":[1]}`)
		one.want("event", "event", "count")
		one.want("callResult", "output", 3.0)
		bytes := w.dial(`/v1/actors/lab:a/connect?subscribe=%ff`, "")
		bytes.want("welcome")
		bytes.want("connectionClosed", "connection", 1.0)
		if _, res, err := w.tryDial("/v1/connect", "graphql-ws"); err == nil || res.StatusCode != 400 {
			w.Errorf("an unknown subprotocol: %v", err)
		}
	})
}

// Each with its own code, and without effect on the neighbours on the same socket. [SESS-9] [SESS-11] [FRAME-3] [FRAME-7] [CALL-2]
// [CALL-10]
func TestBadMessagesCostOnlyThemselves(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		gate := make(chan struct{})
		w.host(runner.Config{}, labType(labOptions{gate: gate}))
		s := w.dial("/v1/connect", "stagedoor.v1.json")
		s.text(`{"type":"hello","sdk":"test"}`)
		s.want("welcome")
		s.text(`{"type":"connectionOpen","connection":5,"target":"lab:n","params":{"name":"n"}}`)
		s.want("connectionOpened", "connection", 5.0)
		s.want("event")
		s.text(`{"type":"call","id":900,"connection":5,"action":"wait"}`) // the neighbour, under way all the time
		big := strings.Repeat("a", 1<<20)
		for _, c := range []struct{ name, send, typ, code string }{
			{"broken JSON", `{"type":"call"`, "protocolError", "request.invalid_json"},
			{"not an object", `[1,2]`, "protocolError", "request.invalid_json"},
			{"duplicate key", `{"type":"ping","nonce":1,"nonce":2}`, "protocolError", "request.invalid_json"},
			{"second Hello", `{"type":"hello"}`, "protocolError", "request.invalid"},
			{"wrong field", `{"type":"call","id":"one","action":"get","target":"lab:a"}`, "protocolError", "request.invalid"},
			{"wrong field of a call with an id", `{"type":"call","id":7,"action":5,"target":"lab:a"}`, "callResult", "request.invalid"},
			{"arguments that are no array", `{"type":"call","id":8,"action":"get","target":"lab:a","args":{}}`, "callResult", "request.invalid"},
			{"a value that cannot be carried", `{"type":"call","id":9,"action":"echo","target":"lab:a","args":[["$Nonsense",1]]}`, "callResult", "request.invalid_json"},
			{"no id", `{"type":"call","action":"get","target":"lab:a"}`, "protocolError", "request.invalid"},
			{"no target", `{"type":"call","id":10,"action":"get"}`, "callResult", "request.invalid"},
			{"connection and target", `{"type":"call","id":11,"action":"get","connection":5,"target":"lab:a"}`, "callResult", "request.invalid"},
			{"unknown connection", `{"type":"call","id":12,"action":"get","connection":6}`, "callResult", "connection.not_found"},
			{"no action", `{"type":"call","id":13,"target":"lab:a"}`, "callResult", "request.invalid"},
			{"unknown action", `{"type":"call","id":14,"action":"fly","target":"lab:a"}`, "callResult", "actor.action_not_found"},
			{"unknown type", `{"type":"call","id":15,"action":"get","target":"nobody:a"}`, "callResult", "actor.type_not_found"},
			{"unknown actor", `{"type":"call","id":16,"action":"get","target":"lab:zz","mode":"get"}`, "callResult", "actor.not_found"},
			{"unknown id", `{"type":"call","id":17,"action":"get","target":"@local-00000000000000000000000000"}`, "callResult", "actor.not_found"},
			{"malformed address", `{"type":"call","id":18,"action":"get","target":"lab:%zz"}`, "callResult", "request.invalid_address"},
			{"invalid type name", `{"type":"call","id":19,"action":"get","target":{"type":"no spaces"}}`, "callResult", "request.invalid_address"},
			{"idempotency key", `{"type":"call","id":20,"action":"get","target":"lab:a","idempotencyKey":"k"}`, "callResult", "request.unsupported"},
			{"wrong arguments", `{"type":"call","id":21,"action":"add","target":"lab:a","args":["x"]}`, "callResult", "action.invalid_arguments"},
			{"number of arguments", `{"type":"call","id":22,"action":"add","target":"lab:a","args":[]}`, "callResult", "action.invalid_arguments"},
			{"oversize arguments", `{"type":"call","id":23,"action":"echo","target":"lab:a","args":["` + big + `"]}`, "callResult", "request.too_large"},
			{"oversize result", `{"type":"call","id":24,"action":"result","target":"lab:a","args":[1100000]}`, "callResult", "action.result_too_large"},
			{"oversize state", `{"type":"call","id":25,"action":"blob","target":"lab:a","args":[9000000]}`, "callResult", "state.too_large"},
			{"call number in use", `{"type":"call","id":900,"action":"get","target":"lab:a"}`, "callResult", "session.duplicate_call"},
			{"connection number in use", `{"type":"connectionOpen","connection":5,"target":"lab:a"}`, "connectionClosed", "connection.duplicate"},
			{"connection to nobody", `{"type":"connectionOpen","connection":6,"target":"nobody:a"}`, "connectionClosed", "actor.type_not_found"},
			{"oversize params", `{"type":"connectionOpen","connection":7,"target":"lab:a","params":"` + big[:70_000] + `"}`, "connectionClosed", "request.too_large"},
			{"refused connection", `{"type":"connectionOpen","connection":8,"target":"lab:a","params":{"name":"bad"}}`, "connectionClosed", "user.banned"},
			{"subscribe to nothing", `{"type":"subscribe","id":30,"connection":77,"events":["x"]}`, "subscriptionResult", "connection.not_found"},
			{"event without name", `{"type":"subscribe","id":31,"connection":5,"events":[""]}`, "subscriptionResult", "request.invalid"},
		} {
			s.text(c.send)
			m := s.next()
			e, _ := m["error"].(map[string]any)
			if m["type"] != c.typ || e == nil || e["group"].(string)+"."+e["code"].(string) != c.code {
				w.Errorf("%s: got %v, want %s %s", c.name, m, c.typ, c.code)
			}
		}
		s.text(`{"type":"dance","id":40}`)
		s.want("unsupported", "kind", "dance", "number", 40.0)
		s.text(`{"type":"welcome"}`)
		s.wantError("protocolError", "request.unsupported")
		close(gate)
		s.want("callResult", "id", 900.0, "output", "opened")
		s.text(`{"type":"call","id":41,"connection":5,"action":"get"}`)
		s.want("callResult", "id", 41.0, "output", 0.0)
		if s.isClosed() {
			w.Error("the socket was closed")
		}
	})
}

// [FRAME-2] [FRAME-3] [FRAME-4]
func TestBadFramesOfABinarySession(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		s := w.dial("/v1/connect", "stagedoor.v1.proto")
		s.frames(wire.Client(&clientv1alpha1.Hello{}))
		if _, ok := s.frame().(*clientv1alpha1.Welcome); !ok {
			w.Fatal("no Welcome")
		}
		target := &commonv1alpha1.Address{Type: "lab", Key: []string{"a"}}
		send := func(b []byte) {
			w.Helper()
			if err := s.conn.WriteMessage(gws.OpcodeBinary, b); err != nil {
				w.Fatal(err)
			}
		}
		framed := func(body ...byte) []byte {
			return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
		}
		for name, b := range map[string][]byte{
			"a frame that is no protobuf":  framed(0xff, 0xff, 0xff),
			"a frame of no kind":           framed(0x08, 0x01),
			"a call that is no call":       framed(0x0a, 0x02, 0x1a, 0x09),
			"an action that is not UTF-8":  framed(0x0a, 0x06, 0x08, 0x01, 0x1a, 0x02, 0xff, 0xfe),
			"a target that is no protobuf": framed(0x0a, 0x05, 0x08, 0x01, 0x32, 0x01, 0xff),
		} {
			send(b)
			if m, ok := s.frame().(*clientv1alpha1.ProtocolError); !ok || m.GetError().GetCode() != "invalid_frame" {
				w.Errorf("%s: got %v", name, m)
			}
		}
		send(framed(0xfa, 0x06, 0x02, 0x08, 0x2a)) // kind 111 with number 42
		if m, ok := s.frame().(*commonv1alpha1.Unsupported); !ok || m.GetKind() != 111 || m.GetNumber() != 42 {
			w.Errorf("an unknown kind: got %v", m)
		}
		// Two frames in one message: the neighbour of a bad one is served.
		good := wire.AppendMessage(nil, &wire.ClientCall{ID: 1, Action: []byte("add"), Args: []byte{0x81, 0x01}, Target: target})
		send(append(framed(0xff), good...))
		if _, ok := s.frame().(*clientv1alpha1.ProtocolError); !ok {
			w.Error("the bad frame was not answered")
		}
		if m, ok := s.frame().(*wire.ClientCallResult); !ok || m.Error != nil || string(m.Output) != "\x01" {
			w.Errorf("its neighbour: %+v", m)
		}
		send([]byte{0, 0, 0, 9, 1}) // cut off: a framing fault
		if m, ok := s.frame().(*commonv1alpha1.Goodbye); !ok || m.GetCode() != "request.invalid_frame" {
			w.Errorf("a framing fault: %v", m)
		}
		if !s.isClosed() {
			w.Error("the socket is still open")
		}
		for name, b := range map[string][]byte{"a frame of length 0": {0, 0, 0, 0}, "a length over the limit": {0x7f, 0, 0, 0}} {
			s := w.dial("/v1/connect", "stagedoor.v1.proto")
			if err := s.conn.WriteMessage(gws.OpcodeBinary, b); err != nil {
				w.Fatal(err)
			}
			if m, ok := s.frame().(*commonv1alpha1.Goodbye); !ok || !s.isClosed() {
				w.Errorf("%s: %v", name, m)
			}
		}
	})
}

// [SESS-4] [SESS-5] [SESS-6] [SESS-8]
func TestSilentAndSlowClientsAreLetGo(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j := new(journal)
		w.host(runner.Config{}, labType(labOptions{journal: j}))
		mute := w.dial("/v1/connect", "stagedoor.v1.json")
		sleep(11 * time.Second)
		mute.want("goodbye", "code", "session.hello_timed_out")
		wantEqual(w, "closed", mute.isClosed(), true)

		silent := w.dial("/v1/connect", "stagedoor.v1.json")
		silent.text(`{"type":"hello"}`)
		silent.want("welcome")
		sleep(16 * time.Second)
		silent.want("ping")
		sleep(45 * time.Second)
		for m := silent.next(); m != nil; m = silent.next() {
			if m["type"] == "goodbye" {
				wantEqual(w, "code", m["code"], any("session.ping_timed_out"))
			}
		}
		wantEqual(w, "closed", silent.isClosed(), true)

		leaver := w.dial("/v1/connect", "stagedoor.v1.json")
		leaver.text(`{"type":"connectionOpen","connection":1,"target":"lab:l","params":{"name":"leaver"}}`)
		leaver.text(`{"type":"call","id":1,"connection":1,"action":"wait"}`)
		synctest.Wait()
		j.take()
		_ = leaver.conn.NetConn().Close()
		synctest.Wait()
		wantEqual(w, "what it had under way is canceled, then it has left", j.take(), "canceled disconnect:leaver")
	})
}

// [SESS-6]
func TestASlowReaderCostsNobodyElse(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		pipe, err := w.Dial(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		defer pipe.Close()
		fmt.Fprintf(pipe, "GET /v1/actors/lab:r/connect?params=%s&subscribe=big HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", `%7B%22name%22%3A%22slow%22%7D`)
		b := make([]byte, 64)
		if _, err := pipe.Read(b); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 101") {
			w.Fatalf("upgrade: %q, %v", b, err)
		}
		fast := w.dial("/v1/actors/lab:r/connect?params=%7B%22name%22%3A%22fast%22%7D&subscribe=big", "")
		synctest.Wait()
		for range 10 {
			wantEqual(w, "the actor is not delayed", w.act("lab:r", "bigEvent", "[900000]").status, 200)
		}
		heard := 0
		for m := fast.next(); m != nil; m = fast.next() {
			if m["event"] == "big" {
				heard++
			}
		}
		wantEqual(w, "its neighbour heard", heard, 10)
		if !strings.Contains(w.do("GET", "/metrics", "").raw, "\nstagedoor_slow_readers_total 1\n") {
			w.Error("the slow reader was not let go")
		}
		sleep(5 * time.Second)
	})
}

// A length with its top bit set makes the WebSocket library panic; it costs that socket, and nobody else, nor is it our fault.
func TestAWebSocketHeaderThatLiesCostsItsSocket(t *testing.T) {
	log := new(synced)
	inWorld(t, gateway.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}, func(w *world) {
		j := new(journal)
		w.host(runner.Config{}, labType(labOptions{journal: j}))
		s := w.dial("/v1/actors/lab:r/connect?params=%7B%22name%22%3A%22liar%22%7D", "")
		s.want("welcome")
		s.want("connectionOpened")
		j.take()
		if _, err := s.conn.NetConn().Write([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}); err != nil {
			w.Fatal(err)
		}
		wantEqual(w, "closed", s.isClosed(), true)
		wantEqual(w, "its connection has ended", j.take(), "disconnect:liar")
	})
	if text := log.String(); strings.Contains(text, "panic") {
		t.Errorf("it is logged as one of ours: %s", text)
	}
}
