package certificate

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery is how often the files are looked at, at most, while there are handshakes.
const lookEvery = time.Second

// Files is a certificate with its chain and its key, in PEM files that are read again when they change [TLS-2].
type Files struct {
	chain, key string
	log        *slog.Logger
	now        func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	looked  time.Time
	seen    stamp // of what was read last, whether it could be used or not
}

// stamp tells whether files have changed.
type stamp struct{ chain, key fileStamp }

type fileStamp struct {
	changed time.Time
	size    int64
}

// NewFiles reads the files. They have to be usable now; a change that is not usable later leaves what was there in place, and
// is logged.
func NewFiles(chain, key string, log *slog.Logger) (*Files, error) {
	f := &Files{chain: chain, key: key, log: log, now: time.Now}
	var err error
	if f.seen, err = f.stamp(); err != nil {
		return nil, err
	}
	f.looked = f.now()
	f.current, err = f.read()
	return f, err
}

// Certificate implements Source.
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); now.Sub(f.looked) >= lookEvery {
		f.looked = now
		f.look()
	}
	return f.current, nil
}

// Hashes implements Source: none.
func (f *Files) Hashes() [][sha256.Size]byte { return nil }

func (f *Files) look() {
	seen, err := f.stamp()
	if err == nil && seen == f.seen {
		return
	}
	var read *tls.Certificate
	if err == nil {
		f.seen = seen
		read, err = f.read()
	}
	if err != nil {
		f.log.Error("the changed certificate cannot be used; the one before stays", "error", err)
		return
	}
	f.current = read
	f.log.Info("the certificate has changed", "until", read.Leaf.NotAfter)
}

func (f *Files) stamp() (s stamp, err error) {
	if s.chain, err = stampOf(f.chain); err == nil {
		s.key, err = stampOf(f.key)
	}
	return s, err
}

func stampOf(path string) (fileStamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}, fmt.Errorf("look at the certificate: %w", err)
	}
	return fileStamp{info.ModTime(), info.Size()}, nil
}

func (f *Files) read() (*tls.Certificate, error) {
	read, err := tls.LoadX509KeyPair(f.chain, f.key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate %s and its key %s: %w", f.chain, f.key, err)
	}
	return &read, nil
}
