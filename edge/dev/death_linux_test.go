package dev_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The supervisor is a process of its own here, killed with SIGKILL: no code of it runs, the kernel must take the command
// along.
func TestTheCommandDiesWithItsSupervisor(t *testing.T) {
	out := newOutput(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=supervises>ignores")
	cmd.Stdout = out.write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if supervisor := out.expect("supervises"); supervisor != cmd.Process.Pid {
		t.Fatalf("the supervisor is %d, not %d", supervisor, cmd.Process.Pid)
	}
	child := out.expect("ignores")
	if group, err := syscall.Getpgid(child); err != nil || group != child {
		t.Errorf("the command is in group %d (%v), not in its own", group, err)
	}
	handle, err := unix.PidfdOpen(child, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(handle)
	kill(t, cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait() // it was killed
	// A pidfd is readable when its process is dead, also if nobody reaps it.
	poll := []unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, int(time.Minute/time.Millisecond)); n != 1 || err != nil {
		t.Errorf("the command is alive (%d, %v)", n, err)
	}
	out.expectSilence()
}

// What the command has started dies too: `go run` is such a command.
func TestWhatTheCommandStartedDiesWithTheSupervisorToo(t *testing.T) {
	out := newOutput(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=supervises>starts>ignores")
	cmd.Stdout = out.write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.expect("supervises")
	out.expectBoth("starts", "ignores")
	kill(t, cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait() // it was killed
	out.expectSilence()
}
