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
// interruption leaves is called otherwise. Fails with store.ErrExists if something is there already, or is being made.
// [STORE-5]
func (s *Store) Backup(_ context.Context, path string) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	if err := s.failed(); err != nil {
		return err
	}
	b, err := beginBuilding(s.dir.fs, path)
	if err != nil {
		return fmt.Errorf("back up to %q: %w", path, err)
	}
	// Pebble reports a failed write of the log to its logger only.
	err = errors.Join(s.db.Checkpoint(b.data.path, pebble.WithFlushedWAL()), s.failed())
	if err == nil {
		err = b.data.write(formatFile, formatMagic+strconv.Itoa(Format)+"\n")
	}
	if err = b.end(err); err != nil {
		return fmt.Errorf("back up to %q: %w", path, err)
	}
	return nil
}

// Restore makes a data directory of a backup, or of any other that nobody uses. All of it is read before the name appears,
// so that what is damaged is found now; how many actors it holds is returned. [STORE-5]
func Restore(ctx context.Context, o Options, from string) (actors int, err error) {
	o = o.withDefaults()
	if err := isStore(o.FS, from); err != nil {
		return 0, fmt.Errorf("restore from %q: %w", from, err)
	}
	source := &directory{fs: o.FS, path: from}
	if source.lock, err = pebble.LockDirectory(from, o.FS); err != nil {
		if isHeld(err) {
			err = source.lockedError()
		}
		return 0, fmt.Errorf("restore from %q: %w", from, err)
	}
	defer source.lock.Close()
	b, err := beginBuilding(o.FS, o.Dir)
	if err != nil {
		return 0, fmt.Errorf("restore to %q: %w", o.Dir, err)
	}
	if _, err = vfs.Clone(o.FS, o.FS, from, b.data.path, vfs.CloneSync, vfs.CloneSkip(isHolder)); err == nil {
		copied := o
		copied.Dir, copied.inspecting = b.data.path, true
		actors, err = inspect(ctx, copied)
	}
	if err = b.end(err); err != nil {
		return 0, fmt.Errorf("restore %q: %w", from, err)
	}
	return actors, nil
}

// isStore tells whether a store was ever opened there, and changes nothing.
func isStore(files vfs.FS, path string) error {
	format, err := (&directory{fs: files, path: path}).readFormat()
	if errors.Is(err, fs.ErrNotExist) || err == nil && format == 0 {
		return store.ErrNothing
	}
	return err
}

// isHolder: who holds the source is nobody here.
func isHolder(path string) bool { return vfs.Default.PathBase(path) == holderFile }

// inspect reads all that actors hold as it is meant, then every entry of any kind, which has Pebble check every block.
func inspect(ctx context.Context, o Options) (actors int, err error) {
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
	if err == nil {
		err = s.read(ctx, func(v view) error {
			return v.scan(nil, nil, func(_, _ []byte) (bool, error) { return true, ctx.Err() })
		})
	}
	return actors, errors.Join(err, s.Close())
}
