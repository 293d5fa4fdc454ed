//go:build !unix

package serve

import "syscall"

// canPeek tells whether the first byte of a connection can be seen and left.
const canPeek = false

func peekAt(uintptr, []byte) (int, error) { return 0, syscall.ENOTSUP }
