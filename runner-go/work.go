package runner

import (
	"bytes"
	"sync"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// work is what a call has while it runs: its arguments being decoded, its output, its answer. It serves one call after another.
type work struct {
	args   arguments
	output bytes.Buffer
	result wire.CallResult
}

var spareWork = sync.Pool{New: func() any { return new(work) }}

// maxSpare bounds the buffer that a spare work keeps.
const maxSpare = 4 << 10

func newWork() *work { return spareWork.Get().(*work) }

// clear makes the work ready for another call. Nobody holds its result or its output any more.
func (w *work) clear() {
	w.args, w.result = arguments{}, wire.CallResult{}
	w.output.Reset()
}

// spare gives back work that is clear.
func (w *work) spare() {
	if w.output.Cap() <= maxSpare {
		spareWork.Put(w)
	}
}

// arena copies short byte slices into memory that several of them share, which is free again when all are. The zero arena is
// ready for use.
type arena struct{ free []byte }

// An arena's memory is small beside what a call weighs that waits and keeps it.
const (
	arenaSize = 2 << 10
	shortCopy = arenaSize / 8
)

func (a *arena) copy(b []byte) []byte {
	if len(b) > shortCopy {
		return bytes.Clone(b)
	}
	if cap(a.free)-len(a.free) < len(b) {
		a.free = make([]byte, 0, arenaSize)
	}
	at := len(a.free)
	a.free = append(a.free, b...)
	return a.free[at:len(a.free):len(a.free)]
}
