package embedded

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

const (
	killEnv   = "STAGEDOOR_TEST_KILL_DIR"
	killClass = "STAGEDOOR_TEST_KILL_CLASS"
)

// TestKillHelper is the process that TestAcknowledgedCommitsSurviveKill kills.
func TestKillHelper(t *testing.T) {
	dir := os.Getenv(killEnv)
	if dir == "" {
		t.Skip("only as a child of TestAcknowledgedCommitsSurviveKill")
	}
	d := store.Disk
	if os.Getenv(killClass) == "fast" {
		d = store.Fast
	}
	s := mustOpen(t, Options{Dir: dir})
	o := (&crashes{t: t, s: s}).actor(0)
	fmt.Println(o.ID)
	for version := uint64(1); ; version++ {
		o.Version, o.Durability = version, d
		o.State, o.HasState = fmt.Append(nil, version), true
		done := make(chan error, 1)
		s.Commit(o, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		fmt.Println(version)
	}
}

// Class fast, too, survives the death of the process [STORE-2]: the log is with the operating system by then.
func TestAcknowledgedCommitsSurviveKill(t *testing.T) {
	for _, class := range []string{"fast", "disk"} {
		t.Run(class, func(t *testing.T) {
			dir := t.TempDir()
			id, acknowledged := killAfter(t, dir, class, 1000)
			s := mustOpen(t, Options{Dir: dir})
			defer s.Close()
			a, err := s.Acquire(context.Background(), store.Acquire{ID: id})
			if err != nil {
				t.Fatal(err)
			}
			if a.Record.Version < acknowledged || string(a.State) != fmt.Sprint(a.Record.Version) {
				t.Errorf("version %d with state %q, acknowledged %d", a.Record.Version, a.State, acknowledged)
			}
		})
	}
}

// killAfter kills a child in the middle of its commits and returns the last one that it said was acknowledged.
func killAfter(t *testing.T, dir, class string, n int) (id string, acknowledged uint64) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run", "^TestKillHelper$")
	child.Env = append(os.Environ(), killEnv+"="+dir, killClass+"="+class)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if lines.Scan() {
		id = lines.Text()
	}
	for i := 0; lines.Scan(); i++ {
		if _, err := fmt.Sscan(lines.Text(), &acknowledged); err != nil {
			t.Errorf("child said %q", lines.Text())
			break
		}
		if i == n {
			if err := child.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_ = child.Wait() // It was killed.
	if acknowledged < uint64(n) {
		t.Fatalf("the child ended after %d commits", acknowledged)
	}
	return id, acknowledged
}
