package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

type store struct{ runner.Actor[none, none] }

// entry is a key and its value as an array.
type entry [2][]byte

// get reads a key, if what was done before it has not failed.
func (s *store) get(ctx turn, key []byte, before error) (any, error) {
	value, ok, err := s.KV().Get(ctx, key)
	if err = cmp.Or(before, err); err != nil || !ok {
		return nil, err
	}
	return value, nil
}

// list lists, if what was done before it has not failed.
func (s *store) list(ctx turn, opts runner.ListOptions, before error) ([]entry, error) {
	list, err := s.KV().List(ctx, opts)
	found := make([]entry, len(list))
	for i, e := range list {
		found[i] = entry{e.Key, e.Value}
	}
	return found, cmp.Or(before, err)
}

func batch[T any](s *store, from []T, op func(T) runner.Op) error {
	ops := make([]runner.Op, len(from))
	for i, e := range from {
		ops[i] = op(e)
	}
	return s.KV().Batch(ops...)
}

func (s *store) fill(_ turn, prefix string, count, size int) (err error) {
	for i := range count {
		err = cmp.Or(err, s.KV().PutText(fmt.Sprintf("%s%04d", prefix, i), strings.Repeat("x", size)))
	}
	return err
}

func kvType() runner.Definition {
	t := runner.Define[store]("kv")
	runner.Action1(t, "get", func(s *store, ctx turn, key []byte) (any, error) { return s.get(ctx, key, nil) })
	runner.Action1(t, "getMany", func(s *store, ctx turn, keys [][]byte) ([][]byte, error) { return s.KV().GetMany(ctx, keys...) })
	runner.Action3(t, "list", func(s *store, ctx turn, prefix []byte, reverse bool, limit int) ([]entry, error) {
		return s.list(ctx, runner.ListOptions{Prefix: prefix, Reverse: reverse, Limit: limit}, nil)
	})
	runner.Action4(t, "listRange", func(s *store, ctx turn, from, until []byte, reverse bool, limit int) ([]entry, error) {
		return s.list(ctx, runner.ListOptions{From: from, Until: until, Reverse: reverse, Limit: limit}, nil)
	})
	do2(t, "put", func(s *store, _ turn, key, value []byte) error { return s.KV().Put(key, value) })
	do1(t, "delete", func(s *store, _ turn, key []byte) error { return s.KV().Delete(key) })
	do2(t, "deleteRange", func(s *store, _ turn, from, until []byte) error { return s.KV().DeleteRange(from, until) })
	do1(t, "batchPut", func(s *store, _ turn, entries []entry) error {
		return batch(s, entries, func(e entry) runner.Op { return runner.PutOp(e[0], e[1]) })
	})
	do1(t, "batchDelete", func(s *store, _ turn, keys [][]byte) error { return batch(s, keys, runner.DeleteOp) })
	runner.Action2(t, "putThenGet", func(s *store, ctx turn, key, value []byte) (any, error) {
		return s.get(ctx, key, s.KV().Put(key, value))
	})
	runner.Action1(t, "deleteThenGet", func(s *store, ctx turn, key []byte) (any, error) { return s.get(ctx, key, s.KV().Delete(key)) })
	runner.Action3(t, "deleteRangeThenList", func(s *store, ctx turn, from, until, prefix []byte) ([]entry, error) {
		return s.list(ctx, runner.ListOptions{Prefix: prefix}, s.KV().DeleteRange(from, until))
	})
	do3(t, "putThenFail", func(s *store, _ turn, key, value []byte, code string) error {
		return cmp.Or(s.KV().Put(key, value), planned(code))
	})
	runner.Action3(t, "putThenList", func(s *store, ctx turn, key, value, prefix []byte) ([]entry, error) {
		return s.list(ctx, runner.ListOptions{Prefix: prefix}, s.KV().Put(key, value))
	})
	do3(t, "fill", (*store).fill)
	do0(t, "sleep", func(s *store, _ turn) error { s.Sleep(); return nil })
	return t
}

// bare is a connection without state.
type bare = runner.Conn[none]

type events struct{ runner.Actor[number, none] }

func (e *events) burst(_ turn, name string, count, size int) (int, error) {
	for i := range count {
		e.Broadcast(name, i, make([]byte, size))
	}
	return count, nil
}

func (e *events) count(turn) (int, error) {
	e.State().N++
	e.Broadcast("tick", e.State().N)
	e.Broadcast("tock", e.State().N)
	return e.State().N, nil
}

func eventsType() runner.Definition {
	t := runner.Define[events]("events", runner.WithEvents("tick", "tock", "data"))
	do2(t, "broadcast", func(e *events, _ turn, name string, v any) error { e.Broadcast(name, v); return nil })
	runner.Action3(t, "burst", (*events).burst)
	runner.Action3(t, "send", func(e *events, _ turn, id, name string, v any) (bool, error) {
		return with(e.Conns(), id, func(conn *bare) { conn.Send(name, v) })
	})
	do2(t, "reply", func(e *events, ctx turn, name string, v any) error {
		return own(e.Conn(ctx), func(conn *bare) { conn.Send(name, v) })
	})
	do3(t, "emitThenFail", func(e *events, _ turn, on string, v any, c string) error { e.Broadcast(on, v); return planned(c) })
	do3(t, "emitThenWait", func(e *events, ctx turn, on string, v any, id string) error {
		e.Broadcast(on, v)
		return gate(e, ctx, id)
	})
	runner.Action0(t, "count", (*events).count)
	return t
}

type room struct {
	runner.Actor[entries, anything]
	memory
}

// entries is the state that counts a log.
type entries struct { //nolint:unused // a type argument is no use to the linter
	Seq int `cbor:"seq"`
}

type roomConn = runner.Conn[anything]

// params are what a client opens a connection with.
type params struct {
	V                                  any
	Before, State, Connect, Disconnect plan
}

// enter is a hook of the room: its entry, then its plan.
func (r *room) enter(ctx turn, entry string, p plan, hook string, conn *roomConn) error {
	return cmp.Or(write(r.KV(), &r.State().Seq, entry), p.follow(ctx, hook, r, conn))
}

// attend is a hook of a connection; pick is its plan among the connection's params.
func attend(hook, entry string, pick func(params) plan) func(*room, turn, *roomConn) error {
	return func(r *room, ctx turn, conn *roomConn) error {
		var p params
		if err := conn.Params(&p); err != nil {
			return err
		}
		return r.enter(ctx, entry+conn.ID(), pick(p), hook, conn)
	}
}

func connType() runner.Definition {
	t := runner.Define[room]("conn")
	runner.BeforeConnect(t, func(r *room, ctx turn, p params) error {
		return r.enter(ctx, "before", p.Before, "onBeforeConnect", nil)
	})
	runner.CreateConnState(t, func(r *room, ctx turn, p params) (anything, error) {
		return anything{p.V}, r.enter(ctx, "state", p.State, "createConnState", nil)
	})
	runner.OnConnect(t, attend("onConnect", "connect ", func(p params) plan { return p.Connect }))
	runner.OnDisconnect(t, attend("onDisconnect", "disconnect ", func(p params) plan { return p.Disconnect }))
	runner.Action0(t, "conns", func(r *room, _ turn) ([]any, error) {
		return each(r.Conns(), func(conn *roomConn) any { return map[string]any{"id": conn.ID(), "v": conn.State().V} })
	})
	runner.Action0(t, "whoami", func(r *room, ctx turn) (id any, _ error) {
		_ = own(r.Conn(ctx), func(conn *roomConn) { id = conn.ID() })
		return id, nil
	})
	runner.Action0(t, "state", func(r *room, ctx turn) (v any, err error) {
		err = own(r.Conn(ctx), func(conn *roomConn) { v = conn.State().V })
		return v, err
	})
	do1(t, "setState", func(r *room, ctx turn, v any) error {
		return own(r.Conn(ctx), func(conn *roomConn) { conn.State().V = v })
	})
	runner.Action2(t, "kick", func(r *room, _ turn, id, reason string) (bool, error) {
		return with(r.Conns(), id, func(conn *roomConn) { conn.Disconnect(reason) })
	})
	runner.Action3(t, "send", func(r *room, _ turn, id, name string, v any) (bool, error) {
		return with(r.Conns(), id, func(conn *roomConn) { conn.Send(name, v) })
	})
	do2(t, "broadcast", func(r *room, _ turn, name string, v any) error { r.Broadcast(name, v); return nil })
	runner.Action0(t, "log", func(r *room, ctx turn) ([]string, error) { return readLog(ctx, r.KV()) })
	do1(t, "wait", func(r *room, ctx turn, id string) error { return gate(r, ctx, id) })
	common(t)
	return t
}

type interp struct {
	runner.Actor[anything, none]
	memory
}

type anything struct {
	V any `cbor:"v"`
}

// args are an op: its name, then its arguments. One of another kind is the zero of what was asked for.
type args []any

func (a args) text(n int) string { s, _ := a[n].(string); return s }

func (a args) whole(n int) int { return whole(a[n]) }

// whole is an integer of whatever Go type its decoder has chosen.
func whole(v any) (n int) { _, _ = fmt.Sscan(fmt.Sprint(v), &n); return n }

// run does op after op. The results are one per op, unless one of them returns.
func (i *interp) run(ctx turn, program []any) (any, error) {
	results := make([]any, len(program))
	for n, step := range program {
		op := args(step.([]any)) // what is no op panics, and so fails the turn
		if op.text(0) == "return" {
			return op[1], nil
		}
		var err error
		if results[n], err = ops[op.text(0)](i, ctx, op); err != nil {
			return nil, err
		}
	}
	return results, nil
}

type op func(i *interp, ctx turn, a args) (any, error)

// silent is an op that answers nothing.
func silent(fn func(i *interp, ctx turn, a args) error) op {
	return func(i *interp, ctx turn, a args) (any, error) { return nil, fn(i, ctx, a) }
}

var ops map[string]op

func init() { // spawn runs ops itself
	ops = map[string]op{
		"get":                 func(i *interp, _ turn, _ args) (any, error) { return i.View().V, nil },
		"add":                 (*interp).add,
		"read":                (*interp).read,
		"list":                (*interp).list,
		"conns":               (*interp).connIDs,
		"text":                func(_ *interp, _ turn, a args) (any, error) { return strings.Repeat("x", a.whole(1)), nil },
		"set":                 silent(func(i *interp, _ turn, a args) error { i.State().V = a[1]; return nil }),
		"broadcast":           silent(func(i *interp, _ turn, a args) error { i.Broadcast(a.text(1), a[2]); return nil }),
		"broadcastUnreliable": silent(func(i *interp, _ turn, a args) error { i.BroadcastUnreliable(a.text(1), a[2]); return nil }),
		"send": silent(func(i *interp, _ turn, a args) error {
			return i.conn(a.text(1), func(conn *bare) { conn.Send(a.text(2), a[3]) })
		}),
		"disconnect": silent(func(i *interp, _ turn, a args) error {
			return i.conn(a.text(1), func(conn *bare) { conn.Disconnect(a.text(2)) })
		}),
		"flush":       silent(func(i *interp, _ turn, _ args) error { i.Flush(); return nil }),
		"sleep":       silent(func(i *interp, _ turn, _ args) error { i.Sleep(); return nil }),
		"destroy":     silent(func(i *interp, _ turn, _ args) error { i.Destroy(); return nil }),
		"keepAwake":   silent(func(i *interp, _ turn, a args) error { holdAwake(i, a.text(1)); return nil }),
		"spawn":       silent((*interp).spawn),
		"exit":        silent(func(_ *interp, _ turn, a args) error { os.Exit(a.whole(1)); return nil }),
		"put":         silent(func(i *interp, _ turn, a args) error { return i.KV().PutText(a.text(1), a.text(2)) }),
		"delete":      silent(func(i *interp, _ turn, a args) error { return i.KV().DeleteText(a.text(1)) }),
		"deleteRange": silent(func(i *interp, _ turn, a args) error { return i.KV().DeleteRange([]byte(a.text(1)), []byte(a.text(2))) }),
		"save":        silent(func(i *interp, ctx turn, _ args) error { return i.SaveState(ctx) }),
		"gate":        silent(func(i *interp, ctx turn, a args) error { return gate(i, ctx, a.text(1)) }),
		"throw":       silent(func(_ *interp, _ turn, a args) error { return errors.New(a.text(1)) }),
		"fail": silent(func(_ *interp, _ turn, a args) error {
			return runner.UserError{Code: a.text(1), Message: a.text(2)}
		}),
	}
}

func (i *interp) conn(id string, fn func(*bare)) error {
	_, err := with(i.Conns(), id, fn)
	return err
}

func (i *interp) add(_ turn, a args) (any, error) {
	i.State().V = whole(i.View().V) + a.whole(1)
	return i.View().V, nil
}

func (i *interp) read(ctx turn, a args) (any, error) {
	value, ok, err := i.KV().GetText(ctx, a.text(1))
	if !ok {
		return nil, err
	}
	return value, err
}

func (i *interp) list(ctx turn, a args) (any, error) {
	entries, err := i.KV().List(ctx, runner.ListOptions{Prefix: []byte(a.text(1))})
	found := make([][2]string, len(entries))
	for n, e := range entries {
		found[n] = [2]string{string(e.Key), string(e.Value)}
	}
	return found, err
}

func (i *interp) connIDs(turn, args) (any, error) {
	return each(i.Conns(), func(conn *bare) any { return conn.ID() })
}

// spawn runs a program beside the turns, and its ops in one of its own.
func (i *interp) spawn(_ turn, a args) error {
	i.WaitUntil(func(ctx turn) error {
		if err := waitGate(ctx, a.text(1)); err != nil {
			return err
		}
		return i.Do(ctx, func(ctx turn) error { _, err := i.run(ctx, a[2].([]any)); return err })
	})
	return nil
}

func interpType() runner.Definition {
	t := runner.Define[interp]("interp")
	runner.CreateState(t, func(_ *interp, _ turn, v any) (anything, error) { return anything{v}, nil })
	runner.Action1(t, "run", (*interp).run)
	runner.Action0(t, "memory", func(i *interp, _ turn) (int, error) { return i.count(), nil })
	return t
}
