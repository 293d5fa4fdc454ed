//go:build unix

package dev

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

// group is the process group of the command that is running, if one is.
type group struct {
	mu     sync.Mutex
	leader int // 0: none; while it is set, no other group can have this number
}

// run starts the command as leader of the group, tells that it began, waits for it, and kills what it left in the group.
//
// The thread is locked because the kernel's promise to kill the child (Pdeathsig) holds for the life of the thread that
// started it, and the Go runtime ends idle threads as it likes.
func (g *group) run(cmd *exec.Cmd, began func()) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := g.start(cmd); err != nil {
		return err
	}
	defer watch(cmd.Process.Pid)()
	began()
	return reap(cmd, g.kill)
}

// watch starts a small process that kills the group when we are gone: Pdeathsig reaches the command, not what the command
// has started (`go run` a program of the user's, say). It reads a pipe whose other end only we hold, and so wakes when the
// kernel closes it. Where there is no shell, the command alone is taken along. It returns what ends the watch.
func watch(leader int) (done func()) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return func() {}
	}
	defer ours.Close()
	watcher := exec.Command("/bin/sh", "-c", `read -r _; kill -s KILL -- "-$1"`, "sh", strconv.Itoa(leader))
	watcher.Stdin = ours
	watcher.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := watcher.Start(); err != nil {
		_ = theirs.Close()
		return func() {}
	}
	return func() {
		_ = watcher.Process.Kill() // before the pipe closes: the group's number means nothing any more
		_ = watcher.Wait()
		_ = theirs.Close()
	}
}

// kill ends the group for good: its number means nothing afterwards.
func (g *group) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = syscall.Kill(-g.leader, syscall.SIGKILL) // nobody may be left, which is no fault
	g.leader = 0
}

func (g *group) start(cmd *exec.Cmd) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	g.leader = cmd.Process.Pid
	return nil
}

func (g *group) signal(signal syscall.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leader != 0 {
		_ = syscall.Kill(-g.leader, signal) // a group that is gone is what we want
	}
}
