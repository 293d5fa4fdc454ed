package runner

import (
	"bytes"
	"sync"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// work is what a call takes with it through its turn. It serves one call after another.
type work struct {
	args   arguments // whose data is the work's own
	output bytes.Buffer
	result wire.CallResult
}

var spareWork = sync.Pool{New: func() any { return new(work) }}

// maxSpare bounds each of the buffers that a spare work keeps.
const maxSpare = 4 << 10

// newWork takes a copy of the arguments.
func newWork(m *wire.Call) *work {
	w := spareWork.Get().(*work)
	w.args.data = append(w.args.data[:0], m.Args...)
	return w
}

// spare gives the work back. Nobody holds its result or its output any more.
func (w *work) spare() {
	if cap(w.args.data) > maxSpare || w.output.Cap() > maxSpare {
		return
	}
	w.output.Reset()
	w.result = wire.CallResult{}
	spareWork.Put(w)
}
