//go:build unix

package api

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// canAwait tells whether a socket can be asked without waiting for it.
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

// tryWrite writes what the socket takes now.
func tryWrite(fd uintptr, b []byte) (n int, err error) {
	n, err = syscall.Write(int(fd), b)
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Write(int(fd), b)
	}
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("write", err)
	}
	return n, nil
}
