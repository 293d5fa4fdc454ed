//go:build unix

package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"github.com/stagedoor-dev/stagedoor/edge/bench/bare"
	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/sockets"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// fanout measures events of one actor to many WebSockets, each a session with one connection. An event is sent when
// everybody has the one before it, of each of the events in flight. The sockets are light ones (package sockets), for the
// gateway and for the baseline, which is a bare broadcaster of the same bytes.
func fanout(ctx context.Context, o Options) (_ []Row, err error) {
	n, note := reachable(o.Connections, 2)
	s, err := openSite(ctx, o)
	if err != nil {
		return nil, err
	}
	defer closing(s, &err)
	_, broadcaster, err := s.play(bare.Broadcaster, "")
	if err != nil {
		return nil, err
	}
	send, err := s.eventSender()
	if err != nil {
		return nil, err
	}
	sendBare, hangUp, err := byteSender(broadcaster)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	o.Progress(fmt.Sprintf("fanout: opening 2 × %d sockets", n))
	product, err := s.audience(n, s.address, "/v1/actors/"+actorType+":stage/connect?subscribe="+tick)
	if err != nil {
		return nil, err
	}
	defer product.group.Close()
	plain, err := s.audience(n, broadcaster, "/")
	if err != nil {
		return nil, err
	}
	defer plain.group.Close()
	row, err := takeTurns(s.ctx, o, "fanout", product.turn(o, send), plain.turn(o, sendBare))
	row.Unit, row.Connections, row.InFlight, row.Note = "deliveries", n, o.InFlight, note
	return []Row{row}, err
}

// sender has a message sent to everybody.
type sender func(ctx context.Context, message []byte) error

func (s *site) eventSender() (sender, error) {
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	stage := c.GetOrCreate(actorType, []string{"stage"})
	return func(ctx context.Context, message []byte) error { return stage.Call(ctx, "broadcast", nil, message) }, nil
}

// byteSender gives the broadcaster the very frame that the gateway would make of the event.
func byteSender(address string) (_ sender, hangUp func(), err error) {
	ws, _, err := gws.NewClient(gws.BuiltinEventHandler{}, &gws.ClientOption{Addr: "ws://" + address + bare.SenderPath})
	if err != nil {
		return nil, nil, fmt.Errorf("dial the bare broadcaster: %w", err)
	}
	var reading sync.WaitGroup
	reading.Go(ws.ReadLoop)
	hangUp = func() {
		_ = ws.NetConn().Close()
		reading.Wait()
	}
	return func(_ context.Context, message []byte) error {
		args, err := payload.MarshalArgs(message)
		if err != nil {
			return err
		}
		event := wire.AppendMessage(nil, &wire.ClientEvent{Connection: 1, Event: []byte(tick), Args: args})
		return ws.WriteMessage(gws.OpcodeBinary, event)
	}, hangUp, nil
}

// audience is sockets that listen to one sender.
type audience struct {
	group   *sockets.Group
	size    int
	faults  chan error // capacity 1
	present atomic.Pointer[hearing]
}

// hearing is one round of an audience.
type hearing struct {
	meters []load.Meter // by socket
	slots  []slot
}

// slot is one of the events that are under way at the same time.
type slot struct {
	left atomic.Int64  // sockets that do not have it yet
	done chan struct{} // capacity 1: everybody has it
}

// argsHead is what CBOR puts before the bytes of a message: an array of one, a string of 64.
var argsHead = [3]byte{0x81, 0x58, messageSize}

func (s *site) audience(n int, address, path string) (*audience, error) {
	a := &audience{size: n, faults: make(chan error, 1)}
	group, err := sockets.Open(s.ctx, n, sockets.Options{
		Address: address, Path: func(int) string { return path }, OnEvent: a.hear,
	})
	a.group = group
	return a, err
}

// hear counts a delivery: the message says when it was sent, and in which slot.
func (a *audience) hear(socket int, args []byte) {
	h := a.present.Load()
	if h == nil || len(args) != len(argsHead)+messageSize || [3]byte(args) != argsHead {
		a.fault()
		return
	}
	message := args[len(argsHead):]
	sent, number := time.Duration(binary.BigEndian.Uint64(message)), binary.BigEndian.Uint64(message[8:])
	if number >= uint64(len(h.slots)) {
		a.fault()
		return
	}
	now := load.Now()
	h.meters[socket].Done(now, now-sent)
	if s := &h.slots[number]; s.left.Add(-1) == 0 {
		s.done <- struct{}{}
	}
}

func (a *audience) fault() {
	select {
	case a.faults <- errors.New("an event that was not sent"):
	default: // one is enough
	}
}

// turn is a round with this sender.
func (a *audience) turn(o Options, send sender) turn {
	return func(ctx context.Context) (load.Result, error) { return a.round(ctx, o.Duration, o.InFlight, send) }
}

// round keeps inFlight events under way and counts deliveries. All of them have come when it returns a result.
func (a *audience) round(ctx context.Context, length time.Duration, inFlight int, send sender) (load.Result, error) {
	w := load.Open(length)
	h := &hearing{meters: make([]load.Meter, a.size), slots: make([]slot, inFlight)}
	for i := range h.meters {
		h.meters[i].Window = w
	}
	for i := range h.slots {
		h.slots[i].done = make(chan struct{}, 1)
	}
	a.present.Store(h)
	err := load.Each(ctx, inFlight, inFlight, func(ctx context.Context, number int) error {
		for {
			if err := a.send(ctx, number, &h.slots[number], send); err != nil || w.Over(load.Now()) {
				return err
			}
		}
	})
	if err != nil {
		return load.Result{}, err
	}
	return load.Sum(w.Length(), h.meters), nil
}

// send sends one event and waits until everybody has it.
func (a *audience) send(ctx context.Context, number int, s *slot, send sender) error {
	s.left.Store(int64(a.size))
	message := make([]byte, messageSize)
	binary.BigEndian.PutUint64(message, uint64(load.Now()))
	binary.BigEndian.PutUint64(message[8:], uint64(number))
	if err := send(ctx, message); err != nil {
		return err
	}
	select {
	case <-s.done:
		return nil
	case err := <-a.group.Faults():
		return err
	case err := <-a.faults:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
