//go:build unix && !linux

package dev

import (
	"os/exec"
	"syscall"
	"time"
)

// attributes puts the child into a group of its own. Only Linux offers to tie its life to ours.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// reap waits for the child, then kills what it left: there is no portable way to do it in the order that rules out that
// the group's number is given to others in between.
func reap(cmd *exec.Cmd, killGroup func()) error {
	cmd.WaitDelay = time.Second // for output pipes that the rest of the group holds open
	err := cmd.Wait()
	killGroup()
	return err
}
