package api

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// incoming is what the WebSocket library reads from. It follows the frames that pass, so that a message that has begun
// must come to its end: in time, for a client that sends a byte a second holds a buffer as long as it likes, pings between
// the fragments included; and within the memory budget. It has a buffer only while there is something in it: most sockets
// are idle. One goroutine reads.
type incoming struct {
	net.Conn
	early  []byte             // came with the upgrade
	ready  syscall.RawConn    // nil: the socket cannot tell when it has something, and waits with a buffer
	take   func(uintptr) bool // reads when ready says so; false: there is nothing
	page   *page              // nil: there is nothing in it
	unread []byte
	err    error // behind what is unread

	budget *budget.Budget
	wait   time.Duration     // for a message
	leave  func(*wire.Error) // says farewell to a client whose message did not come to its end

	header   [14]byte
	have     int    // bytes of header
	rest     uint64 // of the frame's payload
	fragment bool   // the message goes on with another frame
	size     int    // of the message, so far
	charged  int    // of that, the budget knows
	timed    bool   // the read deadline is set
}

var errMemory = errors.New("the gateway has no memory for the rest of the message")

// page is what is read at once.
type page [4 << 10]byte

var pages = sync.Pool{New: func() any { return new(page) }}

// newIncoming reads from a socket behind what came early.
func newIncoming(conn net.Conn, early []byte, b *budget.Budget, wait time.Duration) *incoming {
	in := &incoming{Conn: conn, early: early, budget: b, wait: wait, ready: rawConn(conn)}
	if in.ready != nil {
		in.take = in.tryRead
	}
	return in
}

// Read implements net.Conn.
func (in *incoming) Read(p []byte) (int, error) {
	if len(in.unread) == 0 && in.err == nil {
		if len(p) >= len(page{}) && len(in.early) == 0 {
			n, err := in.Conn.Read(p)
			return n, in.came(p[:n], err)
		}
		in.fill()
	}
	if len(in.unread) == 0 {
		return 0, in.err
	}
	n := copy(p, in.unread)
	if in.unread = in.unread[n:]; len(in.unread) == 0 {
		in.drop()
	}
	return n, nil
}

// fill waits for something to read, or an error.
func (in *incoming) fill() {
	var err error
	switch {
	case len(in.early) > 0:
		in.unread, in.early = in.early, nil
	case in.ready != nil:
		if err = in.ready.Read(in.take); err == nil {
			err = in.err
		}
	default:
		var n int
		in.page = pages.Get().(*page)
		n, err = in.Conn.Read(in.page[:])
		in.unread = in.page[:n]
	}
	in.err = in.came(in.unread, err)
	if len(in.unread) == 0 {
		in.drop()
	}
}

// drop gives the buffer back.
func (in *incoming) drop() {
	in.unread = nil
	if in.page != nil {
		pages.Put(in.page)
		in.page = nil
	}
}

// came takes note of what was read. It returns the error that follows.
func (in *incoming) came(b []byte, err error) error {
	in.follow(b)
	if err == nil {
		return in.bound()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		in.leave(wire.SessionPingTimedOut.New())
	}
	return err
}

// open tells whether a message has begun and not ended.
func (in *incoming) open() bool { return in.have > 0 || in.rest > 0 || in.fragment }

// follow notes which frames begin and end in b.
func (in *incoming) follow(b []byte) {
	for len(b) > 0 {
		if in.rest > 0 {
			n := int(min(in.rest, uint64(len(b))))
			in.rest -= uint64(n)
			in.size += n
			b = b[n:]
			continue
		}
		n := copy(in.header[in.have:in.headerLen()], b)
		in.have += n
		b = b[n:]
		if in.have >= 2 && in.have == in.headerLen() {
			in.begin()
		}
	}
	if !in.open() {
		in.size = 0
	}
}

// headerLen is the length of the header, as far as is known: masked, as a client's must be.
func (in *incoming) headerLen() int {
	const mask = 4
	if in.have < 2 {
		return 2
	}
	switch in.header[1] & 0x7f {
	case 127:
		return 2 + 8 + mask
	case 126:
		return 2 + 2 + mask
	}
	return 2 + mask
}

// begin reads a whole header.
func (in *incoming) begin() {
	const fin, opcode, control = 0x80, 0x0f, 0x08
	switch n := in.header[1] & 0x7f; n {
	case 127:
		in.rest = binary.BigEndian.Uint64(in.header[2:])
	case 126:
		in.rest = uint64(binary.BigEndian.Uint16(in.header[2:]))
	default:
		in.rest = uint64(n)
	}
	if op := in.header[0] & opcode; op < control {
		in.fragment = in.header[0]&fin == 0
		if op != 0 { // the first of its message
			in.size = 0
		}
	}
	in.have = 0
}

// bound sets the bounds of a message that has begun, and takes them from one that has ended.
func (in *incoming) bound() error {
	open := in.open()
	if open != in.timed {
		in.timed = open
		var until time.Time
		if open {
			until = time.Now().Add(in.wait)
		}
		if err := in.SetReadDeadline(until); err != nil {
			return err
		}
	}
	const step = 64 << 10 // what is less is not worth counting
	if over := in.size - in.charged; over >= step || in.size < in.charged {
		in.charge(in.size)
		if over > 0 && in.budget.Level() == budget.Full {
			in.leave(wire.GatewayOverloaded.New())
			return errMemory
		}
	}
	return nil
}

func (in *incoming) charge(n int) {
	in.budget.Add(n - in.charged)
	in.charged = n
}

// ended gives back what an unfinished message held.
func (in *incoming) ended() { in.charge(0) }
