package nettest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/lxzan/gws"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
	"github.com/quic-go/webtransport-go"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Counters of /metrics.
const (
	malformed   = "stagedoor_frames_malformed_total"
	slowReaders = "stagedoor_slow_readers_total"
	unserved    = "stagedoor_connections_unserved_total"
	tooLarge    = `stagedoor_limit_reached_total{limit="max_frame"}`
)

// sessionAttacks are those on the client protocol, over WebSocket and WebTransport.
var sessionAttacks = []attack{
	{"WebSocket: no Hello", func(s *siege) error {
		return s.overWebSocket(func(w *webSocket, heard <-chan any) error {
			return errors.Join(hears(heard, "Goodbye session.hello_timed_out"), closedBy(w, 1008))
		}, nil)
	}},
	{"WebSocket: a message byte by byte", func(s *siege) error {
		return s.overWebSocket(func(w *webSocket, heard <-chan any) error {
			go trickle(w.conn.NetConn(), append([]byte{0x82, 0xfe, 0x10, 0, 0, 0, 0, 0}, make([]byte, 4096)...))
			return errors.Join(hears(heard, "Goodbye session.ping_timed_out"), closedBy(w, 1008))
		}, &clientv1alpha1.Hello{})
	}},
	{"WebSocket: a header of a message byte by byte", func(s *siege) error {
		return s.overWebSocket(func(w *webSocket, heard <-chan any) error {
			_, err := w.conn.NetConn().Write([]byte{0x82})
			return errors.Join(err, hears(heard, "Goodbye session.ping_timed_out"), closedBy(w, 1008))
		}, &clientv1alpha1.Hello{})
	}},
	{"WebSocket: a message that is too large", func(s *siege) error {
		return s.overWebSocket(func(w *webSocket, _ <-chan any) error {
			_, err := w.conn.NetConn().Write([]byte{0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0})
			return errors.Join(err, closedBy(w, 1009))
		}, &clientv1alpha1.Hello{})
	}},
	{"WebSocket: frames that are none", func(s *siege) error {
		return s.counted(malformed, func() error {
			return s.overWebSocket(func(w *webSocket, heard <-chan any) error {
				err := w.conn.WriteMessage(gws.OpcodeBinary, []byte{0, 0, 0, 3, 0xff, 0xff, 0xff})
				return errors.Join(err, hears(heard, "ProtocolError request.invalid_frame"))
			}, &clientv1alpha1.Hello{})
		})
	}},
	{"WebSocket: a frame that is too large", func(s *siege) error {
		return s.counted(malformed, func() error {
			return s.overWebSocket(func(w *webSocket, heard <-chan any) error {
				err := w.conn.WriteMessage(gws.OpcodeBinary, []byte{0x7f, 0, 0, 0})
				return errors.Join(err, hears(heard, "Goodbye request.invalid_frame"), closedBy(w, 1002))
			}, &clientv1alpha1.Hello{})
		})
	}},
	{"WebTransport: no stream", func(s *siege) error {
		return s.overWebTransport(func(w *webTransport, _ <-chan any) error {
			return endedBy(w, 1008, "session.hello_timed_out")
		}, nil)
	}},
	{"WebTransport: streams without a first frame", func(s *siege) error {
		return s.overWebTransport(func(w *webTransport, _ <-chan any) error {
			return s.manyStreams(w, []byte{0})
		}, &clientv1alpha1.Hello{})
	}},
	{"WebTransport: the first frame byte by byte, on many streams", func(s *siege) error {
		return s.overWebTransport(func(w *webTransport, _ <-chan any) error {
			return s.manyStreams(w, []byte{0, 0, 1, 0})
		}, &clientv1alpha1.Hello{})
	}},
	{"WebTransport: the first stream byte by byte", func(s *siege) error {
		return s.overWebTransport(func(w *webTransport, _ <-chan any) error {
			stream, err := w.session.OpenStream()
			if err != nil {
				return err
			}
			go trickle(stream, []byte{0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
			return endedBy(w, 1008, "session.hello_timed_out")
		}, nil)
	}},
	{"WebTransport: a frame of the session byte by byte", func(s *siege) error {
		return s.overWebTransport(func(w *webTransport, heard <-chan any) error {
			go trickle(w.streams[0], append([]byte{0, 0, 0x10, 0}, make([]byte, 4096)...))
			return errors.Join(hears(heard, "Goodbye session.ping_timed_out"), endedBy(w, 1008, "session.ping_timed_out"))
		}, &clientv1alpha1.Hello{})
	}},
	{"WebTransport: a frame of a connection byte by byte", func(s *siege) error {
		return s.overWebTransport(func(w *webTransport, heard <-chan any) error {
			stream, err := w.connected(heard)
			if err != nil {
				return err
			}
			go trickle(stream, append([]byte{0, 0, 0x10, 0}, make([]byte, 4096)...))
			return errors.Join(hears(heard, "ProtocolError request.invalid_frame"), w.goesOn(heard))
		}, &clientv1alpha1.Hello{})
	}},
	{"WebTransport: a frame of a connection that is too large", func(s *siege) error {
		return s.counted(malformed, func() error {
			return s.overWebTransport(func(w *webTransport, heard <-chan any) error {
				stream, err := w.connected(heard)
				if err != nil {
					return err
				}
				_, err = stream.Write([]byte{0x7f, 0, 0, 0})
				return errors.Join(err, hears(heard, "ProtocolError request.invalid_frame"), w.goesOn(heard))
			}, &clientv1alpha1.Hello{})
		})
	}},
	{"WebTransport: a frame of the session that is too large", func(s *siege) error {
		return s.counted(malformed, func() error {
			return s.overWebTransport(func(w *webTransport, heard <-chan any) error {
				_, err := w.streams[0].Write([]byte{0x7f, 0, 0, 0})
				return errors.Join(err, hears(heard, "Goodbye request.invalid_frame"), endedBy(w, 1002, "request.invalid_frame"))
			}, &clientv1alpha1.Hello{})
		})
	}},
	{"WebTransport: a stream that begins with anything", func(s *siege) error {
		return s.counted(malformed, func() error {
			return s.overWebTransport(func(w *webTransport, heard <-chan any) error {
				err := w.send(9, &wire.ClientCall{ID: 1, Connection: 9, Action: []byte("add"), Args: []byte{0x80}})
				return errors.Join(err, hears(heard, "ProtocolError request.invalid_frame"), w.goesOn(heard))
			}, &clientv1alpha1.Hello{})
		})
	}},
	{"WebTransport: streams of one way, which nobody reads", func(s *siege) error {
		return s.overWebTransport(func(w *webTransport, _ <-chan any) error {
			written := 0
			for range 1000 {
				stream, err := w.session.OpenUniStream()
				if err != nil {
					break
				}
				_ = stream.SetWriteDeadline(time.Now().Add(time.Second))
				n, _ := stream.Write(make([]byte, 1<<20)) // as much as there is room for
				written += n
			}
			if written > 4<<20 {
				return fmt.Errorf("the gateway took %d bytes", written)
			}
			return nil
		}, &clientv1alpha1.Hello{})
	}},
	{"WebTransport: streams that are reset as if the session were gone", func(s *siege) error {
		return s.overQUICWith(quicConfig(), func(c *quic.Conn) error {
			client, err := (&webtransport.Transport{ApplicationProtocols: []string{wire.SubprotocolClientProto}}).NewClientConn(c)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), siegeWait)
			defer cancel()
			_, session, err := client.Dial(ctx, "https://"+s.address+"/v1/connect", nil)
			if err != nil {
				return err
			}
			raw, err := c.OpenStream()
			if err != nil {
				return err
			}
			begin := quicvarint.Append([]byte{0x40, 0x41}, 0) // a stream of the session that the first request has begun
			if _, err = raw.Write(wire.AppendMessage(begin, wire.Client(&clientv1alpha1.Hello{}))); err != nil {
				return err
			}
			if _, err = raw.Read(make([]byte, 1)); err != nil { // of Welcome
				return err
			}
			const gone = 0x170d7b68
			raw.CancelRead(gone)
			raw.CancelWrite(gone)
			return endedBy(&webTransport{session: session}, 1008, "session.ping_timed_out")
		})
	}},
	{"WebTransport: datagrams that are none", func(s *siege) error {
		return s.counted(malformed, func() error {
			return s.overWebTransport(func(w *webTransport, heard <-chan any) error {
				for range 1000 {
					if err := w.session.SendDatagram([]byte(strings.Repeat("\xff", 500))); err != nil {
						return err
					}
				}
				return w.goesOn(heard)
			}, &clientv1alpha1.Hello{})
		})
	}},
	{"WebTransport: answers that nobody reads", func(s *siege) error { return s.counted(slowReaders, s.unread) }},
}

// overWebSocket has a client of its own attack, after a message unless that is nil. It answers no pings.
func (s *siege) overWebSocket(do func(*webSocket, <-chan any) error, first *clientv1alpha1.Hello) error {
	heard := make(chan any, 64)
	w, err := dialWebSocket(context.Background(), plainNetwork{}, s.address, func(m any) { offer(heard, m) })
	if err != nil {
		return err
	}
	defer w.close()
	if first != nil {
		err = w.send(0, wire.Client(first))
	}
	if err != nil {
		return err
	}
	return do(w, heard)
}

// overWebTransport is that over WebTransport, of a client that answers pings.
func (s *siege) overWebTransport(do func(*webTransport, <-chan any) error, first *clientv1alpha1.Hello) error {
	ctx, cancel := context.WithTimeout(context.Background(), siegeWait)
	defer cancel()
	heard, pings := make(chan any, 64), make(chan *commonv1alpha1.Ping, 1)
	w, err := dialWebTransport(ctx, plainNetwork{}, s.address, listen(heard, pings))
	if err != nil {
		return err
	}
	defer w.close()
	go w.answerDatagrams()
	if first != nil {
		err = w.send(0, wire.Client(first))
	}
	if err != nil {
		return err
	}
	defer answering(w, pings)()
	return do(w, heard)
}

// listen sorts what comes.
func listen(heard chan any, pings chan *commonv1alpha1.Ping) func(any) {
	return func(m any) {
		if ping, ok := m.(*commonv1alpha1.Ping); ok {
			offer(pings, ping)
			return
		}
		offer(heard, m)
	}
}

// answering answers pings on the session's own channel until it is undone.
func answering(p peer, pings <-chan *commonv1alpha1.Ping) (undo func()) {
	over := make(chan struct{})
	go func() {
		for {
			select {
			case ping := <-pings:
				_ = p.send(0, wire.Client(&clientv1alpha1.Pong{Nonce: ping.GetNonce()})) // the session may have ended
			case <-over:
				return
			}
		}
	}()
	return func() { close(over) }
}

// answerDatagrams answers the pings that come as datagrams, until the session ends [SESS-21].
func (w *webTransport) answerDatagrams() {
	for {
		data, err := w.session.ReceiveDatagram(w.session.Context())
		if err != nil {
			return
		}
		hear(data, func(m any) {
			if ping, ok := m.(*commonv1alpha1.Ping); ok {
				pong := wire.AppendMessage(nil, wire.Client(&clientv1alpha1.Pong{Nonce: ping.GetNonce()}))
				_ = w.session.SendDatagram(pong[wire.HeaderLen:])
			}
		})
	}
}

// trickle writes something byte by byte, as long as it can.
func trickle(to io.Writer, slowly []byte) {
	for _, b := range slowly {
		if _, err := to.Write([]byte{b}); err != nil {
			return
		}
		<-time.After(dribbleEvery)
	}
}

// hears wants a message that describe has a text for.
func hears(heard <-chan any, want string) error {
	late := time.After(siegeWait)
	for {
		select {
		case m := <-heard:
			switch got := describe(m); got {
			case "":
			case want:
				return nil
			default:
				return fmt.Errorf("heard %s, want %s", got, want)
			}
		case <-late:
			return fmt.Errorf("did not hear %s", want)
		}
	}
}

// closedBy wants a close frame with a code.
func closedBy(w *webSocket, code uint16) error {
	select {
	case err := <-w.ended:
		if e, ok := errors.AsType[*gws.CloseError](err); !ok || e.Code != code {
			return fmt.Errorf("closed with %w, want %d", err, code)
		}
		return nil
	case <-time.After(siegeWait):
		return errStays
	}
}

// endedBy wants the session to be closed with a code and a reason.
func endedBy(w *webTransport, code webtransport.SessionErrorCode, reason string) error {
	ctx, cancel := context.WithTimeout(context.Background(), siegeWait)
	defer cancel()
	_, cause := w.session.AcceptStream(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		return errStays
	}
	if e, ok := errors.AsType[*webtransport.SessionError](cause); !ok || e.ErrorCode != code || e.Message != reason {
		return fmt.Errorf("closed with %w, want %d %s", cause, code, reason)
	}
	return nil
}

// connected opens connection 1, and returns its stream when it is open.
func (w *webTransport) connected(heard <-chan any) (*webtransport.Stream, error) {
	open := &clientv1alpha1.ConnectionOpen{Connection: 1, Target: &commonv1alpha1.Address{Type: "tally", Key: []string{"attacked"}}}
	if err := w.send(1, wire.Client(open)); err != nil {
		return nil, err
	}
	late := time.After(siegeWait)
	for {
		select {
		case m := <-heard:
			if _, ok := m.(*clientv1alpha1.ConnectionOpened); ok {
				return w.stream(1)
			}
		case <-late:
			return nil, errors.New("the connection was not opened")
		}
	}
}

// goesOn wants the session to be served still.
func (w *webTransport) goesOn(heard <-chan any) error {
	target := &commonv1alpha1.Address{Type: "tally", Key: []string{"attacked"}}
	if err := w.send(0, &wire.ClientCall{ID: 77, Action: []byte("add"), Args: []byte{0x81, 1}, Target: target}); err != nil {
		return fmt.Errorf("the session has ended, too: %w", err)
	}
	late := time.After(siegeWait)
	for {
		select {
		case m := <-heard:
			if r, ok := m.(*wire.ClientCallResult); ok && r.ID == 77 && r.Error == nil {
				return nil
			}
		case <-late:
			return errors.New("the session is not served any more")
		}
	}
}

// manyStreams opens as many streams as it can, says the same on each, and wants each to be reset.
func (s *siege) manyStreams(w *webTransport, said []byte) error {
	var streams []*webtransport.Stream
	for len(streams) < 5000 {
		stream, err := w.session.OpenStream()
		if err != nil {
			break
		}
		streams = append(streams, stream)
		if _, err := stream.Write(said); err != nil {
			return err
		}
	}
	if n := len(streams); n < 256 || n == 5000 {
		return fmt.Errorf("%d streams could be opened", n)
	}
	faults := make([]error, len(streams))
	var waiting sync.WaitGroup
	for i, stream := range streams {
		waiting.Go(func() {
			_ = stream.SetReadDeadline(time.Now().Add(siegeWait))
			_, err := stream.Read(make([]byte, 1))
			if reset, ok := errors.AsType[*webtransport.StreamError](err); !ok || !reset.Remote {
				faults[i] = fmt.Errorf("a stream ended with %w", err)
			}
		})
	}
	waiting.Wait()
	return errors.Join(faults...)
}

// unread asks for much, and reads nothing of it.
func (s *siege) unread() error {
	ctx, cancel := context.WithTimeout(context.Background(), siegeWait)
	defer cancel()
	hold := make(chan struct{})
	defer close(hold)
	w, err := dialWebTransport(ctx, plainNetwork{}, s.address, func(m any) {
		if _, welcome := m.(*clientv1alpha1.Welcome); !welcome {
			<-hold
		}
	})
	if err != nil {
		return err
	}
	defer func() { _ = w.session.CloseWithError(0, "") }()
	go w.answerDatagrams()
	if err := w.send(0, wire.Client(&clientv1alpha1.Hello{})); err != nil {
		return err
	}
	megabyte := binary.BigEndian.AppendUint32([]byte{0x81, 0x1a}, 900_000)
	target := &commonv1alpha1.Address{Type: "tally", Key: []string{"unread"}}
	for id := range uint64(40) {
		if err := w.send(0, &wire.ClientCall{ID: id + 1, Action: []byte("fill"), Args: megabyte, Target: target}); err != nil {
			break
		}
	}
	return endedBy(w, 1008, "session.slow_reader")
}
