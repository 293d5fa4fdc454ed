package api

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// frames reads the frames of a byte stream [FRAME-1]. A frame that has begun must come to its end: in time, and within the
// memory budget. What is read grows with what comes, not with what a length promises. One goroutine reads.
type frames struct {
	from interface {
		io.Reader
		SetReadDeadline(time.Time) error
	}
	limit  int // of a frame with its length
	wait   time.Duration
	budget *budget.Budget

	buf     []byte // what has come; in small, in page, or in memory of its own
	given   int    // of it, handed out by the last next
	page    *page  // nil: it is not there
	flows   bool   // the last read brought as much as there was room for
	charged int    // of buf, the budget knows
	timed   bool   // the read deadline is set
	small   [256]byte
}

var (
	errFrameSize = errors.New("a frame is longer than max_message allows")
	errFrameLate = errors.New("a frame did not come to its end in time")
)

// first bounds the time until the first frame has come.
func (f *frames) first(wait time.Duration) error {
	f.timed = true
	return f.from.SetReadDeadline(time.Now().Add(wait))
}

// next returns one or more whole frames, valid until it is called again.
func (f *frames) next() ([]byte, error) {
	f.buf = append(f.buf[:0], f.buf[f.given:]...)
	f.given = 0
	if len(f.buf) == 0 {
		f.move(f.small[:0], nil) // an idle stream holds no more
	}
	for {
		whole, err := f.whole()
		if err != nil {
			return nil, err
		}
		if whole > 0 {
			f.given = whole
			f.charge(0) // from now on it counts as what it asks for
			return f.buf[:whole], f.time(false)
		}
		if err := f.fill(); err != nil {
			return nil, err
		}
	}
}

// whole is how many bytes of whole frames have come.
func (f *frames) whole() (int, error) {
	at := 0
	for {
		rest := f.buf[at:]
		if len(rest) < wire.HeaderLen {
			return at, nil
		}
		n := int64(binary.BigEndian.Uint32(rest)) + wire.HeaderLen
		switch {
		case n > int64(f.limit):
			if at > 0 { // what goes before it is good
				return at, nil
			}
			return 0, errFrameSize
		case n > int64(len(rest)):
			return at, nil
		}
		at += int(n)
	}
}

// move goes on in other memory.
func (f *frames) move(to []byte, on *page) {
	f.buf = append(to, f.buf...)
	if f.page != nil {
		pages.Put(f.page)
	}
	f.page = on
}

// fill reads more.
func (f *frames) fill() error {
	switch full := len(f.buf) == cap(f.buf); {
	case cap(f.buf) == len(f.small) && (full || f.flows):
		p := pages.Get().(*page)
		f.move(p[:0], p)
	case full:
		f.move(make([]byte, 0, 4*cap(f.buf)), nil)
	}
	if len(f.buf) > 0 {
		if err := f.time(true); err != nil {
			return err
		}
	}
	n, err := f.from.Read(f.buf[len(f.buf):cap(f.buf)])
	f.buf = f.buf[:len(f.buf)+n]
	f.flows = len(f.buf) == cap(f.buf)
	const step = 64 << 10 // what is less is not worth counting
	if len(f.buf)-f.charged >= step {
		f.charge(len(f.buf))
		if f.budget.Level() == budget.Full {
			return errMemory
		}
	}
	switch {
	case n > 0:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errFrameLate
	case errors.Is(err, io.EOF) && len(f.buf) > 0:
		return io.ErrUnexpectedEOF
	}
	return err
}

// time sets the bound of a frame that has begun, or takes it away.
func (f *frames) time(begun bool) error {
	if begun == f.timed {
		return nil
	}
	f.timed = begun
	var until time.Time
	if begun {
		until = time.Now().Add(f.wait)
	}
	return f.from.SetReadDeadline(until)
}

func (f *frames) charge(n int) {
	f.budget.Add(n - f.charged)
	f.charged = n
}

// ended gives back what an unfinished frame held.
func (f *frames) ended() {
	f.charge(0)
	f.buf, f.given = nil, 0
	f.move(nil, nil)
}
