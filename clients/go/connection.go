package client

import (
	"context"
	"slices"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Status is what a connection is doing.
type Status uint8

// The values of Status.
const (
	// StatusConnecting: it was never open.
	StatusConnecting Status = iota
	// StatusConnected: the actor has accepted it.
	StatusConnected
	// StatusReconnecting: it was open and will be again. Every loss of the socket shows, however short; OnReset tells
	// whether anything was missed.
	StatusReconnecting
	// StatusClosed: it is over for good.
	StatusClosed
)

// String is the lower-case English word.
func (s Status) String() string {
	return [...]string{"connecting", "connected", "reconnecting", "closed"}[min(s, StatusClosed)]
}

// ConnectOptions configure a Connection.
type ConnectOptions struct {
	// Params is given to the actor's connection hooks, each time the connection is opened. nil: none.
	Params any
	// Setup, if not nil, is called with the connection before anything is sent, to register handlers: what the actor
	// sends while it accepts the connection then finds them. It must not wait for the connection.
	Setup func(*Connection)
}

// connectionPhase is how far a connection has come in the present session. Guarded by session.mu.
type connectionPhase uint8

const (
	connectionDetached connectionPhase = iota // opens with the next session
	connectionWaiting                         // opens when its pause is over
	connectionOpening                         // ConnectionOpen is on its way
	connectionOpen
	connectionClosed
)

// Connection attaches this client to one actor. It opens in the background and survives the loss of the socket: when the
// session goes on, nothing was missed, and the actor has not noticed. When the session was lost, or the gateway asks for it,
// the connection opens again, with the same target, params and subscriptions, until Close or a final refusal. To the actor
// that is another connection; OnReset tells of it.
//
// All its callbacks run one after the other, in the order in which the actor emitted what they tell of, on a goroutine of
// the connection [SESS-3]. They may use the connection and the client. A slow one delays only its own connection. Safe for
// concurrent use.
type Connection struct {
	session *session
	target  *target
	params  []byte
	inbox   *inbox

	// Guarded by session.mu.
	phase    connectionPhase
	status   Status
	channel  *channel // nil: it is neither opening nor open
	actorID  string
	id       string
	queue    fifo[*call]              // calls of which no byte was written; they go while it is open
	wanted   map[string]*subscription // events with handlers
	asked    map[string]bool          // events that the gateway was asked for, on this opening
	apart    bool                     // an open with all events was refused for one of them: subscribe one by one
	attempts int                      // openings in a row that did not last
	openedAt time.Time
	timer    *time.Timer
	ready    chan struct{} // closed while it is open, and when it is over
	err      *Error        // why it is over; nil: Close
	fault    *Error        // why it is not open
	cut      *Error        // what ended its last opening
}

func newConnection(s *session, t *target, o ConnectOptions) *Connection {
	c := &Connection{
		session: s, target: t, ready: make(chan struct{}),
		wanted: map[string]*subscription{}, asked: map[string]bool{},
	}
	c.inbox = &inbox{limit: s.options.EventQueue, handlers: map[string][]*listener{}}
	invalid := t.invalid
	if o.Params != nil && invalid == nil {
		params, err := payload.Marshal(o.Params)
		if err != nil {
			invalid = raise(wire.RequestInvalidPayload, wire.RanNo, "The params cannot be encoded: %v", err).because(err)
		}
		c.params = params
	}
	if o.Setup != nil {
		o.Setup(c)
	}
	s.attach(c, invalid)
	return c
}

// Status tells what the connection is doing now.
func (c *Connection) Status() Status {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	return c.status
}

// ActorID is the id of the actor, empty while the connection was never open.
func (c *Connection) ActorID() string {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	return c.actorID
}

// ID is the connection's id as the actor sees it, empty while it was never open. Each opening has another; see OnReset.
func (c *Connection) ID() string {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	return c.id
}

// Ready waits until the connection is open. It returns the error that closed it for good, connection.closed after Close,
// or one that wraps that of ctx and says why the connection is not open yet.
func (c *Connection) Ready(ctx context.Context) error {
	for {
		ready := c.readiness()
		select {
		case <-ready:
		case <-ctx.Done():
			return interrupted(ctx, wire.RanNo, c.obstacle())
		}
		open, err := c.outcome()
		if err != nil {
			return err
		}
		if open {
			return nil
		}
	}
}

func (c *Connection) readiness() <-chan struct{} {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	return c.ready
}

func (c *Connection) outcome() (open bool, err error) {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	if c.phase == connectionClosed {
		return false, c.closedError()
	}
	return c.status == StatusConnected, nil
}

// obstacle is what keeps it from opening, if that is known.
func (c *Connection) obstacle() error {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	if c.fault != nil {
		return c.fault
	}
	return c.session.lastFault
}

// Call calls an action of the actor through the connection; see Handle.Call. It waits until the connection is open. Calls
// of one connection, made one after the other, reach the actor in that order [CALL-3], after earlier changes of
// subscriptions. Close, and a refusal, end waiting calls with the connection's error and ran: no.
func (c *Connection) Call(ctx context.Context, action string, result any, args ...any) error {
	return c.session.do(ctx, request{target: c.target, conn: c, action: action, args: args}, result)
}

// Send calls an action without waiting for it; see Handle.Send.
func (c *Connection) Send(ctx context.Context, action string, args ...any) error {
	return c.session.do(ctx, request{target: c.target, conn: c, action: action, args: args, oneway: true}, nil)
}

// Close leaves the actor. It returns at once. Calls under way end with connection.closed; no event handler is called any
// more, except one that is running; OnStatus and OnClose are told, with nil.
func (c *Connection) Close() {
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.phase == connectionClosed {
		return
	}
	if c.phase == connectionOpening || c.phase == connectionOpen {
		s.send(c.channel, &clientv1alpha1.ConnectionClose{Connection: c.channel.number})
		s.stir()
	}
	closed := raise(wire.ConnectionClosed, wire.RanMaybe, "")
	for _, call := range s.inOrder() {
		if call.conn == c {
			s.fail(call, closed)
		}
	}
	c.inbox.mute()
	s.finish(c, nil)
}

// closedError is what requests of a closed connection get.
func (c *Connection) closedError() *Error {
	if c.err != nil {
		return c.err.with(RanNo)
	}
	return raise(wire.ConnectionClosed, wire.RanNo, "")
}

// isLarge tells whether its open is too long to be sent before Welcome told the limits.
func (c *Connection) isLarge() bool { return len(c.params)+len(c.target.input) > maxEarly/4 }

// connected tells that it can be used.
func (c *Connection) connected() {
	if c.status != StatusConnected {
		c.setStatus(StatusConnected)
		close(c.ready)
	}
}

// disconnected tells that it cannot, for now.
func (c *Connection) disconnected() {
	if c.status == StatusConnected {
		c.setStatus(StatusReconnecting)
		c.ready = make(chan struct{})
	}
}

func (c *Connection) setStatus(status Status) {
	c.status = status
	post(c.inbox, &c.inbox.onStatus, status)
}

// remove takes the connection off a list, keeping its order.
func remove(list []*Connection, c *Connection) []*Connection {
	return slices.DeleteFunc(list, func(other *Connection) bool { return other == c })
}
