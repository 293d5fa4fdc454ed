//go:build !unix

package serve

import "syscall"

// CanPeek tells whether the first byte of a connection can be seen and left; else TCP cannot take both plain text and TLS.
const CanPeek = false

func peekAt(uintptr, []byte) (int, error) { return 0, syscall.ENOTSUP }
