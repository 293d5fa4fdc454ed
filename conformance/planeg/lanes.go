package planeg

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/webtransport"
)

// lanes is a WebTransport session as a line: each frame goes to the stream of its channel, and what comes on any stream goes
// into the one queue of the peer, with laneEnd and datagram in their places [SESS-19].
type lanes struct {
	ctx     context.Context
	session *webtransport.Session

	mu      sync.Mutex
	to      *peer // nil: nobody reads yet
	over    bool  // and nobody will
	streams map[uint64]*webtransport.Stream
	unread  []func()        // readers that wait for a peer
	held    map[uint64]bool // channels whose streams are not to be read
	fault   error           // what the gateway did that it may not; ends the session
	reading sync.WaitGroup

	taking sync.Mutex  // one stream's frame at a time
	deaf   atomic.Bool // answers no Ping that comes as a datagram
}

// laneEnd says that the gateway has ended its side of a stream, or, with an error, that the stream is lost.
type laneEnd struct {
	channel uint64
	err     error
}

// datagram is a frame that came by itself [SESS-21].
type datagram struct{ proto.Message }

func newLanes(ctx context.Context, s *webtransport.Session) *lanes {
	return &lanes{ctx: ctx, session: s, streams: map[uint64]*webtransport.Stream{}, held: map[uint64]bool{}}
}

func (l *lanes) serve(to *peer) error {
	l.mu.Lock()
	l.to = to
	for _, read := range l.unread {
		l.reading.Go(read)
	}
	l.unread = nil
	l.mu.Unlock()
	l.reading.Go(l.readDatagrams)
	<-l.session.Done()
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.reading.Wait()
	if l.fault != nil {
		return l.fault
	}
	return l.session.Ended()
}

// write sends a frame on the stream of its channel, which ConnectionOpen and ConnectionResume open.
func (l *lanes) write(body []byte) error {
	channel, opens := laneOf(body)
	s, err := l.stream(channel, opens)
	if err == nil {
		_, err = s.Write(frame.Append(nil, body))
	}
	return err
}

// raw writes to channel 0.
func (l *lanes) raw(b []byte) error { return l.rawTo(0, b) }

// rawTo writes to the stream of a channel.
func (l *lanes) rawTo(channel uint64, b []byte) error {
	s, err := l.stream(channel, false)
	if err == nil {
		_, err = s.Write(b)
	}
	return err
}

func (l *lanes) close() { _ = l.session.Close() }

// laneOf is the channel of a frame, and whether it begins a stream.
func laneOf(body []byte) (channel uint64, opens bool) {
	m, err := messageIn(&clientv1alpha1.Frame{}, body)
	if err != nil {
		return 0, false
	}
	switch m := m.(type) {
	case *clientv1alpha1.ConnectionOpen:
		return m.Connection, true
	case *clientv1alpha1.ConnectionResume:
		return m.Connection, true
	case interface{ GetConnection() uint64 }:
		return m.GetConnection(), false
	}
	return 0, false
}

// stream is that of a channel, or another one, which is not the channel's while the one that is lives.
func (l *lanes) stream(channel uint64, another bool) (*webtransport.Stream, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[channel]
	if s != nil && !another {
		return s, nil
	}
	more, err := l.session.Open(l.ctx)
	if err != nil {
		return nil, err
	}
	if s == nil {
		l.streams[channel] = more
	}
	read := func() { l.read(channel, more) }
	switch {
	case l.over, l.held[channel]:
	case l.to == nil:
		l.unread = append(l.unread, read)
	default:
		l.reading.Go(read)
	}
	return more, nil
}

// hold leaves the streams of a channel unread that are opened from now on.
func (l *lanes) hold(channel uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[channel] = true
}

// drop takes a stream from its channel, so that the next frame goes to another one.
func (l *lanes) drop(channel uint64) *webtransport.Stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[channel]
	delete(l.streams, channel)
	return s
}

func (l *lanes) read(channel uint64, s *webtransport.Stream) {
	for {
		body, err := readFrame(s)
		if err == nil {
			err = l.take(channel, body)
		}
		if err == nil {
			continue
		}
		l.ended(channel, s, err)
		return
	}
}

// take hands a frame over. One of another channel than its stream's is a fault.
func (l *lanes) take(channel uint64, body []byte) error {
	l.taking.Lock()
	defer l.taking.Unlock()
	if of, _ := laneOf(body); of != channel {
		l.fault = fmt.Errorf("on the stream of channel %d came a frame of channel %d", channel, of)
		l.close()
		return l.fault
	}
	return l.to.frame(body)
}

// ended notes the end of a stream, and ends our side of one whose connection has ended [SESS-20].
func (l *lanes) ended(channel uint64, s *webtransport.Stream, err error) {
	if errors.Is(err, io.EOF) {
		_ = s.Close()
		err = nil
	}
	l.mu.Lock()
	if l.streams[channel] == s {
		delete(l.streams, channel)
	}
	l.mu.Unlock()
	l.to.play.note("%s: the stream of channel %d ended: %v", l.to.name, channel, err)
	if errors.Is(err, webtransport.ErrLeft) {
		return // the case knows
	}
	l.to.change(func() { l.to.queue = append(l.to.queue, laneEnd{channel, err}) })
}

func readFrame(from io.Reader) ([]byte, error) {
	var head [frame.HeaderLen]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size == 0 || size > maxFrame {
		return nil, fmt.Errorf("%w: a frame of %d bytes", frame.ErrFault, size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(from, body); err != nil {
		return nil, fmt.Errorf("a frame that is cut off: %w", err)
	}
	return body, nil
}

// readDatagrams queues what comes by itself. A Ping is answered the way it came.
func (l *lanes) readDatagrams() {
	for {
		body, err := l.session.ReceiveDatagram()
		if err != nil {
			return
		}
		m, err := messageIn(&clientv1alpha1.Frame{}, body)
		if err != nil {
			l.to.play.note("%s: a datagram that is no frame: %v", l.to.name, err)
			continue
		}
		l.to.play.note("%s gets the datagram %s", l.to.name, show(m))
		if ping, is := m.(*commonv1alpha1.Ping); is && !l.deaf.Load() {
			l.sendDatagram(&clientv1alpha1.Pong{Nonce: ping.Nonce})
		}
		l.to.change(func() { l.to.queue = append(l.to.queue, datagram{m}) })
	}
}

func (l *lanes) sendDatagram(m proto.Message) {
	if err := l.session.SendDatagram(l.to.encode(m)); err != nil {
		l.to.play.note("%s: %v", l.to.name, err)
	}
}
