//go:build !unix

package api

// canAwait tells whether a socket can be asked without waiting for it.
const canAwait = false

func (in *incoming) tryRead(uintptr) bool { return false }

func tryWrite(uintptr, []byte) (int, error) { return 0, nil }
