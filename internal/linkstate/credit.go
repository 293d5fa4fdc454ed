package linkstate

import (
	"errors"
	"fmt"
)

// ErrOverdraw: more was sent than the credit allows [LINK-18].
var ErrOverdraw = errors.New("more was sent than the credit allows")

// Allowance is the sender's side of a credit: what it may still send. The zero Allowance allows nothing.
type Allowance struct{ spent, limit uint64 }

// Raise takes an absolute offset up to which may be sent. false: it is no news.
func (a *Allowance) Raise(offset uint64) bool {
	if offset <= a.limit {
		return false
	}
	a.limit = offset
	return true
}

// Fits tells whether the cost may be sent now.
func (a *Allowance) Fits(cost uint64) bool { return a.spent <= a.limit && cost <= a.limit-a.spent }

// Spend notes that it was. The caller has asked Fits.
func (a *Allowance) Spend(cost uint64) { a.spent += cost }

// Refund takes back what was spent on something that was dropped and never written.
func (a *Allowance) Refund(cost uint64) { a.spent -= min(cost, a.spent) }

// Window is the receiver's side of a credit: at most size may be under way, received and not yet released. New makes one.
type Window struct{ size, taken, released, offset uint64 }

// NewWindow is a window whose first offset, its size, the peer knows.
func NewWindow(size uint64) Window { return Window{size: size, offset: size} }

// Take notes what has come. ErrOverdraw: the peer may not have sent it.
func (w *Window) Take(cost uint64) error {
	left := w.offset - min(w.taken, w.offset)
	if cost > left {
		return fmt.Errorf("%w: %d were left, it costs %d", ErrOverdraw, left, cost)
	}
	w.taken += cost
	return nil
}

// Release notes what has left the receiver's buffers. tell: the offset is to be sent, since half the window has opened; so a
// peer that wants to send no more than half of it at once never waits for ever.
func (w *Window) Release(cost uint64) (offset uint64, tell bool) {
	w.released += cost
	if w.released+w.size-w.offset < w.size/2 {
		return w.offset, false
	}
	w.offset = w.released + w.size
	return w.offset, true
}

// Drop notes what has come, whether it might have been sent or not, and was dropped at once: its sender has spent it, and
// would lack it for ever. tell is as with Release.
func (w *Window) Drop(cost uint64) (offset uint64, tell bool) {
	w.taken += cost
	return w.Release(cost)
}

// Held is what has come and was not released.
func (w *Window) Held() uint64 { return w.taken - w.released }

// Offset is the last one told. News: it was raised since the beginning, so it is to be repeated on a new socket.
func (w *Window) Offset() (offset uint64, news bool) { return w.offset, w.offset != w.size }
