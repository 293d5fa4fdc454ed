package wire

import "runtime"

// busyWrite is the length of a write that several frames have shared.
const busyWrite = 192

// Gather is called by the writer of a socket before it takes what is to be written, with the length of its last write. If
// that shows much traffic, all goroutines that can run do so first, and what they bring shares the write. Otherwise it
// returns at once: a lone frame is not to wait for the wake-up of another processor.
func Gather(last int) {
	if last >= busyWrite {
		runtime.Gosched()
	}
}
