package bare

import (
	"context"
	"net"
	"runtime"
	"slices"
	"sync"

	"github.com/lxzan/gws"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// SenderPath is where a Broadcaster takes what it sends on. All other paths listen.
const SenderPath = "/sender"

// idleBuffer is what a listening WebSocket reads into; it says nearly nothing.
const idleBuffer = 1 << 10

// broadcaster writes what a sender says to everybody who listens: the header is made once, the connections are shared out
// to a few writers, and what gathers while one of them is on its way round goes out with one write for each connection.
type broadcaster struct {
	shards   []*shard
	opened   []byte // what a listener is greeted with, so that it knows that it is heard of
	upgrader *gws.Upgrader

	mu   sync.Mutex
	next int
}

// shard is the connections of one writer.
type shard struct {
	wake chan struct{} // capacity 1
	stop chan struct{}

	mu        sync.Mutex
	pending   []byte
	listeners []net.Conn
}

func serveBroadcaster(ctx context.Context, _ string, l net.Listener) error {
	opened := wire.AppendMessage(nil, wire.Client(&clientv1alpha1.ConnectionOpened{Connection: 1}))
	b := &broadcaster{
		opened:   appendMessage(nil, opened),
		upgrader: gws.NewUpgrader(gws.BuiltinEventHandler{}, &gws.ServerOption{ReadBufferSize: idleBuffer}),
	}
	var writing sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		s := &shard{wake: make(chan struct{}, 1), stop: make(chan struct{})}
		b.shards = append(b.shards, s)
		writing.Go(s.run)
	}
	err := new(house).run(ctx, l, b.welcome)
	for _, s := range b.shards {
		close(s.stop)
	}
	writing.Wait()
	return err
}

func (b *broadcaster) welcome(conn net.Conn) (func(), error) {
	request, in, err := readRequest(conn, idleBuffer)
	if err != nil {
		return nil, err
	}
	if request.URL.Path == SenderPath {
		ws, err := gws.NewUpgrader(sender{shards: b.shards}, &gws.ServerOption{}).UpgradeFromConn(conn, in, request)
		if err != nil {
			return nil, err
		}
		return ws.ReadLoop, nil
	}
	ws, err := b.upgrader.UpgradeFromConn(conn, in, request)
	if err != nil {
		return nil, err
	}
	s := b.share()
	if err := s.enter(conn, b.opened); err != nil {
		return nil, err
	}
	return func() {
		ws.ReadLoop()
		s.leave(conn)
	}, nil
}

func (b *broadcaster) share() *shard {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	return b.shards[b.next%len(b.shards)]
}

// sender is a WebSocket whose messages go to everybody.
type sender struct {
	gws.BuiltinEventHandler
	shards []*shard
}

// OnMessage implements gws.Event.
func (s sender) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	for _, shard := range s.shards {
		shard.add(m.Bytes())
	}
}

func (s *shard) add(message []byte) {
	s.mu.Lock()
	s.pending = appendMessage(s.pending, message)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

func (s *shard) enter(conn net.Conn, greeting []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := conn.Write(greeting); err != nil {
		return err
	}
	s.listeners = append(s.listeners, conn)
	return nil
}

func (s *shard) leave(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = slices.DeleteFunc(slices.Clone(s.listeners), func(other net.Conn) bool { return other == conn })
}

func (s *shard) run() {
	var batch []byte
	for {
		select {
		case <-s.wake:
		case <-s.stop:
			return
		}
		s.mu.Lock()
		batch, s.pending = s.pending, batch[:0]
		listeners := s.listeners
		s.mu.Unlock()
		for _, conn := range listeners {
			_, _ = conn.Write(batch) // a listener that is gone leaves by itself
		}
	}
}
