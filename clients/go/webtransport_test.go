package client

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// overLanes runs a test against a gateway that speaks WebTransport.
func overLanes(t *testing.T, test func(t *testing.T, g *laneGateway)) {
	synctest.Test(t, func(t *testing.T) { test(t, newLaneGateway(t)) })
}

// attachedByLane is attached over WebTransport.
func attachedByLane(t *testing.T, g *laneGateway, setup func(*Connection)) (c *Client, conn *Connection, w *lanePeer, zero, one *peer) {
	t.Helper()
	c = g.client()
	conn = c.Get("room", nil).Connect(ConnectOptions{Setup: setup})
	w, zero = g.grants()
	one = w.lane(1)
	one.accepts()
	noError(t, conn.Ready(t.Context()))
	return c, conn, w, zero, one
}

// Each connection has a stream, and so has what is about none. [SESS-19].
func TestLaneForEachConnection(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		var d diary
		c, conn, w, zero, one := attachedByLane(t, g, d.hear)
		onConn, free := increment(t.Context(), conn), increment(t.Context(), c.Get("a", nil))
		call := next1[*wire.ClientCall](one)
		one.send(event(1, "n", 1), result(call, 1))
		zero.send(result(next1[*wire.ClientCall](zero), 2))
		noError(t, <-onConn)
		noError(t, <-free)
		w.noLane()
		d.want(t, "connected", "1")
	})
}

// Streams have no order among themselves: an actor may accept before Welcome has come.
func TestOpenedBeforeWelcome(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		c := g.client()
		conn := c.Get("room", nil).Connect(ConnectOptions{})
		w := <-g.peers
		zero, one := w.lane(0), w.lane(1)
		next1[*clientv1alpha1.Hello](zero)
		one.accepts()
		noError(t, conn.Ready(t.Context()))
		done := increment(t.Context(), conn)
		call := next1[*wire.ClientCall](one)
		zero.noAck()
		zero.send(grant("t1"))
		zero.wantAck(0, 0, 1, 1)
		one.send(result(call, 1))
		noError(t, <-done)
	})
}

// A connection that has ended: the client closes its side of the stream, too. What the gateway says of it on channel 0 may
// come first. [SESS-12] [SESS-20].
func TestEndOfALane(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		_, conn, _, zero, one := attachedByLane(t, g, nil)
		crossed := increment(t.Context(), conn)
		call := next1[*wire.ClientCall](one)
		call.Connection = 0
		zero.send(&clientv1alpha1.Ack{Received: counts(1, 2)}, failure(call, wire.ConnectionClosed.New().With(wire.RanNo)))
		wantError(t, <-crossed, CodeConnectionClosed, RanNo)
		one.send(closedBy(1, wire.ConnectionDisconnected, never))
		noError(t, one.stream.Close())
		if rest := one.ended(); len(rest) > 0 {
			t.Errorf("the stream ended with %v", rest)
		}
		wantError(t, conn.Ready(t.Context()), CodeConnectionDisconnected, RanNo)
		zero.wantAck(0, 1, 1, 2)
	})
}

func TestLeavingByLane(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		c, conn, _, zero, one := attachedByLane(t, g, nil)
		conn.Close()
		next1[*clientv1alpha1.ConnectionClose](one)
		one.send(&clientv1alpha1.ConnectionClosed{Connection: 1})
		noError(t, one.stream.Close())
		if rest := one.ended(); len(rest) > 0 {
			t.Errorf("the stream ended with %v", rest)
		}
		zero.wantAck(1, 2)
		if n := len(c.session.channels); n != 0 {
			t.Errorf("%d channels are left", n)
		}
	})
}

// A stream that the gateway does not read holds up no other one.
func TestSlowLane(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		c, conn, w, _, one := attachedByLane(t, g, nil)
		other := c.Get("room", []string{"2"}).Connect(ConnectOptions{})
		two := w.lane(2)
		two.accepts()
		resume := one.stopReading()
		var calls []<-chan error
		for range 20 {
			calls = append(calls, background(func() error { return conn.Call(t.Context(), "f", nil, make([]byte, 100<<10)) }))
		}
		one.settle()
		done := increment(t.Context(), other)
		two.send(result(next1[*wire.ClientCall](two), 1))
		noError(t, <-done)
		resume()
		for range calls {
			one.send(result(next1[*wire.ClientCall](one), 1))
		}
		for _, call := range calls {
			noError(t, <-call)
		}
	})
}

func TestLargeResult(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		_, conn, _, _, one := attachedByLane(t, g, nil)
		for _, size := range []int{idleBuffer, busyBuffer, 3 << 20, 1} {
			sizes := make(chan int, 1)
			done := background(func() error {
				got, err := Call[[]byte](t.Context(), conn, "f")
				sizes <- len(got)
				return err
			})
			one.send(result(next1[*wire.ClientCall](one), make([]byte, size)))
			noError(t, <-done)
			if got := <-sizes; got != size {
				t.Errorf("%d bytes, want %d", got, size)
			}
		}
	})
}

// What the gateway must not send costs the session.
func TestUnusableFramesOnALane(t *testing.T) {
	cases := map[string]func(zero, one *peer){
		"length 0":               func(_, one *peer) { _, _ = one.stream.Write([]byte{0, 0, 0, 0}) },
		"too long":               func(_, one *peer) { _, _ = one.stream.Write([]byte{0xff, 0, 0, 9, 1}) },
		"no kind":                func(_, one *peer) { _, _ = one.stream.Write([]byte{0, 0, 0, 2, 8, 1}) },
		"another connection":     func(_, one *peer) { one.send(event(2, "n")) },
		"a connection on 0":      func(zero, _ *peer) { zero.send(&clientv1alpha1.ConnectionClosed{Connection: 1}) },
		"an Ack":                 func(_, one *peer) { one.send(&clientv1alpha1.Ack{}) },
		"behind the end":         func(_, one *peer) { one.send(closedBy(1, wire.ConnectionClosed, never), event(1, "n")) },
		"resumed without asking": func(_, one *peer) { one.send(&clientv1alpha1.ConnectionResumed{Connection: 1, Frames: 1}) },
	}
	for name, send := range cases {
		t.Run(name, func(t *testing.T) {
			overLanes(t, func(t *testing.T, g *laneGateway) {
				_, _, _, zero, one := attachedByLane(t, g, nil)
				send(zero, one)
				if bye := next1[*commonv1alpha1.Goodbye](zero); bye.GetCode() != CodeRequestInvalidFrame {
					t.Errorf("%v", bye)
				}
			})
		})
	}
}

// Client.Close says Goodbye, and waits a little until the gateway has read it. [FRAME-6].
func TestClosingWithLanes(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		c, _, w, zero, _ := attachedByLane(t, g, nil)
		begun := time.Now()
		closed := background(c.Close)
		if bye := next1[*commonv1alpha1.Goodbye](zero); bye.GetCode() != CodeConnectionClosed {
			t.Errorf("%v", bye)
		}
		if rest := zero.ended(); len(rest) > 0 {
			t.Errorf("the stream ended with %v", rest)
		}
		noError(t, w.session.CloseWithError(1000, CodeConnectionClosed))
		noError(t, <-closed)
		if passed := time.Since(begun); passed >= partingTime {
			t.Errorf("it took %v", passed)
		}
	})
}

// A Reject that is lost with its stream is known by the reason of the close. [SESS-22].
func TestRejectedByReason(t *testing.T) {
	for _, said := range []bool{true, false} {
		overLanes(t, func(t *testing.T, g *laneGateway) {
			c := g.client()
			call := increment(t.Context(), c.Get("a", nil))
			w := <-g.peers
			zero := w.lane(0)
			next1[*clientv1alpha1.Hello](zero)
			if said {
				zero.send(&clientv1alpha1.Reject{Error: wire.AuthUnauthenticated.New().Proto()})
			} else {
				noError(t, w.session.CloseWithError(4000, CodeAuthUnauthenticated))
			}
			wantError(t, <-call, CodeAuthUnauthenticated, RanNo)
		})
	}
}

// What is no gateway, one that speaks something else, and one that does not answer.
func TestNoWebTransport(t *testing.T) {
	for name, prepare := range map[string]func(*laneGateway){
		"refused":        func(g *laneGateway) { g.refuse = http.NotFound },
		"no subprotocol": func(g *laneGateway) { g.server.ApplicationProtocols = nil },
		"no answer":      func(g *laneGateway) { g.refuse = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() } },
	} {
		t.Run(name, func(t *testing.T) {
			overLanes(t, func(t *testing.T, g *laneGateway) {
				prepare(g)
				c := must(New("https://gateway", g.options(Options{WaitTimeout: time.Second})))
				defer func() { noError(t, c.Close()) }()
				wantError(t, <-increment(t.Context(), c.Get("a", nil)), CodeClientUnreachable, RanNo)
			})
		})
	}
}

func TestHTTP3(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		g.handler = func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 3 {
				t.Errorf("the request came by %s", r.Proto)
			}
			reply(w, 201, actorBody("id-1"))
		}
		h, err := g.client().Create(t.Context(), "room", nil)
		noError(t, err)
		if h.target.id != "id-1" {
			t.Errorf("created %q", h.target.id)
		}
	})
}

func TestCertificateHash(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		o := g.options(Options{WaitTimeout: time.Second})
		o.CertificateHashes[0][0]++
		c := must(New("https://gateway", o))
		defer func() { noError(t, c.Close()) }()
		wantError(t, <-increment(t.Context(), c.Get("a", nil)), CodeClientUnreachable, RanNo)
		_, err := c.Create(t.Context(), "a", nil)
		wantError(t, err, CodeClientUnreachable, RanNo)
	})
}

func TestWhatIsTrustedForItsHash(t *testing.T) {
	cert, _ := selfSigned(t)
	c := must(x509.ParseCertificate(cert.Certificate[0]))
	sum := sha256.Sum256(c.Raw)
	hashes := [][]byte{make([]byte, 32), sum[:]}
	long := *c
	long.NotAfter = c.NotBefore.Add(maxHashedValidity + time.Second)
	other := *c
	other.PublicKey = "of RSA"
	for name, fault := range map[string]error{
		"another":   verifyHash(c, hashes[:1], time.Now()),
		"not yet":   verifyHash(c, hashes, c.NotBefore.Add(-time.Second)),
		"no more":   verifyHash(c, hashes, c.NotAfter.Add(time.Second)),
		"too long":  verifyHash(&long, hashes, time.Now()),
		"other key": verifyHash(&other, hashes, time.Now()),
	} {
		if !errors.Is(fault, errCertificate) {
			t.Errorf("%s: %v", name, fault)
		}
	}
	noError(t, verifyHash(c, hashes, time.Now()))
	refused := errors.New("refused")
	config := tlsConfig(Options{TLS: &tls.Config{VerifyConnection: func(tls.ConnectionState) error { return refused }}}, endpoint{}, hashes)
	if err := config.VerifyConnection(tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}); !errors.Is(err, refused) {
		t.Error(err)
	}
	if err := config.VerifyConnection(tls.ConnectionState{}); !errors.Is(err, errCertificate) {
		t.Error(err)
	}
}

func TestUnknownTransport(t *testing.T) {
	if _, err := New("https://gateway", Options{Transport: "pigeon"}); err == nil {
		t.Error("taken")
	}
}
