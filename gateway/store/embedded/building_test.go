package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// [STORE-5]: of backups that are made under one name at once, one is there, and whole.
func TestBackupsOfOneName(t *testing.T) {
	const actors, rounds = 50, 10
	root := t.TempDir()
	var stores [2]*Store // of gateways that back up into one directory
	for i := range stores {
		stores[i] = mustOpen(t, Options{Dir: filepath.Join(root, "data", fmt.Sprint(i))})
		defer stores[i].Close()
		for j := range actors {
			(&crashes{t: t, s: stores[i]}).actor(j)
		}
	}
	for round := range rounds {
		backup := filepath.Join(root, "backups", fmt.Sprint(round))
		var errs [6]error
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = stores[i%2].Backup(t.Context(), backup) })
		}
		all.Wait()
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else if !errors.Is(err, store.ErrExists) {
				t.Error(err)
			}
		}
		if made != 1 {
			t.Errorf("round %d: %d were made", round, made)
		}
		if n, err := Restore(t.Context(), Options{Dir: backup + "-restored"}, backup); err != nil || n != actors {
			t.Errorf("round %d: restored %d actors, %v", round, n, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(root, "backups", ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// [STORE-5]: nothing beside a backup is touched, whatever it is called; the name may have a slash behind it, or be that of an
// empty directory.
func TestWhatIsBesideABackupStays(t *testing.T) {
	root := t.TempDir()
	s := mustOpen(t, Options{Dir: filepath.Join(root, "data")})
	defer s.Close()
	(&crashes{t: t, s: s}).actor(0)
	for _, name := range []string{"a.tmp", "a", "a-data"} {
		if err := s.Backup(t.Context(), filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "b.tmp"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b/", "c/", "new/folder/"} {
		if n, err := Restore(t.Context(), Options{Dir: root + "/" + name}, root+"/a.tmp/"); err != nil || n != 1 {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		mustClose(t, mustOpen(t, Options{Dir: root + "/" + name}))
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"a", "a-data", "a.tmp", "b", "b.tmp", "c", "data", "new"}; !slices.Equal(names, want) {
		t.Errorf("there are %v", names)
	}
}

func mustClose(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// [STORE-5]: damage is found wherever it is, also in entries that no actor's contents are read from, as the names.
func TestDamageIsFoundAnywhere(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	s := mustOpen(t, Options{Dir: data})
	for i, made := 0, 0; made < 500; i++ { // most of what is stored are names
		part := fmt.Sprintf("%0120d", i)
		a := address.Address{Namespace: "default", Type: "room", Key: []string{part, part, part}}
		if a.Partition()%64 != 7 {
			continue
		}
		made++
		if _, _, err := s.Create(t.Context(), store.Create{Address: a, Region: "local", Durability: store.Fast}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	tables, err := filepath.Glob(filepath.Join(data, "*.sst"))
	if err != nil || len(tables) != 1 {
		t.Fatal(tables, err)
	}
	content, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	const parts = 40
	for i := range parts * 3 / 4 { // then come the index and the filter, which Pebble reads when it needs them
		damaged := bytes.Clone(content)
		damaged[len(content)*i/parts] ^= 0xff
		if err := os.WriteFile(tables[0], damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := Restore(t.Context(), Options{Dir: filepath.Join(root, "restored")}, data); err == nil {
			t.Fatalf("part %d of %d is damaged, and %d actors were restored", i, parts, n)
		}
	}
}

// [STORE-5]: a store that is not there is not opened to be backed up or copied, and none is made.
func TestNoStoreIsMadeInItsPlace(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{root, filepath.Join(root, "none")} {
		if _, err := Open(Options{Dir: dir, Existing: true}); !errors.Is(err, store.ErrNothing) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if made, err := os.ReadDir(root); err != nil || len(made) > 0 {
		t.Errorf("made: %v, %v", made, err)
	}
	mustClose(t, mustOpen(t, Options{Dir: root}))
	mustClose(t, mustOpen(t, Options{Dir: root, Existing: true}))
}
