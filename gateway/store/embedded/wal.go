package embedded

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// walTolerantFormat is the newest format of Pebble that does not record in the log how far it was synced. walFS makes
// such records false after a power loss: a hole behind the last real fsync would be taken for corruption, and the store
// would not open.
const walTolerantFormat = pebble.FormatColumnarBlocks

// walCategory is what Pebble calls the files of its write-ahead log when it creates them.
const walCategory vfs.DiskWriteCategory = "pebble-wal"

// walFS decides, group by group, whether the log's fsync happens.
//
// Class fast promises to survive the death of the process [STORE-2]. Pebble's own NoSync does not give that: it
// acknowledges while the tail of the log is still in the process's memory. So every group is committed with Sync, which
// writes the log out and then syncs it, and for a group of class fast the second half is left out here.
type walFS struct {
	vfs.FS
	skipSync atomic.Bool // set by the writer around a group
	always   bool        // Options.unsafeSkipSync
}

func newWALFS(fs vfs.FS, always bool) *walFS {
	return &walFS{FS: fs, always: always}
}

// Unwrap tells Pebble what lies below.
func (w *walFS) Unwrap() vfs.FS { return w.FS }

// Create wraps log files.
func (w *walFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.Create(name, category)
	return w.wrap(f, category), err
}

// ReuseForWrite wraps recycled log files.
func (w *walFS) ReuseForWrite(oldName, newName string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.ReuseForWrite(oldName, newName, category)
	return w.wrap(f, category), err
}

func (w *walFS) wrap(f vfs.File, category vfs.DiskWriteCategory) vfs.File {
	if f == nil || category != walCategory {
		return f
	}
	return &walFile{File: f, fs: w}
}

// walFile is one file of the log. Pebble writes, syncs and closes it one call at a time.
type walFile struct {
	vfs.File
	fs    *walFS
	dirty bool // a sync was skipped since the last real one
}

// SyncData is called when Pebble wants the log on disk.
func (f *walFile) SyncData() error {
	if f.fs.always || f.fs.skipSync.Load() {
		f.dirty = true
		return nil
	}
	f.dirty = false
	return f.File.SyncData()
}

// Close syncs what was skipped: Pebble closes a log file before it starts the next one, and only the last may have a
// torn tail.
func (f *walFile) Close() error {
	if f.dirty && !f.fs.always {
		if err := f.File.SyncData(); err != nil {
			_ = f.File.Close() // the sync's error says more
			return err
		}
	}
	return f.File.Close()
}
