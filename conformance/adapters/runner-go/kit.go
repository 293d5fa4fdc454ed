package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

type none = runner.None

// turn is the context of a turn, or of what runs beside.
type turn = context.Context

// do0 and its like register actions without result.
func do0[A any](t *runner.Type[A], name string, fn func(*A, turn) error) {
	runner.Action0(t, name, func(a *A, ctx turn) (none, error) { return none{}, fn(a, ctx) })
}

func do1[A, T any](t *runner.Type[A], name string, fn func(*A, turn, T) error) {
	runner.Action1(t, name, func(a *A, ctx turn, v T) (none, error) { return none{}, fn(a, ctx, v) })
}

func do2[A, T, U any](t *runner.Type[A], name string, fn func(*A, turn, T, U) error) {
	runner.Action2(t, name, func(a *A, ctx turn, v T, w U) (none, error) { return none{}, fn(a, ctx, v, w) })
}

func do3[A, T, U, V any](t *runner.Type[A], name string, fn func(*A, turn, T, U, V) error) {
	runner.Action3(t, name, func(a *A, ctx turn, v T, w U, x V) (none, error) { return none{}, fn(a, ctx, v, w, x) })
}

// memory is embedded by types that count calls in memory only.
type memory struct{ calls int }

func (m *memory) count() int { m.calls++; return m.calls }

// common gives a type the actions memory, sleep and destroy.
func common[A any, P interface {
	*A
	count() int
	Sleep()
	Destroy()
}](t *runner.Type[A],
) {
	runner.Action0(t, "memory", func(a *A, _ turn) (int, error) { return P(a).count(), nil })
	do0(t, "sleep", func(a *A, _ turn) error { P(a).Sleep(); return nil })
	do0(t, "destroy", func(a *A, _ turn) error { P(a).Destroy(); return nil })
}

// with calls fn with the connection of that id; false: it is gone.
func with[C any](conns iter.Seq[*runner.Conn[C]], id string, fn func(*runner.Conn[C])) (found bool, _ error) {
	for conn := range conns {
		if found = conn.ID() == id; found {
			fn(conn)
			break
		}
	}
	return found, nil
}

// each is what show makes of the connections, in the order in which they came.
func each[C any](conns iter.Seq[*runner.Conn[C]], show func(*runner.Conn[C]) any) ([]any, error) {
	all := []any{}
	for conn := range conns {
		all = append(all, show(conn))
	}
	return all, nil
}

// own calls fn with the calling connection.
func own[C any](conn *runner.Conn[C], fn func(*runner.Conn[C])) error {
	if conn == nil {
		return runner.UserError{Code: "no_connection", Message: "no connection"}
	}
	fn(conn)
	return nil
}

var errThrown = errors.New("thrown as planned")

// planned is the user error that an action or a plan is told to end with.
func planned(code string) error { return runner.UserError{Code: code, Message: "failed as planned"} }

// waitGate waits until the suite opens a gate.
func waitGate(ctx turn, id string) error {
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv("CONFORM_GATE_URL")+"/"+url.PathEscape(id), nil) // the suite's URL is one
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err // it names the gate
	}
	if resp.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("gate %q: %s", id, resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}

// gate waits inside a turn, behind what it has changed so far. A cancel does not end it.
func gate(a interface{ Flush() }, ctx turn, id string) error {
	a.Flush()
	return waitGate(context.WithoutCancel(ctx), id)
}

// holdAwake keeps an actor awake until the gate is open.
func holdAwake(a interface{ KeepAwake() func() }, id string) {
	release := a.KeepAwake()
	go func() { defer release(); _ = waitGate(context.Background(), id) }()
}

// plan is what a hook does besides its log entry, step by step.
type plan []string

// planner is an actor that follows plans.
type planner interface {
	KV() runner.KV
	Broadcast(event string, args ...any)
}

// follow does the steps of a plan in the hook of that name; conn is there in onConnect.
func (p plan) follow(ctx turn, hook string, a planner, conn *roomConn) (err error) {
	for _, step := range p {
		switch name, arg, _ := strings.Cut(step, ":"); name {
		case "gate":
			err = waitGate(context.WithoutCancel(ctx), arg)
		case "fail":
			err = planned(arg)
		case "throw":
			err = errors.New(cmp.Or(arg, "thrown as planned"))
		case "put":
			err = a.KV().PutText(arg, "planned")
		case "exit":
			status, _ := strconv.Atoi(arg)
			os.Exit(status)
		case "broadcast":
			a.Broadcast(arg, hook)
		case "send":
			conn.Send(arg, conn.ID())
		case "kick":
			conn.Disconnect(arg)
		default:
			err = fmt.Errorf("a plan has no step %q", step)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// write adds an entry to an actor's log; seq counts the entries in its state.
func write(kv runner.KV, seq *int, entry string) error {
	*seq++
	return kv.PutText(fmt.Sprintf("log/%04d", *seq), entry)
}

// readLog lists the entries in order.
func readLog(ctx turn, kv runner.KV) ([]string, error) {
	entries, err := kv.List(ctx, runner.ListOptions{Prefix: []byte("log/")})
	texts := make([]string, len(entries))
	for i, e := range entries {
		texts[i] = string(e.Value)
	}
	return texts, err
}
