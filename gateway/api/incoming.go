package api

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// incoming is what the WebSocket library reads from. It follows the frames that pass, so that a message that has begun
// must come to its end: in time, for a client that sends a byte a second holds a buffer as long as it likes, pings between
// the fragments included; and within the memory budget. One goroutine reads.
type incoming struct {
	net.Conn
	early  []byte // came with the upgrade
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

// Read implements net.Conn.
func (in *incoming) Read(p []byte) (n int, err error) {
	if len(in.early) > 0 {
		n = copy(p, in.early)
		if in.early = in.early[n:]; len(in.early) == 0 {
			in.early = nil
		}
	} else if n, err = in.Conn.Read(p); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			in.leave(wire.SessionPingTimedOut.New())
		}
		return n, err
	}
	in.follow(p[:n])
	return n, in.bound()
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
