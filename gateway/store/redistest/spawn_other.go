//go:build !linux

package redistest

import "syscall"

// diesWithUs: only Linux can end a server whose test process died without its cleanups.
func diesWithUs() *syscall.SysProcAttr { return nil }
