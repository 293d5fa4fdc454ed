package websocket

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// pair is two ends of one WebSocket.
func pair(t *testing.T) (server, client *Conn) {
	t.Helper()
	accepted := make(chan *Conn, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, "proto")
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}))
	t.Cleanup(s.Close)
	client, err := Dial(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+"/path", "proto", nil)
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() { _ = server.Close(); _ = client.Close() })
	return server, client
}

func TestMessagesCrossInEveryShape(t *testing.T) {
	server, client := pair(t)
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 200000} {
		payload := bytes.Repeat([]byte{byte(size)}, size)
		for _, shape := range [][2]int{{0, 0}, {1000, 0}, {0, 7000}, {999, 20000}} {
			server.Shape(shape[0], shape[1])
			go func() { _ = server.Write(Binary, payload) }()
			op, got, err := client.Read()
			if err != nil || op != Binary || !bytes.Equal(got, payload) {
				t.Fatalf("%d bytes in shape %v: opcode %d, %d bytes, error %v", size, shape, op, len(got), err)
			}
		}
		go func() { _ = client.Write(Text, payload) }()
		if op, got, err := server.Read(); err != nil || op != Text || !bytes.Equal(got, payload) {
			t.Fatalf("%d bytes to the server: opcode %d, %d bytes, error %v", size, op, len(got), err)
		}
	}
}

func TestTLSIsSpokenBelow(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, "proto")
		if err != nil {
			t.Error(err)
			return
		}
		_, message, _ := c.Read()
		_ = c.Write(Text, message)
	}))
	defer s.Close()
	c, err := Dial(t.Context(), "wss"+strings.TrimPrefix(s.URL, "https"), "proto", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Write(Binary, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if op, message, err := c.Read(); err != nil || op != Text || string(message) != "x" {
		t.Errorf("opcode %d, %q, error %v", op, message, err)
	}
}

func TestControlFramesAreHandled(t *testing.T) {
	server, client := pair(t)
	if err := client.Write(Ping, []byte("?")); err != nil {
		t.Fatal(err)
	}
	if err := client.WriteClose(1002, "bad"); err != nil {
		t.Fatal(err)
	}
	_, _, err := server.Read()
	var closed *CloseError
	if !errors.As(err, &closed) || closed.Code != 1002 || closed.Reason != "bad" {
		t.Errorf("close is %v", err)
	}
	fin, op, payload, err := client.readFrame(1000)
	if err != nil || !fin || op != Pong || string(payload) != "?" {
		t.Errorf("pong: %v %d %q %v", fin, op, payload, err)
	}
}

func TestBrokenFramesAreFaults(t *testing.T) {
	for name, raw := range map[string][]byte{
		"unmasked":           {0x82, 0x01, 0x00},
		"reserved bit":       {0xc2, 0x80, 0, 0, 0, 0},
		"lone continuation":  {0x80, 0x80, 0, 0, 0, 0},
		"long control frame": append([]byte{0x89, 0xfe, 0, 126, 0, 0, 0, 0}, make([]byte, 126)...),
		"unknown opcode":     {0x8b, 0x80, 0, 0, 0, 0},
		"huge":               {0x82, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := pair(t)
			if _, err := client.NetConn().Write(raw); err != nil {
				t.Fatal(err)
			}
			if _, _, err := server.Read(); !errors.Is(err, ErrProtocol) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestOtherHandshakesAreRefused(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Accept(w, r, "proto"); err == nil {
			_ = c.Close()
			t.Error("a wrong handshake is accepted")
		}
	}))
	defer s.Close()
	if _, err := Dial(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http"), "other", nil); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("another subprotocol: %v", err)
	}
	resp, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a plain request is answered %s", resp.Status)
	}
}
