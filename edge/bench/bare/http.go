package bare

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"
)

// maxStreams is how many requests or streams a connection may have under way.
const maxStreams = 1 << 12

// sendBack answers a request with its body.
func sendBack(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	_, _ = w.Write(body) // whoever asked may be gone
}

func serveHTTP(ctx context.Context, _ string, l net.Listener) error {
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(sendBack)}
	ending := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { ending <- server.Close() })
	defer stop()
	err := server.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		err = <-ending
	}
	return err
}

// overQUIC serves HTTP/3 and WebTransport.
type overQUIC struct {
	relay    *relay
	sessions webtransport.Server
	serving  sync.WaitGroup
}

func serveHTTP3(ctx context.Context, echo string, ready func(address string) error) error {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	transport := &quic.Transport{Conn: socket}
	defer socket.Close()
	defer transport.Close()
	certificate, err := ownCertificate()
	if err != nil {
		return err
	}
	l, err := transport.Listen(http3.ConfigureTLSConfig(&tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13,
	}), &quic.Config{
		MaxIncomingStreams: maxStreams, EnableDatagrams: true, EnableStreamResetPartialDelivery: true,
	})
	if err != nil {
		return err
	}
	if err := ready(socket.LocalAddr().String()); err != nil {
		return errors.Join(err, l.Close())
	}
	return relaying(ctx, echo, func(ctx context.Context, r *relay) error {
		return (&overQUIC{relay: r}).run(ctx, l)
	}, l.Close)
}

func (q *overQUIC) run(ctx context.Context, l *quic.Listener) error {
	q.sessions.H3 = &http3.Server{Handler: http.HandlerFunc(q.handle)}
	q.sessions.CheckOrigin = func(*http.Request) bool { return true }
	webtransport.ConfigureHTTP3Server(q.sessions.H3)
	for {
		conn, err := l.Accept(ctx)
		if err != nil {
			closed := q.sessions.Close()
			q.serving.Wait()
			if ctx.Err() == nil {
				return errors.Join(err, closed)
			}
			return closed
		}
		q.serving.Go(func() {
			stop := context.AfterFunc(ctx, func() { _ = conn.CloseWithError(0, "") })
			defer stop()
			_ = q.sessions.ServeQUICConn(conn) // how it ended is the client's affair
		})
	}
}

func (q *overQUIC) handle(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		sendBack(w, r)
		return
	}
	session, err := q.sessions.Upgrade(w, r)
	if err != nil {
		return // it may be a test that the client gives up
	}
	q.serving.Go(func() {
		for {
			stream, err := session.AcceptStream(session.Context())
			if err != nil {
				return
			}
			q.serving.Go(func() { q.relay.stream(stream) })
		}
	})
}

// ownCertificate is one that nobody checks.
func ownCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
