package runner

import (
	"crypto/sha256"
	"fmt"
	"iter"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// Conn is a client attached to the actor, with the connection state C. There is one object per connection: pointers may
// be compared and kept in maps. It outlives sleep and moves of the actor, as a new object with the same id and state
// [CONN-6].
type Conn[C any] struct {
	connection
	state C
}

// connection is a Conn without its Go type, as the engine uses it. It belongs to the running turn.
type connection struct {
	in        *instance
	outer     encodable // the *Conn
	ref       uint64    // 0: gone before this start
	id        string
	params    []byte
	principal *Principal

	index   int // in instance.conns, -1: not there
	touched bool
	sum     [sha256.Size]byte // of the state last sent
}

// encodable is a Conn of any connection state.
type encodable interface {
	encode() ([]byte, error)
	decode(b []byte) error
}

func (c *Conn[C]) encode() ([]byte, error) { return payload.Marshal(&c.state) }

func (c *Conn[C]) decode(b []byte) error { return payload.Unmarshal(b, &c.state) }

// Principal is the authenticated caller behind a connection or call.
type Principal struct {
	// Kind is client or admin.
	Kind string
	// Subject names the caller, as its token does.
	Subject string

	claims []byte
}

// Claims decodes what the caller's token says into v; absent claims leave v as it is.
func (p *Principal) Claims(v any) error {
	if len(p.claims) == 0 {
		return nil
	}
	return payload.Unmarshal(p.claims, v)
}

// ID is the connection's id, the same for its whole life.
func (c *Conn[C]) ID() string { return c.id }

// Params decodes what the client opened the connection with into v; absent params leave v as it is.
func (c *Conn[C]) Params(v any) error {
	if len(c.params) == 0 {
		return nil
	}
	return payload.Unmarshal(c.params, v)
}

// Principal is the authenticated caller; nil: anonymous, or not known any more.
func (c *Conn[C]) Principal() *Principal { return c.principal }

// State is the connection's state, to read and to change. A change is sent with the turn's flush and comes back with the
// connection after a sleep or a move [CONN-6]; at most 64 KiB encoded by default, else the turn fails with
// connection.state_too_large.
func (c *Conn[C]) State() *C {
	c.in.mustTurn("Conn.State")
	if !c.touched && c.ref != 0 {
		c.touched = true
		c.in.touchedConns = append(c.in.touchedConns, &c.connection)
	}
	return &c.state
}

// Send sends an event to this connection, subscribed or not [CONN-3]. To a connection that is gone it does nothing.
// Failures are as with Actor.Broadcast.
func (c *Conn[C]) Send(event string, args ...any) {
	t := c.in.mustTurn("Conn.Send")
	if c.ref == 0 {
		return
	}
	t.emit(&wire.Emit{Event: []byte(event), To: []uint64{c.ref}}, args)
}

// Disconnect closes the connection with connection.disconnected; its client gets the reason and does not come back by
// itself. OnDisconnect runs as the next turn [CONN-4]. Disconnecting twice does nothing.
func (c *Conn[C]) Disconnect(reason string) {
	c.in.mustTurn("Conn.Disconnect")
	if c.index < 0 {
		return
	}
	c.in.removeConn(&c.connection)
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.hold(wire.Runner(&runnerv1alpha1.ConnectionClose{
		Actor: c.in.ref, Connection: c.ref, Code: wire.ConnectionDisconnected.Group + "." + wire.ConnectionDisconnected.Code,
		Reason: clip(reason, maxMessage),
	}))
	if c.in.def.onDisconnect != nil {
		c.in.enqueueLeaving(&c.connection)
	}
}

// Conns are the actor's connections in the order in which they came. The set may change while it is gone through.
func (a *Actor[S, C]) Conns() iter.Seq[*Conn[C]] {
	in := a.in
	in.mustTurn("Conns")
	return func(yield func(*Conn[C]) bool) {
		for i := 0; i < len(in.conns); i++ {
			if conn := in.conns[i]; conn != nil && !yield(conn.outer.(*Conn[C])) {
				return
			}
		}
	}
}

func (a *Actor[S, C]) newConnection() *connection {
	c := new(Conn[C])
	c.connection = connection{in: a.in, outer: c, index: -1}
	return &c.connection
}

// openConnection makes the object for a ConnectionOpen.
func (in *instance) openConnection(m *runnerv1alpha1.ConnectionOpen) (*connection, error) {
	c := in.self.newConnection()
	c.ref, c.id, c.params = m.Connection, m.ConnectionId, m.Params
	c.principal = in.sess.principal(m.Principal)
	if c.principal == nil && len(m.Claims) > 0 {
		c.principal = &Principal{claims: m.Claims}
	}
	return c, c.restoreState(m.State)
}

func (c *connection) restoreState(state []byte) error {
	if state == nil {
		return nil
	}
	if err := c.outer.decode(state); err != nil {
		return sdkError(wire.StateInvalid.Newf("The state of connection %s cannot be decoded: %v.", c.id, err))
	}
	c.sum = sha256.Sum256(state)
	return nil
}

// addConn makes the connection visible. The list keeps the order in which connections came; places of those that left are
// closed up here only, since a turn that goes through the list may remove but never adds.
func (in *instance) addConn(c *connection) {
	if in.byRef == nil {
		in.byRef = map[uint64]*connection{}
	}
	if len(in.conns) > 2*len(in.byRef)+8 {
		kept := in.conns[:0]
		for _, other := range in.conns {
			if other != nil {
				other.index = len(kept)
				kept = append(kept, other)
			}
		}
		clear(in.conns[len(kept):])
		in.conns = kept
	}
	c.index = len(in.conns)
	in.conns = append(in.conns, c)
	in.byRef[c.ref] = c
}

func (in *instance) removeConn(c *connection) {
	in.conns[c.index] = nil
	c.index = -1
	delete(in.byRef, c.ref)
	if len(in.byRef) == 0 {
		in.conns, in.byRef = nil, nil
	}
}

// connStates encodes the connection states that the turn asked for and holds those that changed.
func (in *instance) connStates() (failed error) {
	for _, c := range in.touchedConns {
		c.touched = false
		if c.index < 0 {
			continue
		}
		if m, err := c.stateReport(); err != nil {
			failed = err
		} else if m != nil {
			in.mu.Lock()
			in.hold(wire.Runner(m))
			in.mu.Unlock()
		}
	}
	clear(in.touchedConns)
	in.touchedConns = in.touchedConns[:0]
	return failed
}

// stateReport is nil where nothing changed since the last one.
func (c *connection) stateReport() (*runnerv1alpha1.ConnectionState, error) {
	b, err := c.outer.encode()
	if err != nil {
		return nil, fmt.Errorf("encode the state of connection %s: %w", c.id, err)
	}
	sum := sha256.Sum256(b)
	if sum == c.sum {
		return nil, nil
	}
	if limit := c.in.sess.limits.MaxConnectionState; len(b) > limit {
		return nil, sdkError(wire.ConnectionStateTooLarge.Newf("The state of connection %s has %d bytes, at most %d are allowed.", c.id, len(b), limit))
	}
	c.sum = sum
	return &runnerv1alpha1.ConnectionState{Actor: c.in.ref, Connection: c.ref, State: b}, nil
}

func decodeParams[P any](params []byte) (p P, err error) {
	if len(params) == 0 {
		return p, nil
	}
	if err := payload.Unmarshal(params, &p); err != nil {
		return p, sdkError(wire.RequestInvalidPayload.Newf("The connection's params do not fit the actor: %v.", err))
	}
	return p, nil
}
