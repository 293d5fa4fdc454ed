package certificate

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair writes a new certificate and its key.
func pair(t *testing.T, chain, key string) {
	t.Helper()
	d, err := NewDevelopment("")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(d.current.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.current.Certificate[0]}))
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// [TLS-2]
func TestChangedFilesAreReadAgain(t *testing.T) {
	chain, key := filepath.Join(t.TempDir(), "chain.pem"), filepath.Join(t.TempDir(), "key.pem")
	pair(t, chain, key)
	var logged bytes.Buffer
	f, err := NewFiles(chain, key, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{time.Now()}
	f.now = c.now
	changed := c.at
	touch := func() {
		changed = changed.Add(2 * time.Second) // whatever the file system's clock can tell apart
		for _, path := range []string{chain, key} {
			if err := os.Chtimes(path, changed, changed); err != nil {
				t.Fatal(err)
			}
		}
		c.at = c.at.Add(lookEvery)
	}
	first := shownBy(t, f)
	touch()
	if shownBy(t, f) != first {
		t.Error("the same files give another certificate")
	}
	whole, err := os.ReadFile(chain)
	if err != nil {
		t.Fatal(err)
	}
	write(t, chain, whole[:len(whole)/2])
	touch()
	if shownBy(t, f) != first || !strings.Contains(logged.String(), "the one before stays") {
		t.Errorf("a broken file: log %s", logged.String())
	}
	pair(t, chain, key)
	touch()
	second := shownBy(t, f)
	if second == first || len(f.Hashes()) > 0 {
		t.Error("the new certificate is not shown")
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(lookEvery)
	if shownBy(t, f) != second {
		t.Error("a file that is gone takes its certificate along")
	}
}

func TestFilesHaveToBeUsableAtFirst(t *testing.T) {
	chain, key := filepath.Join(t.TempDir(), "chain.pem"), filepath.Join(t.TempDir(), "key.pem")
	if _, err := NewFiles(chain, key, slog.Default()); err == nil || !strings.Contains(err.Error(), chain) {
		t.Errorf("without files: %v", err)
	}
	pair(t, chain, key)
	pair(t, chain, filepath.Join(t.TempDir(), "other.pem"))
	if _, err := NewFiles(chain, key, slog.Default()); err == nil || !strings.Contains(err.Error(), key) {
		t.Errorf("the key of another one: %v", err)
	}
}
