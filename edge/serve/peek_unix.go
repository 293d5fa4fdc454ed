//go:build unix

package serve

import (
	"errors"
	"os"
	"syscall"
)

// CanPeek tells whether the first byte of a connection can be seen and left; else TCP cannot take both plain text and TLS.
const CanPeek = true

// peekAt is what a socket has; EAGAIN: nothing yet.
func peekAt(fd uintptr, b []byte) (n int, err error) {
	for {
		n, _, err = syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK)
		if !errors.Is(err, syscall.EINTR) {
			return n, os.NewSyscallError("recvfrom", err)
		}
	}
}
