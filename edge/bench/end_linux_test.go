package bench_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// markVariable tells the processes of one test from all others: children inherit it.
const markVariable = "BENCH_TEST_MARK"

// begin starts `stagedoor bench calls`, for long, as a process, and returns it when it measures.
func begin(t *testing.T, dir string) (cmd *exec.Cmd, mark string, stderr *bufio.Reader) {
	t.Helper()
	mark = fmt.Sprintf("%s=%s-%d", markVariable, t.Name(), time.Now().UnixNano())
	cmd = exec.Command(os.Args[0], "bench", "calls", "--connections", "2", "--in-flight", "2", "--duration", "10m", "--dir", dir)
	cmd.Env = append(os.Environ(), mark)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stderr = bufio.NewReader(out)
	line, err := stderr.ReadString('\n')
	if err != nil || line != "calls: round 1 of 3\n" {
		_ = cmd.Process.Kill()
		t.Fatalf("%q %v", line, err)
	}
	return cmd, mark, stderr
}

// marked are the processes with a mark in their environment.
func marked(t *testing.T, mark string) (found []string) {
	t.Helper()
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range environs {
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, []byte(mark)) {
			found = append(found, path)
		}
	}
	return found
}

func TestAnInterruptEndsEverything(t *testing.T) {
	dir := t.TempDir()
	cmd, mark, stderr := begin(t, dir)
	// Gateway, runner, echo, relay and ourselves; the watcher of each child may come on top.
	if found := marked(t, mark); len(found) < 5 {
		t.Errorf("only %v run", found)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, err := stderr.ReadString(0)
	if !strings.Contains(rest, "stagedoor: interrupted") {
		t.Errorf("it said %q (%v)", rest, err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v", err)
	}
	if found := marked(t, mark); len(found) > 0 {
		t.Errorf("%v are left", found)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the directory: %v %v", left, err)
	}
}

func TestTheProcessesDieWithTheBench(t *testing.T) {
	cmd, mark, _ := begin(t, t.TempDir())
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	deadline := time.Now().Add(time.Minute)
	for found := marked(t, mark); len(found) > 0; found = marked(t, mark) {
		if time.Now().After(deadline) {
			t.Fatalf("%v are left", found)
		}
		<-time.After(10 * time.Millisecond)
	}
}
