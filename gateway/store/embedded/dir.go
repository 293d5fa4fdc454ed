package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Files beside Pebble's own. LOCK is Pebble's; it holds nothing, and reading it would release it.
const (
	formatFile = "FORMAT" // says that the directory is ours, and of which format
	holderFile = "HOLDER" // who holds LOCK, for the error that the next one gets
	lockFile   = "LOCK"
	temporary  = ".tmp"
)

// Format is the version of the layout that this build writes, and the newest that it reads.
const Format = 1

const formatMagic = "stagedoor embedded store, format "

var (
	// ErrLocked is matched by LockedError with errors.Is.
	ErrLocked = errors.New("the data directory is in use")
	// ErrForeign: the directory holds files that no store made.
	ErrForeign = errors.New("the directory holds other files and is not a Stagedoor data directory; " +
		"choose an empty or a new one")
)

// LockedError says who holds a data directory. The holder is known as far as it said so.
type LockedError struct {
	Dir   string
	PID   int       // 0: unknown
	Since time.Time // zero: unknown
}

// Error names the holder and what to do.
func (e *LockedError) Error() string {
	holder := "another process"
	if e.PID != 0 {
		holder = fmt.Sprintf("process %d, started %s", e.PID, e.Since.Format(time.RFC3339))
	}
	return fmt.Sprintf("the data directory %q is in use by %s; stop it, or choose another directory", e.Dir, holder)
}

// Is matches ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// FormatError says that the data was written by a newer build.
type FormatError struct {
	Dir    string
	Format int
}

// Error says what to do.
func (e *FormatError) Error() string {
	return fmt.Sprintf("the data directory %q has format %d, this build reads up to %d; "+
		"start the newer Stagedoor that wrote it, or choose another directory", e.Dir, e.Format, Format)
}

// directory is a data directory that this process holds.
type directory struct {
	fs   vfs.FS
	path string
	lock *pebble.Lock
}

// openDirectory takes the directory, and makes it ours if it is empty. It leaves a foreign one untouched.
func openDirectory(files vfs.FS, path string, now time.Time) (*directory, error) {
	path, err := prepare(files, path)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	d := &directory{fs: files, path: path}
	if _, err := d.readFormat(); err != nil {
		return nil, err
	}
	if d.lock, err = pebble.LockDirectory(path, files); err != nil {
		if isHeld(err) {
			return nil, d.lockedError()
		}
		return nil, fmt.Errorf("lock data directory %q: %w", path, err)
	}
	if err := d.claim(now); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// prepare makes the directory, and its name unique: locks within one process are told apart by name.
func prepare(files vfs.FS, path string) (string, error) {
	if err := makeDirectory(files, path); err != nil {
		return "", err
	}
	if vfs.Root(files) != vfs.Default {
		return path, nil
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

// makeDirectory makes what is missing of a path, for good: what is on the disk below an entry that is not is lost with it
// [STORE-2].
func makeDirectory(files vfs.FS, path string) error {
	_, err := files.Stat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := &directory{fs: files, path: files.PathDir(path)}
	if parent.path != path {
		if err := makeDirectory(files, parent.path); err != nil {
			return err
		}
	}
	if err := files.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return parent.sync()
}

// place is the directory in which something of that path is, made if need be, with its unique name, and the last part of
// the path.
func place(files vfs.FS, path string) (parent, name string, err error) {
	if vfs.Root(files) == vfs.Default {
		if path, err = filepath.Abs(path); err != nil { // without a slash behind it
			return "", "", err
		}
	}
	parent, err = prepare(files, files.PathDir(path))
	return parent, files.PathBase(path), err
}

// claim runs under the lock.
func (d *directory) claim(now time.Time) error {
	format, err := d.readFormat()
	if err != nil {
		return err
	}
	holder := fmt.Sprintf("pid %d\nstarted %s\n", os.Getpid(), now.UTC().Format(time.RFC3339))
	if err := d.write(holderFile, holder); err != nil {
		return fmt.Errorf("name the holder of %q: %w", d.path, err)
	}
	if format == 0 {
		if err := d.write(formatFile, formatMagic+strconv.Itoa(Format)+"\n"); err != nil {
			return fmt.Errorf("mark %q as a data directory: %w", d.path, err)
		}
	}
	return nil
}

// readFormat returns 0 for a directory in which nothing was stored yet.
func (d *directory) readFormat() (int, error) {
	text, err := d.read(formatFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, d.checkEmpty()
	}
	if err != nil {
		return 0, fmt.Errorf("read format of %q: %w", d.path, err)
	}
	number, ours := strings.CutPrefix(strings.TrimSpace(text), formatMagic)
	format, err := strconv.Atoi(number)
	if !ours || err != nil || format < 1 {
		return 0, fmt.Errorf("open data directory %q: %w", d.path, ErrForeign)
	}
	if format > Format {
		return 0, &FormatError{Dir: d.path, Format: format}
	}
	return format, nil
}

// checkEmpty allows what an Open that was cut short leaves behind, and what a file system puts into its root.
func (d *directory) checkEmpty() error {
	names, err := d.fs.List(d.path)
	if err != nil {
		return fmt.Errorf("read data directory %q: %w", d.path, err)
	}
	for _, name := range names {
		switch name {
		case lockFile, holderFile, holderFile + temporary, formatFile + temporary, "lost+found":
		default:
			return fmt.Errorf("open data directory %q, which has %q: %w", d.path, name, ErrForeign)
		}
	}
	return nil
}

// isHeld tells a lock that somebody has from one that cannot be taken at all. Within the process Pebble says so in
// words only.
func isHeld(err error) bool {
	var path *fs.PathError
	if errors.As(err, &path) {
		return false
	}
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) ||
		strings.Contains(err.Error(), "lock held by current process")
}

func (d *directory) lockedError() error {
	e := &LockedError{Dir: d.path}
	text, err := d.read(holderFile)
	if err != nil {
		return e // The holder has not named itself yet.
	}
	var pid int
	var since string
	if _, err := fmt.Sscanf(text, "pid %d\nstarted %s\n", &pid, &since); err != nil {
		return e
	}
	if t, err := time.Parse(time.RFC3339, since); err == nil {
		e.PID, e.Since = pid, t
	}
	return e
}

func (d *directory) read(name string) (string, error) {
	f, err := d.fs.Open(d.fs.PathJoin(d.path, name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	return string(text), err
}

// write replaces a file so that a crash leaves the old or the new one.
func (d *directory) write(name, text string) error {
	path := d.fs.PathJoin(d.path, name)
	f, err := d.fs.Create(path+temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := d.fs.Rename(path+temporary, path); err != nil {
		return err
	}
	return d.sync()
}

// remove removes a file for good.
func (d *directory) remove(name string) error {
	err := d.fs.Remove(d.fs.PathJoin(d.path, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.sync()
}

// sync brings the directory's own entries to the disk.
func (d *directory) sync() error {
	self, err := d.fs.OpenDir(d.path)
	if err != nil {
		return err
	}
	return errors.Join(self.Sync(), self.Close())
}

// close releases the directory. HOLDER goes first: nobody else may have written it yet.
func (d *directory) close() {
	_ = d.fs.Remove(d.fs.PathJoin(d.path, holderFile))
	_ = d.lock.Close() // The descriptor's end releases it, whatever it says.
}
