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
	id        string
	params    []byte
	principal *Principal

	// Under instance.mu.
	ref     uint64            // 0: gone
	leaving bool              // onDisconnect is queued, or was
	sum     [sha256.Size]byte // of the state last sent

	index   int // in instance.conns, -1: not there; written under the lock
	touched bool
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
	if !c.touched && c.index >= 0 {
		c.touched = true
		c.in.touchedConns = append(c.in.touchedConns, &c.connection)
	}
	return &c.state
}

// Send sends an event to this connection, subscribed or not [CONN-3]. To a connection that is gone it does nothing.
// Failures are as with Actor.Broadcast.
func (c *Conn[C]) Send(event string, args ...any) {
	c.in.mustTurn("Conn.Send").emit(&wire.Emit{Event: []byte(event)}, args, c.addressee)
}

// SendUnreliable is Send of what is soon replaced. See Actor.BroadcastUnreliable.
func (c *Conn[C]) SendUnreliable(event string, args ...any) {
	c.in.mustTurn("Conn.SendUnreliable").emit(&wire.Emit{Event: []byte(event), Unreliable: true}, args, c.addressee)
}

// Disconnect closes the connection with connection.disconnected; its client gets the reason and does not come back by
// itself. OnDisconnect runs as the next turn [CONN-4]. Disconnecting twice does nothing.
func (c *Conn[C]) Disconnect(reason string) {
	c.in.mustTurn("Conn.Disconnect")
	if c.index < 0 {
		return
	}
	in := c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	in.removeConn(&c.connection)
	if c.ref != 0 { // else its client has left
		in.hold(newConnOutput(&c.connection, nil, clip(reason, maxMessage)))
	}
	if in.def.onDisconnect != nil {
		in.leaves(&c.connection)
	}
}

// addressee has an event go to the connection. false: it is gone. Under instance.mu.
func (c *connection) addressee(m *wire.Emit) bool {
	m.To = []uint64{c.ref}
	return c.ref != 0 && c.index >= 0
}

// connOutput is an output about one connection: its state, or its close. It is made anew when refs change.
type connOutput struct {
	wire.Message
	conn   *connection
	state  []byte // nil: a close
	reason string
}

// newConnOutput is under instance.mu.
func newConnOutput(conn *connection, state []byte, reason string) *connOutput {
	o := &connOutput{conn: conn, state: state, reason: reason}
	o.address()
	return o
}

// address makes the message with the refs of now.
func (o *connOutput) address() {
	if o.state != nil {
		o.Message = wire.Runner(&runnerv1alpha1.ConnectionState{Actor: o.conn.in.ref, Connection: o.conn.ref, State: o.state})
		return
	}
	o.Message = closing(o.conn.in.ref, o.conn.ref, o.reason)
}

func closing(actor, conn uint64, reason string) wire.Message {
	return wire.Runner(&runnerv1alpha1.ConnectionClose{
		Actor: actor, Connection: conn, Code: wire.ConnectionDisconnected.Group + "." + wire.ConnectionDisconnected.Code, Reason: reason,
	})
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
	c.principal = in.sess().principal(m.Principal)
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
	c.sum = sumOf(state)
	return nil
}

// sumOf is zero for a state that is not there.
func sumOf(state []byte) (sum [sha256.Size]byte) {
	if state != nil {
		sum = sha256.Sum256(state)
	}
	return sum
}

// addConn makes the connection visible. The list keeps the order in which connections came; places of those that left are
// closed up here only, since a turn that goes through the list may remove but never adds.
func (in *instance) addConn(c *connection) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.byRef == nil {
		in.byRef = map[uint64]*connection{}
	}
	if len(in.conns) > 2*int(in.present)+8 {
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
	in.present++
	if t := in.cur; t.kind == turnOpen {
		if t.conn = c; t.lost {
			c.ref = 0
		}
	}
	if c.ref != 0 {
		in.byRef[c.ref] = c
	}
}

// removeConn is under instance.mu.
func (in *instance) removeConn(c *connection) {
	in.conns[c.index] = nil
	c.index = -1
	delete(in.byRef, c.ref)
	if in.present--; in.present == 0 {
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
		state, err := c.changedState()
		if err != nil {
			failed = err
		}
		if state == nil {
			continue
		}
		in.mu.Lock()
		if c.ref != 0 {
			in.hold(newConnOutput(c, state, ""))
		}
		in.mu.Unlock()
	}
	clear(in.touchedConns)
	in.touchedConns = in.touchedConns[:0]
	return failed
}

// changedState is nil where nothing changed since it was last sent.
func (c *connection) changedState() ([]byte, error) {
	b, err := c.outer.encode()
	if err != nil {
		return nil, fmt.Errorf("encode the state of connection %s: %w", c.id, err)
	}
	sum := sha256.Sum256(b)
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if sum == c.sum {
		return nil, nil
	}
	if limit := c.in.sess().limits.MaxConnectionState; len(b) > limit {
		return nil, sdkError(wire.ConnectionStateTooLarge.Newf("The state of connection %s has %d bytes, at most %d are allowed.", c.id, len(b), limit))
	}
	c.sum = sum
	return b, nil
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
