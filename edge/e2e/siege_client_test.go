package e2e

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// What hostile clients do. Each lives through one socket, or a few, and returns.

// upgrade is a WebSocket after its handshake, as a plain connection, or nil.
func (a *attacker) upgrade(subprotocol string) net.Conn {
	conn := a.dial(a.address)
	if conn == nil {
		return nil
	}
	request := "GET /v1/connect HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	if subprotocol != "" {
		request += "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err == nil {
		// The answer is read to its end, not further: what comes after it belongs to the socket.
		r := bufio.NewReaderSize(oneByte{conn}, 16)
		if res, err := http.ReadResponse(r, nil); err == nil && res.StatusCode == http.StatusSwitchingProtocols {
			return conn
		}
	}
	_ = conn.Close()
	return nil
}

// oneByte keeps a buffered reader from reading ahead.
type oneByte struct{ io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.Reader.Read(p[:min(len(p), 1)]) }

const (
	opcodeText   = 1
	opcodeBinary = 2
)

// message is a masked WebSocket message, with a mask of zeros.
func message(opcode byte, payload []byte) []byte {
	head := []byte{0x80 | opcode}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	return append(append(head, 0, 0, 0, 0), payload...)
}

func (a *attacker) halfFrames() {
	conn := a.upgrade(wire.SubprotocolClientProto)
	if conn == nil {
		return
	}
	defer conn.Close()
	go drain(conn)
	for range 20 {
		b := message(opcodeBinary, a.anyFrame((*clientv1alpha1.Frame)(nil)))
		if a.r.IntN(2) == 0 { // half of a WebSocket frame, or half of ours within a whole one
			b = b[:a.r.IntN(len(b))]
		} else {
			inner := a.anyFrame((*clientv1alpha1.Frame)(nil))
			b = message(opcodeBinary, inner[:a.r.IntN(len(inner))])
		}
		if _, err := conn.Write(b); err != nil {
			return
		}
	}
}

func (a *attacker) randomFrames() {
	conn := a.upgrade(wire.SubprotocolClientProto)
	if conn == nil {
		return
	}
	defer conn.Close()
	go drain(conn)
	if a.r.IntN(2) == 0 {
		_, _ = conn.Write(message(opcodeBinary, a.frame(wire.ClientHello, &clientv1alpha1.Hello{Features: []string{"resume"}})))
	}
	for range 300 {
		if _, err := conn.Write(message(opcodeBinary, a.anyFrame((*clientv1alpha1.Frame)(nil)))); err != nil {
			return
		}
	}
}

func (a *attacker) randomText() {
	conn := a.upgrade([]string{"", wire.SubprotocolClientJSON}[a.r.IntN(2)])
	if conn == nil {
		return
	}
	defer conn.Close()
	go drain(conn)
	types := []string{"call", "hello", "connectionOpen", "subscribe", "ack", "cancelCall", "ping", "goodbye", "nonsense", "event"}
	for range 200 {
		text := fmt.Sprintf(`{"type":%q,"id":%d,"connection":%d,"target":%q,"action":"increment","args":[%s],"events":["count"]}`,
			types[a.r.IntN(len(types))], a.number(), a.number(), "counter:"+words[a.r.IntN(6)], strings.Repeat("[", a.r.IntN(100)))
		if a.r.IntN(2) == 0 {
			text = text[:a.r.IntN(len(text))]
		}
		if _, err := conn.Write(message(opcodeText, []byte(text))); err != nil {
			return
		}
	}
}

func (a *attacker) forgedResumes() {
	conn := a.upgrade(wire.SubprotocolClientProto)
	if conn == nil {
		return
	}
	defer conn.Close()
	go drain(conn)
	hello := &clientv1alpha1.Hello{Features: []string{"resume"}, Resume: &clientv1alpha1.Resume{Token: a.bytes()}}
	for range a.r.IntN(2000) {
		hello.Resume.Received = append(hello.Resume.Received, &clientv1alpha1.Received{Connection: a.number(), Frames: a.number()})
	}
	_, _ = conn.Write(message(opcodeBinary, a.frame(wire.ClientHello, hello)))
	for range 50 {
		ack := &clientv1alpha1.Ack{Received: []*clientv1alpha1.Received{{Connection: a.number(), Frames: a.number()}}}
		if _, err := conn.Write(message(opcodeBinary, a.frame(wire.ClientAck, ack))); err != nil {
			return
		}
	}
	// It leaves without a word: the session is kept for a while.
}

// manyOpens opens until it has made 100,000 connections with the others of its kind.
func (a *attacker) manyOpens() {
	conn := a.upgrade(wire.SubprotocolClientProto)
	if conn == nil {
		return
	}
	defer conn.Close()
	go drain(conn)
	for n := uint64(1); n <= 2000; n++ {
		open := &clientv1alpha1.ConnectionOpen{
			Connection: n, Target: &commonv1alpha1.Address{Type: "counter", Key: []string{"flood", fmt.Sprint(a.r.IntN(20))}},
			Subscriptions: []string{"count"},
		}
		frames := a.frame(wire.ClientConnectionOpen, open)
		if a.r.IntN(4) == 0 {
			frames = append(frames, a.frame(wire.ClientConnectionClose, &clientv1alpha1.ConnectionClose{Connection: n})...)
		}
		if _, err := conn.Write(message(opcodeBinary, frames)); err != nil {
			return
		}
	}
}

// neverReads asks for far more than it takes.
func (a *attacker) neverReads() {
	conn := a.upgrade(wire.SubprotocolClientProto)
	if conn == nil {
		return
	}
	defer conn.Close()
	hello := &clientv1alpha1.Hello{}
	if a.r.IntN(2) == 0 {
		hello.Features = []string{"resume"}
	}
	_, _ = conn.Write(message(opcodeBinary, a.frame(wire.ClientHello, hello)))
	target := &commonv1alpha1.Address{Type: "chat", Key: []string{"flood"}}
	for n := uint64(1); n <= 20_000; n++ {
		call := &clientv1alpha1.Call{Id: n, Target: target, Action: "history"}
		if _, err := conn.Write(message(opcodeBinary, a.frame(wire.ClientCallKind, call))); err != nil {
			return
		}
	}
	wait(time.Second)
}

func (a *attacker) slowBytes() {
	var conns []net.Conn
	for range 50 {
		conn := a.dial(a.address)
		if a.r.IntN(2) == 0 && conn != nil {
			_ = conn.Close()
			conn = a.upgrade(wire.SubprotocolClientProto)
		}
		if conn != nil {
			defer conn.Close()
			conns = append(conns, conn)
		}
	}
	text := append([]byte("GET /v1/connect HTTP/1.1"), message(opcodeBinary, a.bytes())...)
	for at := range 4 {
		for _, conn := range conns {
			_, _ = conn.Write(text[at : at+1])
		}
		select {
		case <-time.After(time.Second):
		case <-a.ctx.Done():
			return
		}
	}
}

func (a *attacker) brokenUpgrades() {
	conn := a.dial(a.address)
	if conn == nil {
		return
	}
	defer conn.Close()
	lines := []string{
		"GET /v1/connect HTTP/1.1\r\n", "POST /v1/actors/counter:a/actions/increment HTTP/1.1\r\n", "Host: g\r\n", "Upgrade: websocket\r\n",
		"Connection: Upgrade\r\n", "Sec-WebSocket-Version: 12\r\n", "Content-Length: 99999999999\r\n", "Transfer-Encoding: chunked\r\n",
		"Sec-WebSocket-Key: " + strings.Repeat("k", a.r.IntN(5000)) + "\r\n", "\r\n", "fffffff\r\n", string(a.bytes()),
	}
	for range 12 {
		if _, err := io.WriteString(conn, lines[a.r.IntN(len(lines))]); err != nil {
			return
		}
	}
}

func (a *attacker) idleSockets() {
	for range 200 {
		if conn := a.upgrade(wire.SubprotocolClientProto); conn != nil {
			defer conn.Close()
		}
	}
	select {
	case <-time.After(3 * time.Second):
	case <-a.ctx.Done():
	}
}
