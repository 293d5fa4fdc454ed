package bench

import "syscall"

// tmpfsMagic is what statfs calls a file system in memory, see statfs(2).
const tmpfsMagic = 0x01021994

// inMemory tells whether a directory is on a file system that is not on a disk.
func inMemory(dir string) bool {
	var fs syscall.Statfs_t
	return syscall.Statfs(dir, &fs) == nil && fs.Type == tmpfsMagic
}
