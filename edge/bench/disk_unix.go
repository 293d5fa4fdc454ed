//go:build unix && !linux

package bench

// inMemory tells whether a directory is on a file system that is not on a disk. Only Linux tells in this way.
func inMemory(string) bool { return false }
