package redis

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// guardPath is the file that says which store a URL led to; empty: nothing is remembered.
type guardPath string

const guardHeader = "stagedoor redis store, by URL without user and password; remove it to forget the store\n"

func guardFile(dataDir, identity string) guardPath {
	if dataDir == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(identity))
	return guardPath(filepath.Join(dataDir, "redis-"+hex.EncodeToString(sum[:8])+".store"))
}

// read returns the id; empty: none is known.
func (g guardPath) read() (string, error) {
	if g == "" {
		return "", nil
	}
	text, err := os.ReadFile(string(g))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read which store was used: %w", err)
	}
	id, ok := strings.CutPrefix(string(text), guardHeader+"id ")
	if !ok {
		return "", fmt.Errorf("read which store was used: %q is not a file of ours; move it away", string(g))
	}
	return strings.TrimSpace(id), nil
}

// write replaces the file so that a crash leaves the old or the new one.
func (g guardPath) write(id string) error {
	if g == "" {
		return nil
	}
	if known, err := g.read(); err == nil && known == id {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(string(g)), 0o755); err != nil {
		return fmt.Errorf("remember which store is used: %w", err)
	}
	temporary := string(g) + ".tmp"
	err := writeSynced(temporary, guardHeader+"id "+id+"\n")
	if err == nil {
		err = os.Rename(temporary, string(g))
	}
	if err != nil {
		return fmt.Errorf("remember which store is used: %w", err)
	}
	return nil
}

func writeSynced(path, text string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
