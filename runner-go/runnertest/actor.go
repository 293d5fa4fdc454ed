package runnertest

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// Actor is one address. What it says of itself is the gateway's view: committed, acknowledged.
type Actor struct {
	h         *Harness
	g         *gateway
	actorType string
	key       []string

	// Under gateway.mu.
	input   []byte
	record  record
	run     *incarnation // nil: asleep, or not created
	waiting []*request   // until the actor is ready
	conns   []*Conn      // open, or being opened
}

// record is what the store keeps of an actor.
type record struct {
	exists  bool
	id      string
	version uint64
	state   []byte
	kv      []runner.Entry // by key
	conns   map[string]*Conn
}

// incarnation is one life of an actor in the runner: a ref.
type incarnation struct {
	ref   uint64
	ready bool
	stop  runnerv1alpha1.StopReason // unspecified: not asked
	open  map[uint64]*request       // unanswered, by call id
	conns map[uint64]*Conn
	group *group
}

func (a *Actor) target() (*Actor, *Conn) { return a, nil }

// String is the address.
func (a *Actor) String() string { return strings.Join(append([]string{a.actorType}, a.key...), ":") }

// WithInput sets the input that a creation of the actor passes on [LIFE-4], and returns the actor.
func (a *Actor) WithInput(input any) *Actor {
	b, err := payload.Marshal(input)
	if err != nil {
		a.h.t.Fatalf("runnertest: encode the input of %s: %v", a, err)
	}
	a.g.mu.Lock()
	a.input = b
	a.g.mu.Unlock()
	return a
}

// Wake starts the actor, if it is not awake, and waits until it is ready. The error is why it could not start.
func (a *Actor) Wake() error {
	_, err := a.g.request(context.Background(), a, &request{})
	return err
}

// Awake tells whether the actor is in memory.
func (a *Actor) Awake() bool {
	a.g.mu.Lock()
	defer a.g.mu.Unlock()
	return a.run != nil
}

// Exists tells whether the actor was created and not destroyed.
func (a *Actor) Exists() bool {
	a.g.mu.Lock()
	defer a.g.mu.Unlock()
	return a.record.exists
}

// Sleep puts the actor to sleep: OnSleep runs, and its last commit is made. Connections stay [SLEEP-2].
func (a *Actor) Sleep() { a.stop(runnerv1alpha1.StopReason_STOP_REASON_SLEEP) }

// Destroy destroys the actor, which is started for it if need be: OnDestroy runs, then state, KV and connections are gone
// [LIFE-7].
func (a *Actor) Destroy() {
	a.h.t.Helper()
	if !a.Exists() {
		return
	}
	if err := a.Wake(); err != nil {
		a.h.t.Fatalf("runnertest: start %s to destroy it: %v", a, err)
	}
	a.stop(runnerv1alpha1.StopReason_STOP_REASON_DESTROY)
}

// Crash ends the actor at once, as the loss of its runner does: no hook runs, what was not committed is lost, calls under way
// fail with action.outcome_unknown. The next use starts it from its last commit.
func (a *Actor) Crash() {
	a.g.mu.Lock()
	defer a.g.mu.Unlock()
	if a.run != nil {
		a.g.send(a.run.ref, &runnerv1alpha1.StopActor{Actor: a.run.ref, Reason: runnerv1alpha1.StopReason_STOP_REASON_FENCED})
		a.g.lose(a)
	}
}

func (a *Actor) stop(reason runnerv1alpha1.StopReason) {
	a.h.t.Helper()
	a.g.mu.Lock()
	if a.run == nil {
		a.g.mu.Unlock()
		return
	}
	a.g.askStop(a.run, reason)
	gone := a.g.until(func() bool { return a.run == nil || a.run.stop == 0 })
	a.g.mu.Unlock()
	a.g.await(gone, "the stop of "+a.String())
}

// KV is a copy of the actor's committed keys and values, in order.
func (a *Actor) KV() []runner.Entry {
	a.g.mu.Lock()
	defer a.g.mu.Unlock()
	return slices.Clone(a.record.kv)
}

// KVText is one committed value as text; ok is false where there is none.
func (a *Actor) KVText(key string) (value string, ok bool) {
	a.g.mu.Lock()
	defer a.g.mu.Unlock()
	i, ok := a.record.find([]byte(key))
	if !ok {
		return "", false
	}
	return string(a.record.kv[i].Value), true
}

func (r *record) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(r.kv, key, func(e runner.Entry, key []byte) int { return bytes.Compare(e.Key, key) })
}

// Connect opens a connection with params, nil for none, and waits until the actor has accepted it; the error is its refusal.
// The connection gets the events it subscribes to; without names, every event.
func (a *Actor) Connect(params any, subscribe ...string) (*Conn, error) {
	c := &Conn{actor: a, subscribed: slices.Clone(subscribe)}
	if params != nil {
		b, err := payload.Marshal(params)
		if err != nil {
			a.h.t.Fatalf("runnertest: encode the params: %v", err)
		}
		c.params = b
	}
	if _, err := a.g.request(context.Background(), a, &request{opens: c}); err != nil {
		return nil, err
	}
	return c, nil
}

// Conn is a client's connection, and the record of what it got.
type Conn struct {
	actor      *Actor
	id         string
	params     []byte
	subscribed []string // empty: everything

	// Under gateway.mu.
	state  []byte
	ref    uint64 // in the actor's incarnation
	events []Event
	read   int // by Next
	closed *Error
	left   bool
}

func (c *Conn) target() (*Actor, *Conn) { return c.actor, c }

// ID is the connection's id.
func (c *Conn) ID() string { return c.id }

// Events are all events that the connection got so far, in order. Those that an action sent are there when its call has
// returned.
func (c *Conn) Events() []Event {
	c.actor.g.mu.Lock()
	defer c.actor.g.mu.Unlock()
	return slices.Clone(c.events)
}

// Next waits for the next event that Next has not returned yet; none within a minute fails the test.
func (c *Conn) Next() Event {
	g := c.actor.g
	g.t.Helper()
	g.mu.Lock()
	there := g.until(func() bool { return len(c.events) > c.read })
	g.mu.Unlock()
	select {
	case <-there:
	case <-time.After(time.Minute):
		g.t.Fatalf("runnertest: no event came to %s within a minute", c.id)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c.read++
	return c.events[c.read-1]
}

// Closed is why the actor closed the connection; nil: it is open, or its client closed it.
func (c *Conn) Closed() *Error {
	c.actor.g.mu.Lock()
	defer c.actor.g.mu.Unlock()
	return c.closed
}

// Close is the client leaving: OnDisconnect runs, at once if the actor is awake, else with its next start [CONN-7].
func (c *Conn) Close() {
	g := c.actor.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.left || c.closed != nil {
		return
	}
	c.left = true
	g.removeConn(c)
	if run := c.actor.run; run != nil && c.ref != 0 {
		g.send(run.ref, &runnerv1alpha1.ConnectionClose{Actor: run.ref, Connection: c.ref, Code: "connection.closed"})
	}
}
