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

	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// markVariable tells the processes of one test from all others: children inherit it.
const markVariable = "BENCH_TEST_MARK"

// begin starts a scenario, for long, as a process, and returns it when it measures the row.
func begin(t *testing.T, dir, row string, args ...string) (cmd *exec.Cmd, mark string, stderr *bufio.Reader) {
	t.Helper()
	mark = fmt.Sprintf("%s=%s-%d", markVariable, t.Name(), time.Now().UnixNano())
	args = append([]string{"bench"}, args...)
	cmd = exec.Command(os.Args[0], append(args, "--connections", "2", "--in-flight", "2", "--duration", "10m", "--dir", dir)...)
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
	if err != nil || line != row+": round 1 of 3\n" {
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
	url := startRedis(t, redistest.Options{AppendOnly: true})
	for row, c := range map[string]struct {
		processes int // the watcher of each child may come on top
		args      []string
	}{
		"calls":         {5, []string{"calls"}}, // gateway, runner, echo, relay and ourselves
		"commits-redis": {4, []string{"commits", "--store", url}},
	} {
		t.Run(row, func(t *testing.T) {
			dir := t.TempDir()
			cmd, mark, stderr := begin(t, dir, row, c.args...)
			if found := marked(t, mark); len(found) < c.processes {
				t.Errorf("only %v run", found)
			}
			interrupt(t, cmd, stderr)
			if found := marked(t, mark); len(found) > 0 {
				t.Errorf("%v are left", found)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left in the directory: %v %v", left, err)
			}
		})
	}
}

// interrupt ends a bench as a user does, and waits for it.
func interrupt(t *testing.T, cmd *exec.Cmd, stderr *bufio.Reader) {
	t.Helper()
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
}

func TestTheProcessesDieWithTheBench(t *testing.T) {
	cmd, mark, _ := begin(t, t.TempDir(), "calls", "calls")
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
