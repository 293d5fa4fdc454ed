// Package runnertest runs actor types in unit tests, without a gateway and without a network.
//
// The real runner serves the actors; the package plays the gateway's part at the other end of an in-memory link: it starts
// and stops actors, keeps their state and KV, acknowledges commits, and lets results and events out only when the commit
// before them is acknowledged, as a gateway does [GATE-1].
//
//	h := runnertest.New(t, counter)
//	a := h.Actor("visits")
//	n, err := runnertest.Call[int](a, "increment", 1)
//
// It works in real time, and inside testing/synctest, where time is virtual: an actor that sleeps after 30 s does so at
// once. A Harness is safe for concurrent use.
package runnertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// patience bounds each wait of a test, in real or virtual time.
const patience = 10 * time.Minute

// Harness is a runner with the actor types under test, and the gateway's part. New makes it.
type Harness struct {
	t           testing.TB
	gateway     *gateway
	defaultType string
}

// New starts a runner that hosts the types; it ends with the test. The first type is the one that Actor means.
func New(t testing.TB, types ...runner.Definition) *Harness {
	t.Helper()
	if len(types) == 0 {
		t.Fatal("runnertest: New needs an actor type")
	}
	ours, theirs := net.Pipe()
	dialed := false
	r, err := runner.New(runner.Config{
		Endpoint: "tcp://runnertest:1",
		Logger:   slog.New(slog.NewTextHandler(testLog{t}, nil)),
		Dial: func(ctx context.Context) (net.Conn, error) {
			if dialed { // the link was lost: a fault, which the test has seen
				<-ctx.Done()
				return nil, ctx.Err()
			}
			dialed = true
			return theirs, nil
		},
	}, types...)
	if err != nil {
		t.Fatalf("runnertest: %v", err)
	}
	h := &Harness{t: t, gateway: newGateway(t, ours), defaultType: types[0].Name()}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx) }()
	go h.gateway.serve()
	t.Cleanup(func() {
		h.gateway.close()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("runnertest: the runner ended: %v", err)
		}
		<-h.gateway.done
	})
	return h
}

// testLog sends the actors' log to the test's.
type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// Actor is the actor of the first type with the key. It need not exist: the first use creates it.
func (h *Harness) Actor(key ...string) *Actor { return h.ActorOf(h.defaultType, key...) }

// ActorOf is Actor for a type by name.
func (h *Harness) ActorOf(actorType string, key ...string) *Actor {
	h.gateway.mu.Lock()
	defer h.gateway.mu.Unlock()
	for _, a := range h.gateway.actors {
		if a.actorType == actorType && slices.Equal(a.key, key) {
			return a
		}
	}
	a := &Actor{h: h, g: h.gateway, actorType: actorType, key: slices.Clone(key)}
	h.gateway.actors = append(h.gateway.actors, a)
	return a
}

// Caller is an Actor, or a Conn of one: what an action is called on.
type Caller interface {
	target() (a *Actor, conn *Conn)
}

// Call calls an action and waits for its result, which is released as a gateway would: after the commit of what the action
// changed. The error is an *Error. Into R the result is decoded; an action without result leaves it zero.
func Call[R any](on Caller, action string, args ...any) (R, error) {
	return CallContext[R](context.Background(), on, action, args...)
}

// CallContext is Call whose caller goes away when ctx ends: the action is canceled, and its answer awaited. A deadline of
// ctx travels with the call.
func CallContext[R any](ctx context.Context, on Caller, action string, args ...any) (R, error) {
	var r R
	a, conn := on.target()
	a.h.t.Helper()
	encoded, err := payload.MarshalArgs(args...)
	if err != nil {
		return r, fmt.Errorf("encode the arguments: %w", err)
	}
	m := &wire.Call{Action: []byte(action), Args: encoded}
	if deadline, ok := ctx.Deadline(); ok {
		m.DeadlineMs = uint32(max(1, time.Until(deadline).Milliseconds()))
	}
	answer, err := a.g.request(ctx, a, &request{call: m, conn: conn})
	if err != nil || !answer.HasOutput {
		return r, err
	}
	if err := payload.Unmarshal(answer.Output, &r); err != nil {
		return r, fmt.Errorf("decode the result of %s: %w", action, err)
	}
	return r, nil
}

// Error is what a caller gets of a failure.
type Error struct {
	// Code is the registry's name, or user.<code> [ERR-1].
	Code string
	// Message is the text that left the runner.
	Message string
	// Retryable and Ran are as the error says; Ran is no, yes or maybe.
	Retryable bool
	Ran       string

	metadata []byte
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Metadata decodes the error's metadata into v; absent metadata leave v as it is.
func (e *Error) Metadata(v any) error {
	if len(e.metadata) == 0 {
		return nil
	}
	return payload.Unmarshal(e.metadata, v)
}

// CodeOf is the code of an error of this package; empty for another.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

func errorOf(e *wire.Error) error {
	if e == nil {
		return nil
	}
	accepted, _ := e.Accept(wire.FromRunner)
	return &Error{
		Code: accepted.Name(), Message: accepted.Message, Retryable: accepted.Retryable,
		Ran: accepted.Ran.String(), metadata: accepted.Metadata,
	}
}

// State is the actor's state as last committed; the zero S if there is none.
func State[S any](a *Actor) S {
	a.h.t.Helper()
	var s S
	a.g.mu.Lock()
	b := a.record.state
	a.g.mu.Unlock()
	if b != nil {
		if err := payload.Unmarshal(b, &s); err != nil {
			a.h.t.Fatalf("runnertest: decode the state of %s: %v", a, err)
		}
	}
	return s
}

// Event is an event as a connection got it.
type Event struct {
	// Name is the event's name.
	Name string
	// Unreliable events may be dropped on the way to a real client.
	Unreliable bool

	args []byte
}

// Args decodes the event's arguments into the pointers, one each.
func (e Event) Args(into ...any) error {
	elements, err := payload.SplitArgs(e.args)
	if err != nil {
		return err
	}
	if len(elements) != len(into) {
		return fmt.Errorf("the event %s has %d arguments, not %d", e.Name, len(elements), len(into))
	}
	for i, v := range into {
		if err := payload.Unmarshal(elements[i], v); err != nil {
			return fmt.Errorf("argument %d of the event %s: %w", i+1, e.Name, err)
		}
	}
	return nil
}

// String is the event as text: its name and its arguments as JSON.
func (e Event) String() string {
	var args []any
	if err := payload.Unmarshal(e.args, &args); err != nil {
		return e.Name + "(?)"
	}
	texts := make([]string, len(args))
	for i, arg := range args {
		b, err := json.Marshal(arg)
		if err != nil {
			b = []byte(fmt.Sprint(arg))
		}
		texts[i] = string(b)
	}
	return e.Name + "(" + strings.Join(texts, ", ") + ")"
}
