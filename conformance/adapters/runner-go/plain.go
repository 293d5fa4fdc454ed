package main

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"os"
	"strings"
	"time"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

type manifest struct{ runner.Actor[none, none] }

func manifestType() runner.Definition {
	t := runner.Define[manifest]("manifest")
	names := strings.Fields("conn counter crasher echo events interp kv lifecycle manifest sleeper")
	profiles := strings.Fields("adopt connections core credit events kv resume")
	runner.Action0(t, "get", func(*manifest, turn) (map[string]any, error) {
		return map[string]any{"contract": 1, "language": "go", "concurrency": "serial", "types": names, "profiles": profiles}, nil
	})
	return t
}

type echo struct{ runner.Actor[none, none] }

func (e *echo) context(ctx turn) (map[string]any, error) {
	var id any
	_ = own(e.Conn(ctx), func(conn *bare) { id = conn.ID() })
	key := append([]string{}, e.Key()...)
	return map[string]any{"id": e.ID(), "type": e.Type(), "key": key, "region": e.Region(), "connection": id}, nil
}

// awaitCancel tells which came first, the end of its context or the gate.
func (e *echo) awaitCancel(ctx turn, id, key string) (string, error) {
	e.Flush()
	came := "opened"
	if err := waitGate(ctx, id); ctx.Err() != nil {
		came = "canceled"
	} else if err != nil {
		return "", err
	}
	return came, e.KV().PutText(key, came)
}

func echoType() runner.Definition {
	t := runner.Define[echo]("echo")
	runner.Action1(t, "echo", func(_ *echo, _ turn, v any) (any, error) { return v, nil })
	do0(t, "void", func(*echo, turn) error { return nil })
	runner.Action0(t, "null", func(*echo, turn) (any, error) { return nil, nil })
	runner.Action1(t, "bytes", func(_ *echo, _ turn, n int) ([]byte, error) {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i % 251)
		}
		return b, nil
	})
	runner.Action1(t, "text", func(_ *echo, _ turn, n int) (string, error) { return strings.Repeat("x", n), nil })
	runner.Action0(t, "context", (*echo).context)
	do3(t, "fail", func(_ *echo, _ turn, code, text string, metadata any) error {
		return runner.UserError{Code: code, Message: text, Metadata: metadata}
	})
	do2(t, "failRetryable", func(_ *echo, _ turn, code, text string) error {
		return runner.UserError{Code: code, Message: text, Retryable: true}
	})
	do1(t, "throw", func(_ *echo, _ turn, text string) error { return errors.New(text) })
	do1(t, "panic", func(_ *echo, _ turn, text string) error { panic(text) }) //nolint:forbidigo // it shows what a panic does
	runner.Action2(t, "wait", func(e *echo, ctx turn, id string, v any) (any, error) { return v, gate(e, ctx, id) })
	runner.Action2(t, "awaitCancel", (*echo).awaitCancel)
	return t
}

type crasher struct{ runner.Actor[none, none] }

func crasherType() runner.Definition {
	t := runner.Define[crasher]("crasher")
	do1(t, "exit", func(_ *crasher, _ turn, status int) error { os.Exit(status); return nil })
	do3(t, "putThenExit", func(c *crasher, _ turn, key, value string, status int) error {
		_ = c.KV().PutText(key, value)
		os.Exit(status)
		return nil
	})
	do1(t, "print", func(_ *crasher, _ turn, n int) error {
		_, err := io.WriteString(io.MultiWriter(os.Stdout, os.Stderr), strings.Repeat("#", n)+"\n")
		return err
	})
	do1(t, "hang", func(_ *crasher, _ turn, ms time.Duration) error { <-time.After(ms * 1e6); return nil })
	do1(t, "background", func(c *crasher, _ turn, text string) error {
		c.WaitUntil(func(turn) error { return errors.New(text) })
		return nil
	})
	runner.Action0(t, "ping", func(*crasher, turn) (string, error) { return "pong", nil })
	return t
}

// number is the state of the types that hold one number.
type number struct {
	N int `cbor:"n"`
}

type counter struct {
	runner.Actor[number, none]
	memory
}

func (c *counter) add(_ turn, d int) (int, error) {
	c.State().N += d
	return c.State().N, nil
}

// addSlow loses updates where turns of one actor overlap.
func (c *counter) addSlow(ctx turn, d int, id string) (int, error) {
	n := c.View().N
	err := gate(c, ctx, id)
	c.State().N = n + d
	return n + d, err
}

func (c *counter) addThenWait(ctx turn, d int, id string) (int, error) {
	n, _ := c.add(ctx, d)
	return n, gate(c, ctx, id)
}

func (c *counter) addSaveAdd(ctx turn, d int) (int, error) {
	c.State().N += d
	err := c.SaveState(ctx)
	c.State().N += d
	return c.State().N, err
}

func counterType() runner.Definition {
	t := runner.Define[counter]("counter")
	runner.CreateState(t, func(_ *counter, _ turn, n int) (number, error) { return number{n}, nil })
	runner.Action0(t, "get", func(c *counter, _ turn) (int, error) { return c.View().N, nil })
	runner.Action1(t, "add", (*counter).add)
	do1(t, "set", func(c *counter, _ turn, n int) error { c.State().N = n; return nil })
	do2(t, "addThenFail", func(c *counter, _ turn, d int, code string) error { c.State().N += d; return planned(code) })
	do1(t, "addThenThrow", func(c *counter, _ turn, d int) error { c.State().N += d; return errThrown })
	runner.Action2(t, "addSlow", (*counter).addSlow)
	runner.Action2(t, "addThenWait", (*counter).addThenWait)
	runner.Action1(t, "addSaveAdd", (*counter).addSaveAdd)
	common(t)
	return t
}

type sleeper struct{ runner.Actor[number, none] }

func (s *sleeper) waitUntil(_ turn, id, key string) error {
	s.WaitUntil(func(ctx turn) error {
		if err := waitGate(ctx, id); err != nil {
			return err
		}
		return s.Do(ctx, func(turn) error { return s.KV().PutText(key, "done") })
	})
	return nil
}

func sleeperType() runner.Definition {
	t := runner.Define[sleeper]("sleeper", runner.WithSleepAfter(300*time.Millisecond))
	runner.Action0(t, "touch", func(s *sleeper, _ turn) (int, error) { s.State().N++; return s.State().N, nil })
	do1(t, "keepAwake", func(s *sleeper, _ turn, id string) error { holdAwake(s, id); return nil })
	do2(t, "waitUntil", (*sleeper).waitUntil)
	return t
}

type lifecycle struct {
	runner.Actor[lifeState, none]
	memory
}

type lifeState struct {
	Plans map[string]plan `cbor:"plans"`
	Seq   int             `cbor:"seq"`
}

// createState has no state to count in yet: its entry is the first.
func (l *lifecycle) createState(ctx turn, plans map[string]plan) (lifeState, error) {
	state := lifeState{Plans: maps.Collect(maps.All(plans))} // not nil
	err := write(l.KV(), &state.Seq, "createState")
	return state, cmp.Or(err, plans["createState"].follow(ctx, "createState", l, nil))
}

// hook is the hook of that name: its entry, then its plan.
func hook(name string) func(*lifecycle, turn) error {
	return func(l *lifecycle, ctx turn) error {
		return cmp.Or(write(l.KV(), &l.State().Seq, name), l.View().Plans[name].follow(ctx, name, l, nil))
	}
}

// run follows its plan between two turns.
func (l *lifecycle) run(ctx turn) error {
	var todo plan
	if err := l.Do(ctx, func(turn) error { todo = l.View().Plans["run"]; return nil }); err != nil || len(todo) == 0 {
		return err
	}
	entry := func(text string) error {
		return l.Do(ctx, func(turn) error { return write(l.KV(), &l.State().Seq, text) })
	}
	if err := cmp.Or(entry("run"), todo.follow(ctx, "run", l, nil)); err != nil {
		return err
	}
	return entry("run over")
}

func lifecycleType() runner.Definition {
	t := runner.Define[lifecycle]("lifecycle")
	runner.CreateState(t, (*lifecycle).createState)
	runner.OnCreate(t, hook("onCreate"))
	runner.CreateVars(t, hook("createVars"))
	runner.OnWake(t, hook("onWake"))
	runner.OnSleep(t, hook("onSleep"))
	runner.OnDestroy(t, hook("onDestroy"))
	runner.Run(t, (*lifecycle).run)
	runner.Action0(t, "log", func(l *lifecycle, ctx turn) ([]string, error) { return readLog(ctx, l.KV()) })
	do2(t, "plan", func(l *lifecycle, _ turn, hook string, p plan) error { l.State().Plans[hook] = p; return nil })
	common(t)
	return t
}
