//go:build !unix

package api

// canAwait tells whether a socket can wait without a buffer.
const canAwait = false

func (in *incoming) tryRead(uintptr) bool { return false }
