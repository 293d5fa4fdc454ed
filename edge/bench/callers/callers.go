// Package callers keeps calls under way over many WebSockets, or WebTransport sessions, at as little cost as we know how.
//
// A socket is one goroutine; a session has one for each of its streams. It reads answers, answers each with the next call of the same slot, and writes when it has
// nothing left to read. What a call looks like and what an answer says is a Protocol's: edge/bench/bare has that of its
// relay, edge/bench/session that of the gateway, so that the two are called in the same way. What is not expected ends a
// socket, and what was under way on it has failed.
//
// Callers are used by one goroutine at a time. A Protocol serves one socket, and is called by one goroutine at a time.
package callers

import (
	"context"
	"fmt"
	"sync"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/tunnel"
)

// Protocol is what is said on one socket. Slots are numbered from 0; of each, one call is under way at a time.
type Protocol interface {
	// Hello is what is said before all else; over WebTransport it has a stream of its own, on which all replies of Take go.
	// Empty: nothing is, and there is no such stream.
	Hello() []byte
	// Open is what is said then; it is answered like the call of slot 0. Empty: calls may begin at once.
	Open() []byte
	// Call appends the call of a slot.
	Call(dst []byte, slot uint64) []byte
	// Take takes one message, over WebTransport one or more whole frames [FRAME-1] of one stream. It tells answered of each answer in it, which makes the slot's next call, and returns what
	// has to be said besides, valid until it is called again. An error ends the socket.
	Take(message []byte, answered Answered) (reply []byte, err error)
}

// Answered is told of the answer of a slot. err says that the call has failed.
type Answered func(slot uint64, err error)

// Options say whom to call.
type Options struct {
	// Address is the server, host:port; Path that of the URL; Subprotocol, if not empty, the one to agree on.
	Address, Path, Subprotocol string
	// Through is what WebTransport sessions are opened through; nil: they are WebSockets.
	Through *tunnel.Dialer
	// Together is how many bytes of calls go as one message, if so many are to be written at once: a message is over when
	// it has them. 0: each call is a message of its own.
	Together int
	// Protocol makes that of the i-th socket.
	Protocol func(i int) Protocol
}

// Callers are sockets that are open. Dial makes them, Close ends them.
type Callers struct {
	options Options
	all     []*caller
	reading sync.WaitGroup
}

// dialers is how many sockets are being opened at once.
const dialers = 32

// Dial opens n sockets, and returns when what each of them says first was answered.
func Dial(ctx context.Context, n int, o Options) (*Callers, error) {
	c := &Callers{options: o, all: make([]*caller, n)}
	if err := load.Each(ctx, n, dialers, c.dial); err != nil {
		c.Close()
		return nil, fmt.Errorf("dial %s: %w", o.Address, err)
	}
	return c, nil
}

func (c *Callers) dial(ctx context.Context, i int) error {
	one, err := newCaller(ctx, &c.options, i)
	if err != nil {
		return err
	}
	c.all[i] = one
	stop := context.AfterFunc(ctx, func() { _ = one.line.Close() })
	defer stop()
	c.reading.Go(one.read)
	return one.open()
}

// Lost is why one of the sockets has ended, if any has.
func (c *Callers) Lost() error {
	for _, one := range c.all {
		if err := one.lost(); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the sockets without a word and waits for their goroutines.
func (c *Callers) Close() {
	for _, one := range c.all {
		if one != nil {
			_ = one.line.Close()
		}
	}
	c.reading.Wait()
}

// Round keeps inFlight calls of each socket under way until the window is over, and waits for the answers. A socket whose
// calls fail too often begins no more of them. If ctx ends, the sockets do.
func (c *Callers) Round(ctx context.Context, w load.Window, inFlight int) load.Result {
	meters := make([]load.Meter, len(c.all))
	done := make([]<-chan struct{}, len(c.all))
	for i, one := range c.all {
		meters[i].Window = w
		done[i] = one.begin(&meters[i], inFlight, one.call)
	}
	for i, one := range c.all {
		select {
		case <-done[i]:
		case <-ctx.Done():
			_ = one.line.Close()
			<-done[i] // nobody writes to the meter any more
		}
	}
	return load.Sum(w.Length(), meters)
}
