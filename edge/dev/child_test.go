//go:build unix

package dev_test

import (
	"errors"
	"io/fs"
	"os/exec"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/dev"
)

// begin starts a child in a role and returns it when it has said its name.
func begin(t *testing.T, role string, out *output) *dev.Child {
	t.Helper()
	c, err := dev.Start(options(role, out.write))
	if err != nil {
		t.Fatal(err)
	}
	if pid := out.expect(role); pid != c.Pid() {
		t.Errorf("process %d says that it is %d", c.Pid(), pid)
	}
	return c
}

func TestAChildRunsOnce(t *testing.T) {
	out := newOutput(t)
	c := begin(t, "dies", out)
	<-c.Ended()
	if c.Err() != nil {
		t.Error(c.Err())
	}
	out.expectSilence()
	c.Stop(time.Minute) // nobody is left, so it does not wait
}

func TestAStoppedChildMayFinish(t *testing.T) {
	out := newOutput(t)
	c := begin(t, "obeys", out)
	c.Stop(time.Minute)
	out.expect("obeyed")
	out.expectSilence()
}

func TestAStoppedChildThatIgnoresSIGTERMIsKilled(t *testing.T) {
	for _, grace := range []time.Duration{0, 20 * time.Millisecond} {
		out := newOutput(t)
		c := begin(t, "ignores", out)
		c.Stop(grace)
		out.expectSilence()
		if e := new(exec.ExitError); !errors.As(c.Err(), &e) {
			t.Errorf("it ended with %v", c.Err())
		}
	}
}

func TestAChildThatCannotStartIsAnError(t *testing.T) {
	o := options("dies", nil)
	o.Command = []string{"./no-such-command"}
	if _, err := dev.Start(o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
