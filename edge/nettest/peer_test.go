package nettest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lxzan/gws"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// network is where a client's sockets are.
type network interface {
	dialTCP(ctx context.Context, address string) (net.Conn, error)
	listenUDP() (net.PacketConn, error)
}

// plainNetwork is that of the test's own process.
type plainNetwork struct{}

func (plainNetwork) dialTCP(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

func (plainNetwork) listenUDP() (net.PacketConn, error) {
	return net.ListenPacket("udp", "127.0.0.1:0")
}

// peer is a client session without an SDK. heard gets every frame that comes, from one goroutine a stream.
type peer interface {
	// send sends a frame of a connection; 0: the session's own.
	send(connection uint64, m wire.Message) error
	// close ends the session's socket, and returns when nothing of it is left.
	close()
}

// dialPeer opens a session over a transport, "websocket" or "webtransport".
func dialPeer(ctx context.Context, transport string, n network, address string, heard func(any)) (peer, error) {
	var p peer
	var err error
	welcome := make(chan struct{})
	begun := sync.OnceFunc(func() { close(welcome) })
	hear := func(m any) {
		if _, ok := m.(*clientv1alpha1.Welcome); ok {
			begun()
		}
		heard(m)
	}
	if transport == "websocket" {
		p, err = dialWebSocket(ctx, n, address, hear)
	} else {
		p, err = dialWebTransport(ctx, n, address, hear)
	}
	if err != nil {
		return nil, err
	}
	if err = p.send(0, wire.Client(&clientv1alpha1.Hello{})); err == nil {
		select {
		case <-welcome:
			return p, nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	p.close()
	return nil, fmt.Errorf("begin a session over %s: %w", transport, err)
}

// trust takes any certificate: that of a test is of no authority.
func trust(protocols ...string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: protocols, MinVersion: tls.VersionTLS12} //nolint:gosec // only tests
}

// webSocket is a peer over WebSocket and TLS.
type webSocket struct {
	gws.BuiltinEventHandler
	conn  *gws.Conn
	heard func(any)
	done  chan struct{}
	ended chan error // the close frame or fault that came, once
}

func dialWebSocket(ctx context.Context, n network, address string, heard func(any)) (*webSocket, error) {
	raw, err := n.dialTCP(ctx, address)
	if err != nil {
		return nil, err
	}
	w := &webSocket{heard: heard, done: make(chan struct{}), ended: make(chan error, 1)}
	secure := tls.Client(raw, trust("http/1.1"))
	header := http.Header{"Sec-Websocket-Protocol": {wire.SubprotocolClientProto}}
	w.conn, _, err = gws.NewClientFromConn(w, &gws.ClientOption{
		Addr: "ws://" + address + "/v1/connect", RequestHeader: header, ReadMaxPayloadSize: 16 << 20, WriteMaxPayloadSize: 32 << 20,
	}, secure)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	go func() {
		defer close(w.done)
		w.conn.ReadLoop()
	}()
	return w, nil
}

// OnMessage implements gws.Event.
func (w *webSocket) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	for rest := m.Bytes(); len(rest) > 0; {
		raw, after, err := wire.NextFrame(rest, 32<<20)
		if err != nil {
			return
		}
		rest = after
		hear(bytes.Clone(raw), w.heard)
	}
}

// OnClose implements gws.Event.
func (w *webSocket) OnClose(_ *gws.Conn, err error) { w.ended <- err }

func (w *webSocket) send(_ uint64, m wire.Message) error {
	return w.conn.WriteMessage(gws.OpcodeBinary, wire.AppendMessage(nil, m))
}

func (w *webSocket) close() {
	_ = w.conn.NetConn().Close()
	<-w.done
}

// hear decodes a frame that is not malformed.
func hear(raw []byte, heard func(any)) {
	f, err := wire.ParseFrame(raw)
	if err != nil {
		return
	}
	if m, err := wire.DecodeClient(f); err == nil {
		heard(m)
	}
}

// webTransport is a peer over WebTransport: a stream for each connection [SESS-19].
type webTransport struct {
	session *webtransport.Session
	socket  net.PacketConn
	conn    *quic.Conn
	heard   func(any)
	reading sync.WaitGroup

	mu      sync.Mutex
	streams map[uint64]*webtransport.Stream
}

// quicConfig is what WebTransport asks for.
func quicConfig() *quic.Config {
	return &quic.Config{EnableDatagrams: true, EnableStreamResetPartialDelivery: true, MaxIdleTimeout: 30 * time.Second, HandshakeIdleTimeout: 30 * time.Second}
}

func dialWebTransport(ctx context.Context, n network, address string, heard func(any)) (*webTransport, error) {
	socket, err := n.listenUDP()
	if err != nil {
		return nil, err
	}
	w := &webTransport{socket: socket, heard: heard, streams: map[uint64]*webtransport.Stream{}}
	dialer := webtransport.Transport{
		TLSClientConfig: trust(http3.NextProtoH3), QUICConfig: quicConfig(), ApplicationProtocols: []string{wire.SubprotocolClientProto},
		DialAddr: func(ctx context.Context, address string, secure *tls.Config, config *quic.Config) (*quic.Conn, error) {
			to, err := net.ResolveUDPAddr("udp", address)
			if err != nil {
				return nil, err
			}
			// One connection on the socket, so without connection ids, as browsers have it.
			w.conn, err = quic.Dial(ctx, socket, to, secure, config)
			return w.conn, err
		},
	}
	_, w.session, err = dialer.Dial(ctx, "https://"+address+"/v1/connect", nil)
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return w, nil
}

func (w *webTransport) send(connection uint64, m wire.Message) error {
	stream, err := w.stream(connection)
	if err != nil {
		return err
	}
	_, err = stream.Write(wire.AppendMessage(nil, m))
	return err
}

// stream is that of a connection, opened when it is first needed.
func (w *webTransport) stream(connection uint64) (*webtransport.Stream, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if stream := w.streams[connection]; stream != nil {
		return stream, nil
	}
	stream, err := w.session.OpenStream()
	if err != nil {
		return nil, err
	}
	w.streams[connection] = stream
	w.reading.Go(func() { _ = readFrames(stream, w.heard) }) // it ends with the stream
	return stream, nil
}

func (w *webTransport) close() {
	_ = w.session.CloseWithError(0, "") // it may be closed already
	w.reading.Wait()
	<-w.conn.Context().Done() // the gateway has been told
	_ = w.socket.Close()
}

// readFrames hears the frames of a stream until it ends.
func readFrames(from io.Reader, heard func(any)) error {
	for {
		var header [wire.HeaderLen]byte
		if _, err := io.ReadFull(from, header[:]); err != nil {
			return err
		}
		raw := make([]byte, binary.BigEndian.Uint32(header[:]))
		if _, err := io.ReadFull(from, raw); err != nil {
			return err
		}
		hear(raw, heard)
	}
}
