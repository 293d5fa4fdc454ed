package nettest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// remote is a gateway in a process of its own.
type remote struct {
	testing.TB
	address string
	in      io.WriteCloser
	log     *lockedLog

	asking sync.Mutex
	out    *bufio.Scanner
}

// startGateway starts one that lives as long as the test.
func startGateway(t testing.TB, s settings) *remote {
	t.Helper()
	return startGatewayIn(t, s, func(start func() error) error { return start() })
}

// startGatewayIn starts the process within what within does.
func startGatewayIn(t testing.TB, s settings, within func(start func() error) error) *remote {
	t.Helper()
	if s.Address == "" {
		s.Address = "127.0.0.1:0"
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.Command(self)
	process.Env = append(os.Environ(), gatewayEnv+"="+string(text))
	process.WaitDelay = 10 * time.Second
	g := &remote{TB: t, log: new(lockedLog)}
	process.Stderr = g.log
	if g.in, err = process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := within(process.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.stop(process) })
	g.out = bufio.NewScanner(out)
	if !g.out.Scan() {
		t.Fatalf("%s said nothing\n%s", filepath.Base(self), g.log)
	}
	g.address = g.out.Text()
	return g
}

// stop has the gateway drain, which must come to its end.
func (g *remote) stop(process *exec.Cmd) {
	_ = g.in.Close() // it ends when its input does
	late := time.AfterFunc(60*time.Second, func() { _ = process.Process.Kill() })
	defer late.Stop()
	err := process.Wait()
	if err != nil {
		g.Errorf("the gateway ended: %v", err)
	}
	text := g.log.String()
	fault := strings.Contains(text, "panic") || strings.Contains(text, "DATA RACE") || strings.Contains(text, "broke the protocol")
	if fault || g.Failed() && text != "" {
		g.Errorf("the gateway wrote:\n%s", text)
	}
}

// figures asks the gateway about itself, after a collection of garbage if that is wanted.
func (g *remote) figures(collect bool) figures {
	g.asking.Lock()
	defer g.asking.Unlock()
	question := "figures\n"
	if collect {
		question = "collect\n"
	}
	var f figures
	if _, err := io.WriteString(g.in, question); err != nil {
		g.Errorf("ask the gateway: %v", err)
		return f
	}
	if !g.out.Scan() {
		g.Errorf("the gateway does not answer: %v", g.out.Err())
		return f
	}
	if err := json.Unmarshal(g.out.Bytes(), &f); err != nil {
		g.Errorf("figures: %v", err)
	}
	return f
}

func (f figures) String() string {
	return fmt.Sprintf("%d goroutines, heap %.1f MiB, resident %.1f MiB", f.Goroutines, float64(f.Heap)/(1<<20), float64(f.RSS)/(1<<20))
}

// lockedLog collects what a process writes.
type lockedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

// maxLog bounds what a test shows.
const maxLog = 256 << 10

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() < maxLog {
		l.b.Write(p)
	}
	return len(p), nil
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var errLate = errors.New("what is waited for did not come")

// await waits until ready, or long enough to call it a fault.
func await(ctx context.Context, patience time.Duration, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !ready() {
		select {
		case <-ctx.Done():
			return errLate
		case <-ticker.C:
		}
	}
	return nil
}
