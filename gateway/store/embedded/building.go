package embedded

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// building is a data directory on its way to its name, which it gets when it is whole.
//
// It is made inside a directory beside that name, which is locked, so that two that are made under one name never mix, and
// which is named as nobody names anything else: it is emptied before.
type building struct {
	path string     // its name, in the end
	site *directory // beside it
	data *directory // inside the site; to be made
}

// siteName is where NAME is made.
func siteName(name string) string { return "." + name + ".stagedoor-unfinished" }

// beginBuilding fails with store.ErrExists unless nothing, or an empty directory, is at path.
func beginBuilding(files vfs.FS, path string) (*building, error) {
	parent, name, err := place(files, path)
	if err != nil {
		return nil, err
	}
	b := &building{path: files.PathJoin(parent, name), site: &directory{fs: files, path: files.PathJoin(parent, siteName(name))}}
	b.data = &directory{fs: files, path: files.PathJoin(b.site.path, "data")}
	if err := files.MkdirAll(b.site.path, 0o755); err != nil {
		return nil, err
	}
	if b.site.lock, err = pebble.LockDirectory(b.site.path, files); err != nil {
		if isHeld(err) || errors.Is(err, fs.ErrNotExist) { // or it was made a moment ago
			err = fmt.Errorf("it is being made: %w", store.ErrExists)
		}
		return nil, err
	}
	if err = b.free(); err == nil {
		err = files.RemoveAll(b.data.path) // what an interruption has left
	}
	if err != nil {
		return nil, b.end(err)
	}
	return b, nil
}

// free fails if something is at the path: the lock keeps others of us from putting it there from now on.
func (b *building) free() error {
	names, err := b.data.fs.List(b.path)
	switch {
	case err == nil && len(names) > 0:
		return store.ErrExists
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

// end gives the directory its name, or removes it after an error.
func (b *building) end(err error) error {
	files := b.data.fs
	if err == nil {
		err = b.data.sync()
	}
	if err == nil {
		_ = files.Remove(b.path) // an empty one
		err = files.Rename(b.data.path, b.path)
	}
	if err != nil {
		err = errors.Join(err, files.RemoveAll(b.data.path))
	}
	b.leave()
	parent := &directory{fs: files, path: files.PathDir(b.path)}
	return errors.Join(err, parent.sync())
}

// leave removes the site while it is locked still. If it cannot, the next one finds an empty site.
func (b *building) leave() {
	files := b.site.fs
	_ = files.Remove(files.PathJoin(b.site.path, lockFile))
	_ = files.Remove(b.site.path)
	_ = b.site.lock.Close() // The descriptor's end releases it, whatever it says.
}
