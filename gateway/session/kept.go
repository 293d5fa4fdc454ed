package session

import (
	"encoding/binary"
	"sync"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// kept holds encoded frames in order: those of a channel that were sent and not acknowledged [SESS-14]. They stand one
// behind the other in one buffer, each behind its length; of a large event that many receive only a reference stands
// there. The zero value is empty and holds no memory. It is plain state.
type kept struct {
	page   *page // the memory of buf
	buf    []byte
	shared []*fanout.Frame // in order

	base entry // of the oldest frame
	next entry // of the first frame that the present socket has not got
	// frames and bytes are how many there are; what is shared counts as if it were not. owed of the frames are from next on.
	frames, bytes, owed int
}

// entry is a place in kept: its offset in buf, and the index in shared of the first reference at or behind it.
type entry struct{ at, shared int }

const (
	// sharedMark is set in the length of a frame that stands in shared.
	sharedMark = 1 << 31
	// minShared is the least size of an event that is kept by reference: below it a copy is cheaper than to count holders.
	minShared = 512
	// What stays with an empty kept: a buffer of so many bytes, so many places for references.
	idleKept, idleShared = 512, 64
	// largeKept is a buffer that is worth to be given back while something is in it: more than the frames between two
	// acknowledgements take.
	largeKept = 16 << 10
)

// add keeps a copy of a frame.
func (k *kept) add(frame []byte) {
	k.reserve(wire.HeaderLen + len(frame))
	k.buf = append(binary.BigEndian.AppendUint32(k.buf, uint32(len(frame))), frame...)
	k.added(len(frame))
}

// addShared keeps a frame by reference.
func (k *kept) addShared(f *fanout.Frame, b *budget.Budget) {
	if f.Hold() {
		b.Add(len(f.Bytes))
	}
	k.reserve(wire.HeaderLen)
	k.buf = binary.BigEndian.AppendUint32(k.buf, sharedMark|uint32(len(f.Bytes)))
	k.shared = append(k.shared, f)
	k.added(len(f.Bytes))
}

func (k *kept) added(size int) {
	k.frames++
	k.owed++
	k.bytes += size
}

// memory is what it holds for itself; shared frames are counted where they are held first.
func (k *kept) memory() int { return cap(k.buf) + 8*cap(k.shared) }

// read is the frame of an entry, and the entry behind it. The bytes are valid until the next change.
func (k *kept) read(e entry) (frame []byte, behind entry) {
	n := binary.BigEndian.Uint32(k.buf[e.at:])
	e.at += wire.HeaderLen
	if n&sharedMark != 0 {
		return k.shared[e.shared].Bytes, entry{e.at, e.shared + 1}
	}
	end := e.at + int(n)
	return k.buf[e.at:end:end], entry{end, e.shared}
}

// give hands the next frame to the present socket; false if that would not take it.
func (k *kept) give(send func([]byte) bool) bool {
	frame, behind := k.read(k.next)
	if !send(frame) {
		return false
	}
	k.next = behind
	k.owed--
	return true
}

// given notes that the present socket has got everything.
func (k *kept) given() { k.next, k.owed = entry{len(k.buf), len(k.shared)}, 0 }

// rewind makes everything new to the present socket.
func (k *kept) rewind() { k.next, k.owed = k.base, k.frames }

// drop forgets the oldest frame.
func (k *kept) drop(b *budget.Budget) {
	frame, behind := k.read(k.base)
	k.frames--
	k.bytes -= len(frame)
	if behind.shared > k.base.shared {
		k.release(k.base.shared, b)
	}
	k.base = behind
	if k.owed > k.frames {
		k.next, k.owed = k.base, k.frames
	}
	if k.frames == 0 {
		k.clear(b)
		return
	}
	k.shrink()
}

func (k *kept) release(i int, b *budget.Budget) {
	if k.shared[i].Release() {
		b.Add(-len(k.shared[i].Bytes))
	}
	k.shared[i] = nil
}

// clear forgets everything and gives the memory back, but for a little.
func (k *kept) clear(b *budget.Budget) {
	for i := k.base.shared; i < len(k.shared); i++ {
		k.release(i, b)
	}
	empty := kept{page: k.page, buf: k.buf[:0], shared: k.shared[:0]}
	if cap(empty.buf) > idleKept {
		empty.page.recycle()
		empty.page, empty.buf = nil, nil
	}
	if cap(empty.shared) > idleShared {
		empty.shared = nil
	}
	*k = empty
}

// free forgets everything and gives all memory back.
func (k *kept) free(b *budget.Budget) {
	k.clear(b)
	k.page.recycle()
	*k = kept{}
}

// reserve makes room for n more bytes.
func (k *kept) reserve(n int) {
	if len(k.shared) == cap(k.shared) && k.base.shared > len(k.shared)/2 {
		left := copy(k.shared, k.shared[k.base.shared:])
		clear(k.shared[left:])
		k.shared = k.shared[:left]
		k.next.shared -= k.base.shared
		k.base.shared = 0
	}
	if len(k.buf)+n <= cap(k.buf) {
		return
	}
	// A quarter of the buffer stays free, so that moving costs no more than three bytes for each that comes.
	need := len(k.buf) - k.base.at + n
	if need <= cap(k.buf)/4*3 {
		k.move(k.page)
		return
	}
	k.move(newPage(need / 3 * 4))
}

// shrink goes to a smaller buffer when most of a large one is free.
func (k *kept) shrink() {
	if live := len(k.buf) - k.base.at; cap(k.buf) > largeKept && live < cap(k.buf)/8 {
		k.move(newPage(2 * live))
	}
}

// move takes what is there to the front of the page, which may be its own.
func (k *kept) move(to *page) {
	k.buf = append(to.bytes[:0], k.buf[k.base.at:]...)
	if k.page != to {
		k.page.recycle()
		k.page = to
	}
	k.next.at -= k.base.at
	k.base.at = 0
}

// page is a buffer that is used again: its size is leastPage doubled class times. A large one has the size that it needs,
// and is not.
type page struct {
	bytes []byte
	class int
}

const leastPage = 128

// pages are free ones by class, up to 64 KiB.
var pages [10]sync.Pool

// newPage is one of at least n bytes.
func newPage(n int) *page {
	class, size := 0, leastPage
	for size < n && class < len(pages) {
		class, size = class+1, size*2
	}
	if class == len(pages) {
		return &page{make([]byte, n), class}
	}
	if p, ok := pages[class].Get().(*page); ok {
		return p
	}
	return &page{make([]byte, size), class}
}

func (p *page) recycle() {
	if p != nil && p.class < len(pages) {
		pages[p.class].Put(p)
	}
}
