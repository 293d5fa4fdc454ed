package proxy

import (
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/tap"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

// Travel says how frames travel, in both directions.
type Travel struct {
	// Alone: each frame in a message of its own. Together: all that come within a few milliseconds in one.
	Alone, Together bool
	// Interleave: what different actors say within a message changes places.
	Interleave bool
	// Jitter: each message takes its time.
	Jitter bool
	// Chunk bytes at a time are written, WebSocket frames of Fragment bytes; 0: no bound.
	Chunk, Fragment int
}

const (
	gathering = 3 * time.Millisecond
	maxJitter = 8 * time.Millisecond
	// maxTogether bounds a message, far below what peers take [FRAME-2].
	maxTogether = 128 << 10
)

// The kinds of the handshake, in each direction. The runner's Goodbye belongs to its session, the gateway's to the socket.
var (
	fromRunner = map[frame.Kind]bool{frame.Hello: true}
	toRunner   = map[frame.Kind]bool{frame.Welcome: true, frame.Reject: true, goodbye: true}
)

const goodbye frame.Kind = 105

// way is one direction of a socket.
type way struct {
	from, to *websocket.Conn
	travel   Travel
	kinds    map[frame.Kind]bool
	change   func(*tap.Frame) []*tap.Frame // of frames of these kinds
	random   *rand.Rand
}

// arrival is one message, or the end.
type arrival struct {
	op      websocket.Opcode
	message []byte
	err     error
}

func (w *way) pump(to chan<- arrival) {
	defer close(to)
	for {
		op, message, err := w.from.Read()
		to <- arrival{op, message, err}
		if err != nil {
			return
		}
	}
}

// carry writes what arrives until there is no more. A side that takes nothing any more may still have something to say: its own
// end ends the socket, not this one.
func (w *way) carry(arrived <-chan arrival) {
	deaf := false
	for a := range arrived {
		messages := []arrival{a}
		if w.travel.Together {
			messages = gather(a, arrived)
		}
		for _, a := range w.shape(messages) {
			if w.travel.Jitter {
				<-time.After(time.Duration(w.random.Int64N(int64(maxJitter))))
			}
			if a.err != nil {
				w.farewell(a.err)
			} else if !deaf {
				deaf = w.to.Write(a.op, a.message) != nil
			}
		}
	}
}

// farewell passes a Close frame on.
func (w *way) farewell(err error) {
	var closing *websocket.CloseError
	if errors.As(err, &closing) && closing.Code != 1005 {
		_ = w.to.WriteClose(closing.Code, closing.Reason)
	}
}

// gather takes what comes within a few milliseconds.
func gather(first arrival, arrived <-chan arrival) []arrival {
	all, size := []arrival{first}, len(first.message)
	over := time.After(gathering)
	for all[len(all)-1].err == nil && size < maxTogether {
		select {
		case a, more := <-arrived:
			if !more {
				return all
			}
			all, size = append(all, a), size+len(a.message)
		case <-over:
			return all
		}
	}
	return all
}

// shape makes other messages of these. What is no message of frames is left as it is.
func (w *way) shape(in []arrival) []arrival {
	var out []arrival
	var bodies [][]byte
	flush := func() {
		if w.travel.Interleave {
			bodies = interleave(bodies, w.random)
		}
		out = append(out, pack(bodies, w.travel.Alone)...)
		bodies = nil
	}
	for _, a := range in {
		frames, err := frame.Split(a.message, websocket.MaxMessage)
		if a.err != nil || a.op != websocket.Binary || err != nil {
			flush()
			out = append(out, a)
			continue
		}
		for _, body := range frames {
			bodies = append(bodies, w.pass(body)...)
		}
		if !w.travel.Together {
			flush()
		}
	}
	flush()
	return out
}

// pass lets frames of the handshake be changed.
func (w *way) pass(body []byte) [][]byte {
	f := new(tap.Frame)
	if kind, err := frame.KindOf(body); err != nil || !w.kinds[kind] || proto.Unmarshal(body, f) != nil {
		return [][]byte{body}
	}
	var out [][]byte
	for _, g := range w.change(f) {
		if g == f {
			out = append(out, body)
		} else if b, err := proto.Marshal(g); err == nil {
			out = append(out, b)
		}
	}
	return out
}

func pack(bodies [][]byte, alone bool) []arrival {
	var out []arrival
	for _, body := range bodies {
		last := len(out) - 1
		if alone || last < 0 || len(out[last].message)+len(body) > maxTogether {
			out = append(out, arrival{op: websocket.Binary, message: frame.Append(nil, body)})
			continue
		}
		out[last].message = frame.Append(out[last].message, body)
	}
	return out
}

// interleave gives actors another order among each other; each one's frames keep theirs, and frames of no actor their place.
func interleave(bodies [][]byte, random *rand.Rand) [][]byte {
	var out [][]byte
	for len(bodies) > 0 {
		lanes := map[uint64][][]byte{}
		var order []uint64
		for len(bodies) > 0 && laneOf(bodies[0]) != 0 {
			lane := laneOf(bodies[0])
			if lanes[lane] == nil {
				order = append(order, lane)
			}
			lanes[lane], bodies = append(lanes[lane], bodies[0]), bodies[1:]
		}
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, lane := range order {
			out = append(out, lanes[lane]...)
		}
		if len(bodies) > 0 {
			out, bodies = append(out, bodies[0]), bodies[1:]
		}
	}
	return out
}

// laneOf is the actor of a frame; 0: none, or it cannot be read.
func laneOf(body []byte) uint64 {
	f := new(tap.Frame)
	if proto.Unmarshal(body, f) != nil {
		return 0
	}
	return tap.Actor(f)
}
