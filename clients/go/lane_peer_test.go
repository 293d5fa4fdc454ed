package client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/testutils/simnet"
	"github.com/quic-go/webtransport-go"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// latency is that of the network in memory.
const latency = time.Millisecond

// laneGateway is the other side of the tests over WebTransport: a real HTTP/3 server with a real WebTransport, on a network
// in memory. What it says is up to the test, lane by lane.
type laneGateway struct {
	t       *testing.T
	cert    tls.Certificate
	network *simnet.Simnet
	address *net.UDPAddr
	dialer  *quic.Transport
	server  *webtransport.Server
	peers   chan *lanePeer
	done    sync.WaitGroup

	// For the test to set.
	handler http.HandlerFunc // of everything but /v1/connect
	refuse  http.HandlerFunc // of that, too; nil: it is accepted
}

func newLaneGateway(t *testing.T) *laneGateway {
	g := &laneGateway{t: t, network: &simnet.Simnet{Router: &simnet.PerfectRouter{}}, peers: make(chan *lanePeer, 16)}
	g.cert, _ = selfSigned(t)
	theirs := g.join(t)
	g.server = &webtransport.Server{
		ApplicationProtocols: []string{wire.SubprotocolClientProto},
		H3: &http3.Server{
			TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{g.cert}}),
			Handler:   http.HandlerFunc(g.serve), QUICConfig: &quic.Config{MaxIdleTimeout: sessionIdle},
		},
	}
	g.done.Go(func() { _ = g.server.Serve(theirs) })
	t.Cleanup(func() {
		noError(t, g.server.Close())
		g.done.Wait()
		_ = theirs.Close()
		g.leave()
	})
	return g
}

// join gives clients and the gateway a place in the network each.
func (g *laneGateway) join(t *testing.T) (theirs net.PacketConn) {
	g.address = &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 443}
	link := simnet.NodeBiDiLinkSettings{Latency: latency}
	theirs = g.network.NewEndpoint(g.address, link)
	g.dialer = &quic.Transport{Conn: g.network.NewEndpoint(&net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 1}, link)}
	noError(t, g.network.Start())
	return theirs
}

func (g *laneGateway) leave() {
	noError(g.t, g.dialer.Close())
	_ = g.dialer.Conn.Close()
	noError(g.t, g.network.Close())
	<-time.After(time.Minute) // what webtransport-go leaves behind ends
}

func (g *laneGateway) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/connect" {
		g.handler(w, r)
		return
	}
	if g.refuse != nil {
		g.refuse(w, r)
		return
	}
	session, err := g.server.Upgrade(w, r)
	if err != nil {
		g.t.Errorf("upgrade: %v", err)
		return
	}
	w2 := &lanePeer{t: g.t, session: session, lanes: map[uint64]chan *peer{}, datagrams: make(chan any, 64)}
	g.done.Go(w2.accept)
	g.done.Go(w2.receive)
	g.peers <- w2
}

// options are those of a client of this gateway.
func (g *laneGateway) options(o Options) Options {
	sum := sha256.Sum256(g.cert.Certificate[0])
	o.Transport, o.CertificateHashes = WebTransport, [][]byte{sum[:]}
	o.DialQUIC = func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
		return g.dialer.Dial(ctx, g.address, t, q)
	}
	return o
}

func (g *laneGateway) client() *Client {
	g.t.Helper()
	c, err := New("https://gateway", g.options(Options{}))
	noError(g.t, err)
	g.t.Cleanup(func() { _ = c.Close() })
	return c
}

// grants accepts the next socket, which has to begin a new session, gives it resume and the token "t1", and returns its
// channel 0 as well.
func (g *laneGateway) grants() (*lanePeer, *peer) {
	g.t.Helper()
	w := <-g.peers
	zero := w.lane(0)
	if hello := next1[*clientv1alpha1.Hello](zero); hello.GetResume() != nil {
		g.t.Fatalf("%v is not the beginning of a session", hello)
	}
	zero.send(grant("t1"))
	zero.wantAck(0, 0)
	return w, zero
}

// lanePeer is the gateway's end of one WebTransport session.
type lanePeer struct {
	t         *testing.T
	session   *webtransport.Session
	datagrams chan any
	reading   sync.WaitGroup

	mu    sync.Mutex
	lanes map[uint64]chan *peer // by channel
}

func (w *lanePeer) accept() {
	defer w.reading.Wait()
	for {
		stream, err := w.session.AcceptStream(context.Background())
		if err != nil {
			return
		}
		p := &peer{t: w.t, stream: stream, got: make(chan any, 1<<12), acks: make(chan *clientv1alpha1.Ack, 1<<12)}
		w.reading.Go(func() { w.read(p) })
	}
}

// file files a lane under the channel that its first frame names.
func (w *lanePeer) file(p *peer, data []byte) {
	raw, _, _ := wire.NextFrame(data, 32<<20)
	frame, _ := wire.ParseFrame(raw)
	m, _ := wire.DecodeClient(frame)
	number := uint64(0)
	if about, is := m.(interface{ GetConnection() uint64 }); is {
		number = about.GetConnection()
	}
	w.under(number) <- p
}

func (w *lanePeer) under(number uint64) chan *peer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lanes[number] == nil {
		w.lanes[number] = make(chan *peer, 16)
	}
	return w.lanes[number]
}

// read closes got at the stream's end, behind its error unless the client has closed it.
func (w *lanePeer) read(p *peer) {
	defer close(p.got)
	in := &inflow{from: p.stream, limit: 32 << 20}
	for {
		if gate := p.gate.Load(); gate != nil {
			<-*gate
		}
		data, err := in.next()
		switch {
		case err == nil:
			if p.messages.Add(1) == 1 {
				w.file(p, data)
			}
			p.take(append([]byte(nil), data...))
			continue
		case !errors.Is(err, io.EOF):
			p.got <- err
		}
		return
	}
}

func (w *lanePeer) receive() {
	for {
		data, err := w.session.ReceiveDatagram(context.Background())
		if err != nil {
			close(w.datagrams)
			return
		}
		frame, err := wire.ParseFrame(data)
		if err == nil {
			var m any
			m, err = wire.DecodeClient(frame)
			w.datagrams <- m
		}
		if err != nil {
			w.t.Errorf("datagram %x: %v", data, err)
		}
	}
}

// lane is the next stream that the client has opened for the channel.
func (w *lanePeer) lane(number uint64) *peer {
	w.t.Helper()
	select {
	case p := <-w.under(number):
		return p
	case <-time.After(time.Minute):
	}
	w.t.Fatalf("no stream of channel %d", number)
	return nil
}

// noLane checks that it opens none for now.
func (w *lanePeer) noLane() {
	w.t.Helper()
	<-time.After(100 * latency)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, lanes := range w.lanes {
		if len(lanes) > 0 {
			w.t.Fatalf("a stream that begins with %v", <-(<-lanes).got)
		}
	}
}

func (w *lanePeer) datagram(messages ...any) {
	w.t.Helper()
	for _, m := range messages {
		noError(w.t, w.session.SendDatagram(encoded(m)[wire.HeaderLen:]))
	}
}

// reset resets a lane on both sides.
func (p *peer) reset() {
	p.stream.CancelRead(7)
	p.stream.CancelWrite(7)
}

// resumes answers ConnectionResume of connection 1, which has to be all that the lane has.
func (p *peer) resumes(received, frames uint64) {
	p.t.Helper()
	m := next1[*clientv1alpha1.ConnectionResume](p)
	if m.GetConnection() != 1 || m.GetFrames() != received {
		p.t.Fatalf("%v, want %d frames of connection 1", m, received)
	}
	p.silent()
	p.send(&clientv1alpha1.ConnectionResumed{Connection: 1, Frames: frames})
}

// drop loses the socket without a word.
func (w *lanePeer) drop() { _ = w.session.CloseWithError(0, "") }
