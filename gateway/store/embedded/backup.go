package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Backup makes a data directory at path that holds everything acknowledged before now, while the store goes on. Files that
// do not change any more are hard links where the file system has them. The name appears when all is there: what an
// interruption leaves is called otherwise. Fails with store.ErrExists if something is there already. [STORE-5]
func (s *Store) Backup(_ context.Context, path string) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	if err := s.failed(); err != nil {
		return err
	}
	d, err := newDirectory(s.dir.fs, path)
	if err != nil {
		return fmt.Errorf("back up to %q: %w", path, err)
	}
	if err = s.db.Checkpoint(d.path, pebble.WithFlushedWAL()); err == nil {
		err = d.write(formatFile, formatMagic+strconv.Itoa(Format)+"\n")
	}
	if err = d.publish(path, err); err != nil {
		return fmt.Errorf("back up to %q: %w", path, err)
	}
	return nil
}

// Restore makes a data directory of a backup, or of any other that nobody uses. All of it is read before the name appears,
// so that what is damaged is found now; how many actors it holds is returned. [STORE-5]
func Restore(ctx context.Context, o Options, from string) (actors int, err error) {
	o = o.withDefaults()
	source := &directory{fs: o.FS, path: from}
	if format, err := source.readFormat(); err != nil || format == 0 {
		return 0, fmt.Errorf("restore from %q: %w", from, orForeign(err))
	}
	if source.lock, err = pebble.LockDirectory(from, o.FS); err != nil {
		return 0, fmt.Errorf("restore from %q: %w", from, source.lockedError())
	}
	defer source.lock.Close()
	d, err := newDirectory(o.FS, o.Dir)
	if err != nil {
		return 0, fmt.Errorf("restore to %q: %w", o.Dir, err)
	}
	if _, err = vfs.Clone(o.FS, o.FS, from, d.path, vfs.CloneSync, vfs.CloneSkip(isHolder)); err == nil {
		copied := o
		copied.Dir, copied.inspecting = d.path, true
		actors, err = count(ctx, copied)
	}
	if err = d.publish(o.Dir, err); err != nil {
		return 0, fmt.Errorf("restore %q: %w", from, err)
	}
	return actors, nil
}

// orForeign is the error of a directory in which nothing was ever stored.
func orForeign(err error) error {
	if err != nil {
		return err
	}
	return ErrForeign
}

// isHolder: who holds the source is nobody here.
func isHolder(path string) bool { return vfs.Default.PathBase(path) == holderFile }

func count(ctx context.Context, o Options) (actors int, err error) {
	s, err := Open(o)
	if err != nil {
		return 0, err
	}
	for p := range uint16(address.Partitions) {
		if err = s.Export(ctx, p, func(it *store.Item) error {
			if it.Kind == store.ItemRecord {
				actors++
			}
			return nil
		}); err != nil {
			break
		}
	}
	return actors, errors.Join(err, s.Close())
}

// newDirectory begins a directory that will be called path, which must not be there, or be empty.
func newDirectory(files vfs.FS, path string) (*directory, error) {
	names, err := files.List(path)
	switch {
	case err == nil && len(names) > 0:
		return nil, store.ErrExists
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	d := &directory{fs: files, path: path + temporary}
	if err := files.RemoveAll(d.path); err != nil {
		return nil, err
	}
	return d, files.MkdirAll(files.PathDir(path), 0o755)
}

// publish gives the directory its name, or removes it after an error.
func (d *directory) publish(path string, err error) error {
	if err == nil {
		err = d.sync()
	}
	if err == nil {
		_ = d.fs.Remove(path) // an empty one
		err = d.fs.Rename(d.path, path)
	}
	if err != nil {
		return errors.Join(err, d.fs.RemoveAll(d.path))
	}
	parent := &directory{fs: d.fs, path: d.fs.PathDir(path)}
	return parent.sync()
}
