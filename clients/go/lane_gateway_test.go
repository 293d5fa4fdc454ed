package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/testutils/simnet"

	"github.com/stagedoor-dev/stagedoor/edge/serve"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
)

// fixedCertificate is a serve.Certificates.
type fixedCertificate struct{ cert *tls.Certificate }

func (c fixedCertificate) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.cert, nil
}

// serveLanes has the gateway served over HTTP/3, on a network in memory that loses one in so many packets; 0: none. It gives
// options for clients.
func serveLanes(t *testing.T, inner *gatewaytest.Gateway, l *ledgerPlay, lossy int) Options {
	router := &losing{l: l, oneIn: lossy}
	g := &laneGateway{t: t, network: &simnet.Simnet{Router: router}}
	g.cert, _ = selfSigned(t)
	theirs := g.join(t)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var serving sync.WaitGroup
	serving.Go(func() {
		noError(t, serve.Run(ctx, inner, serve.Options{
			HTTP:         &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})},
			Certificates: fixedCertificate{&g.cert}, QUIC: theirs, SessionStreams: 100,
			DrainTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
		}))
	})
	t.Cleanup(func() {
		stop()
		serving.Wait()
		g.leave()
	})
	o := g.options(Options{Backoff: Backoff{Min: time.Millisecond, Max: time.Second}})
	dial := o.DialQUIC
	o.DialQUIC = func(ctx context.Context, a string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
		l.dials.Add(1)
		return dial(ctx, a, t, q)
	}
	return o
}

// losing is a router that loses packets by chance.
type losing struct {
	simnet.PerfectRouter

	l     *ledgerPlay
	oneIn int
}

func (r *losing) SendPacket(p simnet.Packet) error {
	if r.oneIn > 0 && r.l.random(r.oneIn) == 0 {
		return nil
	}
	return r.PerfectRouter.SendPacket(p)
}

// Clients of a real gateway over WebTransport, whose sockets break, whose streams are reset, and whose packets get lost, by
// chance. [SESS-12] [SESS-14] [SESS-15] [SESS-20].
func TestRealGatewayOverLanes(t *testing.T) {
	schedules := uint64(3)
	if os.Getenv("STAGEDOOR_SOAK") != "" {
		schedules = 300
	}
	for seed := range schedules {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLedgerPlay(t, seed)
				o := serveLanes(t, ledgerWorld(t), l, 20)
				l.play(func(int) *Client {
					c := must(New("https://gateway", o))
					l.disturb(c)
					return c
				})
			})
		})
	}
}

// disturb breaks the client's sockets and lanes until the test ends.
func (l *ledgerPlay) disturb(c *Client) {
	open := c.supervisor.open
	c.supervisor.open = func(ctx context.Context) (socket, error) {
		k, err := open(ctx)
		if w, ok := k.(*webTransport); ok && err == nil {
			w.ended.Go(func() { l.harass(w) })
		}
		return k, err
	}
}

// harass resets lanes of a socket, and then breaks it.
func (l *ledgerPlay) harass(w *webTransport) {
	for range 1 + l.random(4) {
		select {
		case <-w.lost:
			return
		case <-time.After(time.Duration(50+l.random(200)) * time.Millisecond):
		}
		w.session.mu.Lock()
		for number, ch := range w.session.channels {
			if stream := ch.lane; stream != nil && stream.stream != nil && number != 0 {
				stream.stream.CancelRead(1)
				stream.stream.CancelWrite(1)
			}
		}
		w.session.mu.Unlock()
	}
	w.hangUp()
}
