//go:build unix

package api

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// canAwait tells whether a socket can wait without a buffer.
const canAwait = true

// tryRead reads what a socket has; false: nothing, and no buffer is held.
func (in *incoming) tryRead(fd uintptr) bool {
	in.page = pages.Get().(*page)
	n, err := syscall.Read(int(fd), in.page[:])
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Read(int(fd), in.page[:])
	}
	switch {
	case errors.Is(err, syscall.EAGAIN):
		in.drop()
		return false
	case err != nil:
		in.err = os.NewSyscallError("read", err)
	case n == 0:
		in.err = io.EOF
	default:
		in.unread = in.page[:n]
	}
	return true
}
