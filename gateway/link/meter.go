package link

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// meter finds out what an event costs that nobody can or will decode, and keeps nothing of it [LINK-18].
type meter struct {
	head   []byte // of the field that begins, while it is incomplete
	skip   uint64 // bytes of the present field that are still to come
	counts bool   // they are of name or arguments
	kind   wire.Kind
	bytes  uint64 // of name and arguments, as far as they have come
}

// damagedCost is what the body of an Emit has cost that cannot be decoded.
func damagedCost(body []byte) uint64 {
	t := meter{kind: wire.RunnerEmit}
	t.add(body)
	return t.cost()
}

// maxHead is the longest head of a field: its tag, and its value or length.
const maxHead = 5 + 10

// add takes the next bytes of the frame.
func (t *meter) add(data []byte) {
	for len(data) > 0 {
		if t.skip > 0 {
			n := min(t.skip, uint64(len(data)))
			t.skip -= n
			if t.counts {
				t.bytes += n
			}
			data = data[n:]
			continue
		}
		had := len(t.head)
		t.head = append(t.head, data[:min(len(data), maxHead-had)]...)
		switch n := t.field(t.head); {
		case n > 0:
			data = data[n-had:]
			t.head = t.head[:0]
		case len(t.head) == maxHead:
			t.kind, t.skip, t.counts = 0, 1<<63, false // nonsense: it costs nothing
		default:
			return
		}
	}
}

// field reads the head of a field and returns its length; 0: it is not there yet, or never will.
func (t *meter) field(b []byte) int {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 || typ != protowire.VarintType && typ != protowire.BytesType {
		return 0
	}
	value, m := protowire.ConsumeVarint(b[n:])
	switch {
	case m < 0:
		return 0
	case t.kind == 0:
		t.kind = wire.Kind(num) // the envelope
	case typ == protowire.BytesType:
		t.skip, t.counts = value, num == 2 || num == 4 // Emit.event and Emit.args
	}
	return n + m
}

// cost is what the frame has cost; 0: it was no event.
func (t *meter) cost() uint64 {
	if t.kind != wire.RunnerEmit {
		return 0
	}
	return (&wire.Emit{}).Cost() + t.bytes
}
