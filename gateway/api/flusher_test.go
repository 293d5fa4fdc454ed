package api

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// tcpPair is a connection of the system, from both sides.
func tcpPair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if theirs, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Close() })
	if ours, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	return ours, theirs
}

// Many sockets get all that is queued for them, in order, while one of them takes nothing for as long as it likes, and that
// one in the end.
func TestASocketThatTakesNothingHoldsUpNoOther(t *testing.T) {
	const sockets, messages, stuck = 40, 2000, 16 << 20
	var f flusher
	out, peers := make([]*outgoing, sockets), make([]net.Conn, sockets)
	for i := range out {
		var ours net.Conn
		ours, peers[i] = tcpPair(t)
		out[i] = &outgoing{Conn: ours, waiting: waiting(t), limit: 2 * stuck, flusher: &f, ready: rawConn(ours)}
	}
	// More than the system's buffers hold.
	if _, err := out[0].Write(make([]byte, stuck)); err != nil {
		t.Fatal(err)
	}
	var senders, readers sync.WaitGroup
	for range 2 {
		senders.Go(func() {
			for range messages / 2 {
				for _, o := range out {
					if !o.message(opBinary, []byte("12345678")) {
						t.Error("not taken")
					}
				}
			}
		})
	}
	read := func(i, ahead int) {
		if _, err := io.CopyN(io.Discard, peers[i], int64(ahead)); err != nil {
			t.Error(err)
		}
		frame := make([]byte, 10)
		for range messages {
			if _, err := io.ReadFull(peers[i], frame); err != nil || string(frame[2:]) != "12345678" {
				t.Errorf("socket %d: %q, %v", i, frame, err)
				return
			}
		}
	}
	for i := 1; i < sockets; i++ {
		readers.Go(func() { read(i, 0) })
	}
	senders.Wait()
	readers.Wait()
	read(0, stuck)
	for i, o := range out {
		_ = o.Close()
		o.wait()
		if n, err := peers[i].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes more, %v", n, err)
		}
	}
}

// A socket that breaks is closed, and what is queued for it forgotten.
func TestABrokenSocketEnds(t *testing.T) {
	ours, theirs := tcpPair(t)
	var f flusher
	o := &outgoing{Conn: ours, waiting: waiting(t), limit: 64 << 20, flusher: &f, ready: rawConn(ours)}
	_ = theirs.Close()
	for o.message(opBinary, binary.BigEndian.AppendUint64(nil, 1)) { // until the reset has come back
	}
	o.wait()
	if !o.ended() || o.backlog() != 0 {
		t.Errorf("ended %v with %d bytes queued", o.ended(), o.backlog())
	}
}
