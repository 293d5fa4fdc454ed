package client

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

const (
	// idleBuffer is what a stream holds while nothing comes.
	idleBuffer = 512
	// busyBuffer is what it takes when that has become full.
	busyBuffer = 16 << 10
)

var busyBuffers = sync.Pool{New: func() any { return new([busyBuffer]byte) }}

// inflow cuts a stream into frames. It holds little while the stream is idle, and what a frame needs while one comes.
type inflow struct {
	from  io.Reader
	limit int // of a frame with its length

	idle   [idleBuffer]byte
	busy   *[busyBuffer]byte // nil: it is in the pool
	buf    []byte            // in idle, in busy, or of its own
	used   int               // of buf, to be dropped at the next call
	full   bool              // the last read filled buf
	failed bool              // next has returned an error
}

// next returns whole frames, at least one, which are valid until the next call. The end of the stream amid a frame is
// io.ErrUnexpectedEOF.
func (f *inflow) next() ([]byte, error) {
	f.drop()
	for {
		n, err := f.whole()
		if err != nil {
			f.failed = true
			return nil, fmt.Errorf("%w: %w", errFrame, err)
		}
		if n > 0 {
			f.used = n
			return f.buf[:n], nil
		}
		if err := f.read(); err != nil {
			f.failed = true
			if errors.Is(err, io.EOF) && len(f.buf) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// whole is the length of the whole frames in buf.
func (f *inflow) whole() (n int, err error) {
	for {
		_, rest, err := wire.NextFrame(f.buf[n:], f.limit)
		switch {
		case err == nil:
			n = len(f.buf) - len(rest)
		case n > 0 || errors.Is(err, wire.ErrIncomplete):
			return n, nil // a fault comes again, alone
		default:
			return 0, err
		}
	}
}

// drop removes what next has returned, and a buffer that is not needed now.
func (f *inflow) drop() {
	n := copy(f.buf, f.buf[f.used:])
	f.buf, f.used = f.buf[:n], 0
	if n == 0 && cap(f.buf) != idleBuffer && !f.full {
		f.move(f.idle[:0])
	}
}

// read reads once, into a buffer that has room.
func (f *inflow) read() error {
	switch size := cap(f.buf); {
	case !f.full && len(f.buf) < size:
	case size < busyBuffer:
		f.busy, _ = busyBuffers.Get().(*[busyBuffer]byte)
		f.move(f.busy[:0])
	case len(f.buf) == size:
		f.move(make([]byte, 0, min(2*size, max(f.limit, 2*busyBuffer))))
	}
	n, err := f.from.Read(f.buf[len(f.buf):cap(f.buf)])
	f.buf = f.buf[:len(f.buf)+n]
	f.full = len(f.buf) == cap(f.buf)
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// move goes on in another buffer, which is empty.
func (f *inflow) move(to []byte) {
	f.buf = append(to, f.buf...)
	if f.busy != nil && &f.buf[:1][0] != &f.busy[0] {
		busyBuffers.Put(f.busy)
		f.busy = nil
	}
}
