package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// selfSigned is a certificate for the host gateway, and the roots that trust it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"gateway"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	noError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(must(x509.ParseCertificate(der)))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// secureClient is a client of the gateway whose transport is TLS.
func secureClient(t *testing.T, g *gateway, cert tls.Certificate, o Options) *Client {
	conns := make(chan net.Conn)
	plain := &pipeListener{conns: conns, closed: make(chan struct{})}
	g.listen(tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{cert}}))
	g.conns = conns
	o.Dial = g.dial
	c, err := New("https://gateway", o)
	noError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

var quiet = log.New(io.Discard, "", 0)

func TestTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.handler = func(w http.ResponseWriter, _ *http.Request) { reply(w, 201, actorBody("id-1")) }
		cert, roots := selfSigned(t)
		c := secureClient(t, g, cert, Options{TLS: &tls.Config{RootCAs: roots}})
		h, err := c.Create(t.Context(), "room", nil)
		noError(t, err)
		done := increment(t.Context(), h)
		p := g.greet(nil)
		p.send(result(next1[*wire.ClientCall](p), 1))
		noError(t, <-done)
	})
}

func TestUntrustedCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		cert, _ := selfSigned(t)
		g.server.ErrorLog = quiet
		c := secureClient(t, g, cert, Options{TLS: &tls.Config{RootCAs: x509.NewCertPool()}, WaitTimeout: time.Second})
		wantError(t, <-increment(t.Context(), c.Get("a", nil)), CodeClientUnreachable, RanNo)
		_, err := c.Create(t.Context(), "a", nil)
		if CodeOf(err) == "" {
			t.Error(err)
		}
	})
}

func TestTCP(t *testing.T) {
	g := newGateway(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	g.listen(l)
	c, err := New("http://"+l.Addr().String(), Options{})
	noError(t, err)
	defer func() { noError(t, c.Close()) }()
	done := increment(t.Context(), c.Get("a", nil))
	p := g.greet(nil)
	p.send(result(next1[*wire.ClientCall](p), 1))
	noError(t, <-done)
}

func TestGatewayThatIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.server.Handler = http.NotFoundHandler()
		c := g.client(Options{WaitTimeout: time.Second})
		wantError(t, <-increment(t.Context(), c.Get("a", nil)), CodeClientUnreachable, RanNo)
	})
}

func TestHandshakeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		release := make(chan struct{})
		g.server.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })
		c := g.client(Options{WaitTimeout: time.Second})
		begun := time.Now()
		wantError(t, <-increment(t.Context(), c.Get("a", nil)), CodeClientUnreachable, RanNo)
		if passed := time.Since(begun); passed != 10*time.Second {
			t.Errorf("gave up after %v", passed)
		}
		underWay := increment(t.Context(), c.Get("a", nil))
		synctest.Wait()
		noError(t, c.Close())
		wantError(t, <-underWay, CodeClientClosed, RanNo)
		close(release)
	})
}

// What is too long to be sent before the limits are known waits for them, also as an opening.
func TestLargeOpenWaitsForWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		conn := c.Get("a", nil).Connect(ConnectOptions{Params: make([]byte, maxEarly/2)})
		p := g.accept()
		next1[*clientv1alpha1.Hello](p)
		p.silent()
		p.send(&clientv1alpha1.Welcome{})
		p.accepts()
		noError(t, conn.Ready(t.Context()))
	})
}

func TestMeter(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() { _, _ = theirs.Read(make([]byte, 1<<20)); _ = theirs.Close() }()
	m := &meter{Conn: ours}
	huge := make([]byte, 14+1<<16)
	huge[0], huge[1] = 0x82, 0x80|127
	_, err := m.Write(huge)
	noError(t, err)
	if m.written != 1<<16 {
		t.Errorf("%d bytes of payload", m.written)
	}
	_, _ = m.Write([]byte{0x88, 0x80, 0, 0, 0, 0}) // a close frame is no batch
	if m.written != 1<<16 {
		t.Errorf("%d bytes of payload", m.written)
	}
}

func TestFifo(t *testing.T) {
	var q fifo[int]
	next := 0
	for i := range 5000 {
		q.push(i)
		if i%3 > 0 {
			if got := q.pop(); got != next {
				t.Fatalf("%d, want %d", got, next)
			}
			next++
		}
	}
	for ; q.len() > 0; next++ {
		if got := q.peek(); got != next || q.pop() != next {
			t.Fatalf("%d, want %d", got, next)
		}
	}
	if cap(q.items) > 4096 {
		t.Errorf("it kept %d places", cap(q.items))
	}
}
