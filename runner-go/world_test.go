package runner_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// World is the actor of most tests: it does what its actions say, and keeps a diary of its hooks.
type World struct {
	runner.Actor[WorldState, Visitor]
	diary *diary
}

type WorldState struct {
	N    int
	Text string
}

type Visitor struct {
	Name string
	Note string
}

type visit struct{ Name string }

// diary is what happened, over all incarnations.
type diary struct {
	mu    sync.Mutex
	lines []string
	fail  map[string]error // by hook
}

func (d *diary) add(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, " ")
}

func (d *diary) hook(name string) error {
	d.add("%s", name)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fail[name]
}

func (d *diary) failing(name string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail == nil {
		d.fail = map[string]error{}
	}
	d.fail[name] = err
}

// script is the code that "do" runs next, by name.
type script map[string]func(w *World, ctx context.Context) (any, error)

// defineWorld makes the type "world". opts may hold runner.Option and script values; "nodisconnect" leaves OnDisconnect out.
func defineWorld(d *diary, s script, opts ...any) *runner.Type[World] {
	var options []runner.Option
	without := map[string]bool{}
	for _, o := range opts {
		switch o := o.(type) {
		case runner.Option:
			options = append(options, o)
		case string:
			without[o] = true
		}
	}
	t := runner.Define[World]("world", options...)
	runner.CreateState(t, func(w *World, ctx context.Context, n int) (WorldState, error) {
		_, present, _ := runner.Input[int](ctx)
		d.add("input=%d,%v", n, present)
		return WorldState{N: n}, d.hook("createState")
	})
	for name, register := range map[string]func(*runner.Type[World], func(*World, context.Context) error){
		"onCreate": runner.OnCreate[World], "createVars": runner.CreateVars[World], "onWake": runner.OnWake[World],
		"onSleep": runner.OnSleep[World], "onDestroy": runner.OnDestroy[World],
	} {
		register(t, func(w *World, ctx context.Context) error {
			w.diary = d
			if f := s[name]; f != nil {
				if _, err := f(w, ctx); err != nil {
					return err
				}
			}
			return d.hook(name)
		})
	}
	if !without["nodisconnect"] {
		runner.OnDisconnect(t, func(w *World, ctx context.Context, c *runner.Conn[Visitor]) error {
			return d.hook("left:" + c.ID() + ":" + c.State().Name)
		})
	}
	runner.BeforeConnect(t, func(w *World, ctx context.Context, v visit) error {
		if v.Name == "banned" {
			return runner.UserError{Code: "banned", Message: "go away"}
		}
		return d.hook("before:" + v.Name)
	})
	runner.CreateConnState(t, func(w *World, ctx context.Context, v visit) (Visitor, error) {
		return Visitor{Name: v.Name}, d.hook("state:" + v.Name)
	})
	runner.OnConnect(t, func(w *World, ctx context.Context, c *runner.Conn[Visitor]) error {
		if f := s["onConnect"]; f != nil {
			if _, err := f(w, ctx); err != nil {
				return err
			}
		}
		c.Send("hello", c.State().Name)
		return d.hook("joined:" + c.State().Name)
	})
	runner.Action1(t, "do", func(w *World, ctx context.Context, name string) (any, error) {
		d.add("do:%s", name)
		f := s[name]
		if f == nil {
			return nil, errors.New("the script has no " + name)
		}
		return f(w, ctx)
	})
	runner.Action1(t, "set", func(w *World, ctx context.Context, n int) (int, error) {
		w.State().N = n
		return n, nil
	})
	runner.Action0(t, "get", func(w *World, ctx context.Context) (int, error) { return w.View().N, nil })
	runner.Action0(t, "nothing", func(w *World, ctx context.Context) (runner.None, error) { return runner.None{}, nil })
	runner.Action4(t, "four", func(w *World, ctx context.Context, a int, b string, c bool, e []byte) (string, error) {
		return fmt.Sprintf("%d %s %v %v", a, b, c, e), nil
	})
	runner.Action1(t, "wait", func(w *World, ctx context.Context, ms int) (string, error) {
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
			return "waited", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	return t
}
