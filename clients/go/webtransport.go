package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// maxPooled is what a batch may hold on to between two writes.
const maxPooled = 2 * maxBatch

var errSubprotocol = errors.New("the gateway does not speak " + wire.SubprotocolClientProto)

// batches are for writers, of which there are as many as lanes, but few at a time.
var batches = sync.Pool{New: func() any { return new(batch) }}

// webTransport is a socket with lanes: one goroutine reads each of them, one writes while there is something to write, and
// one reads datagrams [SESS-19] [SESS-21].
type webTransport struct {
	pulse

	session *session
	quic    *quic.Conn
	conn    *webtransport.Session
	wrote   chan struct{} // closed when Goodbye is written
	ended   sync.WaitGroup

	mu    sync.Mutex
	rests []rest
}

// openWebTransport dials and shakes hands. ctx bounds both.
func openWebTransport(ctx context.Context, s *session, e endpoint, u *udp) (*webTransport, error) {
	conn, err := u.dial(ctx, sessionIdle)
	if err != nil {
		return nil, err
	}
	k := &webTransport{session: s, quic: conn, wrote: make(chan struct{})}
	k.lost = make(chan struct{})
	abort := context.AfterFunc(ctx, k.hangUp)
	err = k.connect(ctx, e)
	if !abort() {
		err = ctx.Err()
	}
	if err != nil {
		k.hangUp()
		return nil, fmt.Errorf("WebTransport handshake with %s: %w", e.base.Host, err)
	}
	return k, nil
}

func (k *webTransport) connect(ctx context.Context, e endpoint) error {
	t := &webtransport.Transport{ApplicationProtocols: []string{wire.SubprotocolClientProto}}
	client, err := t.NewClientConn(k.quic)
	if err != nil {
		return err
	}
	defer func() { _ = t.Close() }() // it has done its part
	_, k.conn, err = client.Dial(ctx, e.webTransportURL(), nil)
	if err == nil && k.conn.SessionState().ApplicationProtocol != wire.SubprotocolClientProto {
		err = errSubprotocol
	}
	return err
}

func (k *webTransport) hangUp() {
	_ = k.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
}

func (k *webTransport) serve() {
	k.hear(time.Now())
	k.ended.Go(k.readDatagrams)
	k.session.begin(func(l *lane) { k.ended.Go(func() { k.write(l) }) }, time.Now())
}

// write writes a lane as long as it has something to write.
func (k *webTransport) write(l *lane) {
	b, _ := batches.Get().(*batch)
	for {
		// The answers of one read wake many callers, who call again: what they have to say goes in one write.
		runtime.Gosched()
		runtime.Gosched()
		some, over := k.session.takeLane(l, b, time.Now())
		if !some {
			if over && l.stream != nil {
				_ = l.stream.Close() // behind ConnectionClosed [SESS-20]
			}
			break
		}
		wrote, err := k.flush(l, b)
		if err != nil {
			k.unwritten(rest{l, b, wrote}, err)
			return
		}
		k.session.wrote(b)
		if b.last {
			_ = l.stream.Close()
			close(k.wrote)
			return
		}
		b.reset()
	}
	b.reset()
	if cap(b.buf) <= maxPooled {
		batches.Put(b)
	}
}

// flush writes a batch, on a new stream if the lane has none.
func (k *webTransport) flush(l *lane, b *batch) (wrote int, err error) {
	if l.stream == nil {
		stream, err := k.conn.OpenStreamSync(context.Background()) // until the end of the socket
		if err != nil {
			return 0, err
		}
		k.session.carry(l, stream)
		k.ended.Go(func() { k.read(l) })
	}
	if l.channel.number == 0 {
		k.writing.Store(time.Now().UnixNano())
		defer k.writing.Store(0)
	}
	return l.stream.Write(b.buf)
}

// unwritten takes note of a write that failed.
func (k *webTransport) unwritten(r rest, err error) {
	if k.lose(r.lane, err, r) {
		return
	}
	k.mu.Lock()
	k.rests = append(k.rests, r)
	k.mu.Unlock()
	k.over("write", err)
}

func (k *webTransport) read(l *lane) {
	in := &inflow{from: l.stream, limit: k.session.options.MaxMessage}
	in.buf = in.idle[:0]
	for {
		frames, err := in.next()
		now := time.Now()
		if err == nil {
			k.hear(now)
			err = k.session.receive(l, frames, now)
		}
		switch {
		case err == nil:
		case !in.failed || errors.Is(err, errFrame):
			k.refuse(err)
			return
		case k.session.isOver(l):
			return
		default:
			if !k.lose(l, err, rest{batch: &batch{}}) {
				k.over("read", err)
			}
			return
		}
	}
}

// lose takes note of the loss of a lane. false: the socket is lost.
func (k *webTransport) lose(l *lane, err error, r rest) bool {
	_, reset := errors.AsType[*webtransport.StreamError](err)
	if l.channel.number == 0 || !reset && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	if k.session.loseLane(l, err, r, time.Now()) && l.stream != nil {
		l.stream.CancelRead(0)
		l.stream.CancelWrite(0)
	}
	return true
}

// over takes note that the socket is lost.
func (k *webTransport) over(doing string, err error) {
	if closed, ok := errors.AsType[*webtransport.SessionError](err); ok && closed.Remote {
		k.session.dismissed(closed.Message)
		err = fmt.Errorf("%w: %s", errGoodbye, closed.Message)
	}
	k.fail(fmt.Errorf("%s: %w", doing, err), "")
}

func (k *webTransport) readDatagrams() {
	for {
		data, err := k.conn.ReceiveDatagram(context.Background())
		if err != nil {
			return // the lanes tell
		}
		now := time.Now()
		k.hear(now)
		if answer := k.session.receiveDatagram(data, now); answer != nil {
			_ = k.conn.SendDatagram(answer) // it may get lost, too
		}
	}
}

// ping sends the first Ping of a silence as a datagram, and the others where they cannot get lost [SESS-21].
func (k *webTransport) ping(n uint64) {
	if n > 1 {
		k.session.ping(n)
		return
	}
	k.ended.Go(func() { _ = k.conn.SendDatagram(datagram(&commonv1alpha1.Ping{Nonce: n})) }) // it blocks while many wait
}

func (k *webTransport) finish(politely bool) []rest {
	if politely {
		patience := time.NewTimer(partingTime)
		defer patience.Stop()
		select {
		case <-k.wrote:
			select {
			case <-k.conn.Context().Done(): // the gateway has read it, and closed the session
			case <-patience.C:
			}
		case <-patience.C:
		}
	}
	k.session.halt()
	k.hangUp()
	k.ended.Wait()
	return k.rests
}
