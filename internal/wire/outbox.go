package wire

import (
	"encoding/binary"
	"math"
	"slices"
)

// Outbox orders what one side of a link writes: link frames first, then one FIFO per lane, round robin, at most MaxStep
// of one lane at a time [LINK-2] [LINK-3]. It holds encoded frames and does no I/O; its caller locks it.
type Outbox struct {
	urgent []byte
	ready  []*Lane // lanes that hold frames, in the order of their turns
	head   int     // index of the first one in ready
	large  *Lane   // whose frame is half taken: one at a time, or the peer would hold the parts of many [LIMIT-5]
	queued int     // bytes held, link frames included
	spare  [][]byte
}

// Lane is the FIFO of one actor, or of the frames without actor. The zero Lane is that of no actor.
type Lane struct {
	// Actor is the ref that Parts of this lane carry.
	Actor uint64

	buf    []byte // whole frames with their length prefixes
	off    int    // what of buf was taken
	queued bool   // in Outbox.ready
	midway bool   // the last frame taken was a Part with more to come
}

// The buffers kept for reuse: a few, and none that a large frame has blown up.
const (
	maxSpare    = 64
	maxSpareCap = 16 << 10
)

// Len is how many bytes wait to be taken.
func (o *Outbox) Len() int { return o.queued }

// Push queues a counted frame on its lane.
func (o *Outbox) Push(l *Lane, m Message) {
	before := len(l.buf)
	if l.buf == nil {
		l.buf = o.takeSpare()
		before = 0
	}
	size := m.Size()
	if envelope := envelopeSize(m.Kind(), size); envelope <= MaxStep {
		l.buf = appendFrame(l.buf, m, size, envelope)
	} else {
		l.buf = appendParts(l.buf, l.Actor, appendEnvelope(make([]byte, 0, envelope), m, size))
	}
	o.queued += len(l.buf) - before
	if !l.queued {
		l.queued = true
		o.ready = append(o.ready, l)
	}
}

// PushLink queues a link frame, which overtakes everything [LINK-2].
func (o *Outbox) PushLink(m Message) {
	before := len(o.urgent)
	o.urgent = AppendMessage(o.urgent, m)
	o.queued += len(o.urgent) - before
}

// TakeLink moves the link frames to dst.
func (o *Outbox) TakeLink(dst []byte) []byte {
	dst = append(dst, o.urgent...)
	o.queued -= len(o.urgent)
	o.urgent = o.urgent[:0]
	return dst
}

// Take moves whole frames to dst until about limit bytes are there or nothing is left. What it moved counts as written.
func (o *Outbox) Take(dst []byte, limit int) []byte {
	start := len(dst)
	dst = o.TakeLink(dst)
	lanes := len(dst)
	for len(dst)-start < limit && o.head < len(o.ready) {
		l := o.ready[o.head]
		o.ready[o.head] = nil
		o.head++
		dst = l.take(dst, o.large == nil || o.large == l)
		if l.midway {
			o.large = l
		} else if o.large == l {
			o.large = nil
		}
		if l.off < len(l.buf) {
			o.ready = append(o.ready, l)
			continue
		}
		o.keepSpare(l.buf)
		l.buf, l.off, l.queued = nil, 0, false
	}
	if o.head == len(o.ready) {
		o.ready, o.head = o.ready[:0], 0
	} else if o.head > len(o.ready)/2 && o.head > 64 {
		o.ready, o.head = slices.Delete(o.ready, 0, o.head), 0
	}
	o.queued -= len(dst) - lanes
	return dst
}

// take moves one step of the lane: as many whole frames as fit MaxStep, at least one; none that would have to go as Parts
// while those of another lane are under way.
func (l *Lane) take(dst []byte, large bool) []byte {
	from := l.off
	for l.off < len(l.buf) {
		end := l.off + HeaderLen + int(binary.BigEndian.Uint32(l.buf[l.off:]))
		if l.off > from && end-from > MaxStep {
			break
		}
		open := isOpenPart(l.buf[l.off+HeaderLen : end])
		if open && !l.midway && !large {
			break
		}
		l.midway, l.off = open, end
	}
	dst = append(dst, l.buf[from:l.off]...)
	if l.off > len(l.buf)-l.off { // a lane that never runs empty must not grow for ever
		l.buf, l.off = append(l.buf[:0], l.buf[l.off:]...), 0
	}
	return dst
}

// isOpenPart tells whether a frame is a Part with more to come. Only our own frames come here.
func isOpenPart(frame []byte) bool {
	f, err := ParseFrame(frame)
	if err != nil || f.Kind != RunnerPart {
		return false
	}
	var p Part
	return p.Unmarshal(f.Body) == nil && !p.Last
}

// Drop forgets what the lane still holds and calls unwritten for each frame of which no byte was taken, parts put
// together again [CALL-7]. A frame that was half taken stays until its last part, or the peer could read nothing of this
// actor any more [LINK-3]. The lane may be used again.
func (o *Outbox) Drop(l *Lane, unwritten func(Frame)) {
	rest := l.buf[l.off:]
	open := 0
	if l.midway {
		open = openLen(rest)
	}
	o.queued -= len(rest) - open
	l.buf, l.off = nil, 0 // its place in ready, if any, is passed over: an empty step
	if open > 0 {
		l.buf = append(l.buf, rest[:open]...)
	}
	if unwritten != nil {
		eachFrame(rest[open:], unwritten)
	}
}

// openLen is the length of the parts that end a frame whose first parts were taken.
func openLen(buf []byte) int {
	for at := 0; at < len(buf); {
		end := at + HeaderLen + int(binary.BigEndian.Uint32(buf[at:]))
		if !isOpenPart(buf[at+HeaderLen : end]) {
			return end
		}
		at = end
	}
	return len(buf)
}

// eachFrame visits the frames of a buffer, parts put together again. Only our own frames come here.
func eachFrame(buf []byte, visit func(Frame)) {
	var parts Assembler
	for len(buf) > 0 {
		raw, rest, err := NextFrame(buf, len(buf))
		if err != nil {
			return
		}
		buf = rest
		if f, err := ParseFrame(raw); err == nil && f.Kind == RunnerPart {
			raw = parts.addBody(f.Body)
		}
		if f, err := ParseFrame(raw); err == nil {
			visit(f)
		}
	}
}

// addBody is Add of a part of our own; nil until it was the last.
func (a *Assembler) addBody(body []byte) []byte {
	var p Part
	if p.Unmarshal(body) != nil {
		return nil
	}
	frame, _ := a.Add(&p, math.MaxInt32)
	return frame
}

func (o *Outbox) takeSpare() []byte {
	if n := len(o.spare); n > 0 {
		b := o.spare[n-1]
		o.spare = o.spare[:n-1]
		return b
	}
	return make([]byte, 0, 512)
}

func (o *Outbox) keepSpare(b []byte) {
	if len(o.spare) < maxSpare && cap(b) <= maxSpareCap && cap(b) > 0 {
		o.spare = append(o.spare, b[:0])
	}
}
