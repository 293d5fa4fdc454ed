package dev

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes puts the child into a group of its own and ties its life to ours.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// reap waits for the child and kills what it left. The child stays a zombie while that happens, so that the group's number
// cannot be given to others.
func reap(cmd *exec.Cmd, killGroup func()) error {
	for errors.Is(unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		continue
	}
	killGroup()
	return cmd.Wait()
}
