package redistest

import "syscall"

// diesWithUs has the kernel end a server whose test process died without its cleanups: a panic elsewhere, a time-out.
func diesWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
