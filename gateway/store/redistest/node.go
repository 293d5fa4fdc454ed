package redistest

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Node is one server process. Its address and directory stay the same over restarts.
type Node struct {
	Addr string // host:port
	Dir  string

	s        *Servers
	port     int
	sentinel bool
	tls      *tls.Config

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
}

// start runs a server with further directives and waits until it answers. A port that somebody takes in between is
// given up for another one.
func (s *Servers) start(extra []string) *Node {
	s.t.Helper()
	return s.startNode(extra, false)
}

func (s *Servers) startNode(extra []string, sentinel bool) *Node {
	s.t.Helper()
	var err error
	for range 5 {
		n := &Node{s: s, Dir: s.t.TempDir(), port: freePort(), sentinel: sentinel}
		n.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port))
		if s.files != nil {
			n.tls = s.files.config
		}
		if err = n.write(append(n.directives(), extra...)); err != nil {
			break
		}
		s.t.Cleanup(n.end)
		s.t.Cleanup(n.tell)
		if err = n.run(); err == nil {
			return n
		}
		n.end()
	}
	s.t.Fatalf("start %s: %v", Program, err)
	return nil
}

// hostPort is the address as Redis directives have it.
func (n *Node) hostPort() string { return fmt.Sprintf("127.0.0.1 %d", n.port) }

func (n *Node) directives() []string {
	o := n.s.options
	lines := []string{"bind 127.0.0.1", "dir " + n.Dir, "daemonize no", "logfile " + n.log()}
	if n.tls == nil {
		lines = append(lines, fmt.Sprintf("port %d", n.port))
	} else {
		lines = append(lines, "port 0", fmt.Sprintf("tls-port %d", n.port))
		lines = append(lines, n.s.files.directives()...)
	}
	if n.sentinel {
		return lines
	}
	lines = append(lines, `save ""`, "repl-diskless-sync-delay 0", "repl-ping-replica-period 1",
		"enable-debug-command local", "stop-writes-on-bgsave-error no")
	if o.AppendOnly {
		lines = append(lines, "appendonly yes")
	}
	lines = append(lines, "appendfsync "+cmp.Or(o.Fsync, "no"))
	switch {
	case o.User != "":
		lines = append(lines, fmt.Sprintf("user %s on >%s ~* &* +@all", o.User, o.Password), "user default off",
			"masteruser "+o.User, "masterauth "+o.Password)
	case o.Password != "":
		lines = append(lines, "requirepass "+o.Password, "masterauth "+o.Password)
	}
	return append(lines, o.Config...)
}

func (n *Node) log() string { return filepath.Join(n.Dir, "server.log") }

func (n *Node) conf() string { return filepath.Join(n.Dir, "server.conf") }

func (n *Node) write(lines []string) error {
	return os.WriteFile(n.conf(), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// run starts the process and waits for its first answer.
func (n *Node) run() error {
	args := []string{n.conf()}
	if n.sentinel {
		args = append(args, "--sentinel")
	}
	cmd := exec.Command(Program, args...)
	cmd.SysProcAttr = diesWithUs()
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // How it ended does not matter: either a test killed it, or its log says why.
		close(exited)
	}()
	n.mu.Lock()
	n.cmd, n.exited = cmd, exited
	n.mu.Unlock()
	return n.awaitAnswer(exited)
}

func (n *Node) awaitAnswer(exited <-chan struct{}) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := n.Do("PING")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-exited:
			return fmt.Errorf("it ended at once: %s", n.lastLines(3))
		case <-deadline.C:
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

// lastLines is the end of what the server has logged.
func (n *Node) lastLines(most int) string {
	text, err := os.ReadFile(n.log())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (n *Node) Kill() {
	n.mu.Lock()
	cmd, exited := n.cmd, n.exited
	n.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill() // Fails only for a process that is gone already.
	<-exited
}

// tell adds to a failed test's output what the server had to say.
func (n *Node) tell() {
	if n.s.t.Failed() {
		n.s.t.Logf("the server at %s, its last lines:\n%s", n.Addr, n.lastLines(100))
	}
}

// end is Kill; the cleanup's name for it.
func (n *Node) end() { n.Kill() }

// Restart starts the killed process again, with what it has on its disk.
func (n *Node) Restart() {
	n.s.t.Helper()
	n.Kill()
	if err := n.run(); err != nil {
		n.s.t.Fatalf("restart %s: %v", n.Addr, err)
	}
}

// Erase removes what a killed server has on its disk, except for its configuration and its place in a Cluster.
func (n *Node) Erase() {
	n.s.t.Helper()
	n.Kill()
	for _, pattern := range []string{"appendonlydir", "*.rdb"} {
		found, _ := filepath.Glob(filepath.Join(n.Dir, pattern)) // The patterns are well-formed.
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				n.s.t.Fatal(err)
			}
		}
	}
}

// Pause stops the process without ending it: connections stay open, nothing is answered.
func (n *Node) Pause() { n.signal(syscall.SIGSTOP) }

// Continue ends a Pause.
func (n *Node) Continue() { n.signal(syscall.SIGCONT) }

func (n *Node) signal(sig syscall.Signal) {
	n.s.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.cmd.Process.Signal(sig); err != nil {
		n.s.t.Fatalf("signal %s: %v", n.Addr, err)
	}
}

// freePort is a port nobody listens on, outside the range that outgoing connections are given: a server that restarts
// finds it free again.
func freePort() int {
	for {
		port := 10_000 + rand.IntN(20_000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = l.Close() // It was only a question.
			return port
		}
	}
}
