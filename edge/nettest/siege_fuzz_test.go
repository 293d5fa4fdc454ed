package nettest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/lxzan/gws"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// fuzzers say what chance makes of good messages, for as long as the siege has it.
var fuzzers = []attack{
	{"fuzz: bytes over TCP", func(s *siege) error { return s.fuzz(1, s.fuzzTCP) }},
	{"fuzz: HTTP/2", func(s *siege) error { return s.fuzz(2, s.fuzzHTTP2) }},
	{"fuzz: UDP packets", func(s *siege) error { return s.fuzz(3, s.fuzzUDP) }},
	{"fuzz: HTTP/3 streams", func(s *siege) error { return s.fuzz(4, s.fuzzHTTP3) }},
	{"fuzz: WebSocket", func(s *siege) error { return s.fuzz(5, s.fuzzWebSocket) }},
	{"fuzz: WebTransport streams and datagrams", func(s *siege) error { return s.fuzz(6, s.fuzzWebTransport) }},
	{"fuzz: capsules", func(s *siege) error { return s.fuzz(7, s.fuzzCapsules) }},
}

// fuzz has a new client again and again. A gateway that does not even let a client begin is at fault.
func (s *siege) fuzz(stream uint64, once func(context.Context, *rand.Rand) error) error {
	r := rand.New(rand.NewPCG(s.seed, stream)) //nolint:gosec // it can be played again
	ctx, cancel := context.WithTimeout(context.Background(), s.full)
	defer cancel()
	for n := 0; ctx.Err() == nil; n++ {
		if err := once(ctx, r); err != nil && ctx.Err() == nil {
			return fmt.Errorf("client %d: %w", n, err)
		}
	}
	return nil
}

// mutate makes something like b.
func mutate(r *rand.Rand, b []byte) []byte {
	b = slices.Clone(b)
	for range 1 + r.IntN(4) {
		at := r.IntN(len(b) + 1)
		switch r.IntN(5) {
		case 0:
			b = slices.Insert(b, at, random(r, 1+r.IntN(16))...)
		case 1:
			b = b[:at]
		case 2:
			b = append(b, b[at:]...)
		default:
			if at < len(b) {
				b[at] ^= 1 << r.IntN(8)
			}
		}
	}
	return b
}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// sample is a good frame of the client protocol.
func sample(r *rand.Rand) []byte {
	target := &commonv1alpha1.Address{Type: "tally", Key: []string{"fuzz"}}
	n := 1 + r.Uint64N(4)
	messages := []wire.Message{
		wire.Client(&clientv1alpha1.Hello{Features: []string{wire.FeatureClientResume, wire.FeatureClientUnreliable}}),
		wire.Client(&clientv1alpha1.ConnectionOpen{Connection: n, Target: target, Subscriptions: []string{"count"}}),
		wire.Client(&clientv1alpha1.ConnectionResume{Connection: n, Frames: r.Uint64N(3)}),
		wire.Client(&clientv1alpha1.ConnectionClose{Connection: n}),
		wire.Client(&clientv1alpha1.Subscribe{Id: 5, Connection: n, Events: []string{"count"}}),
		wire.Client(&clientv1alpha1.Ack{Received: []*clientv1alpha1.Received{{Connection: n, Frames: r.Uint64N(3)}}}),
		wire.Client(&clientv1alpha1.CancelCall{Id: n}),
		wire.Client(&commonv1alpha1.Ping{Nonce: 7}),
		&wire.ClientCall{ID: r.Uint64N(100), Connection: n, Action: []byte("add"), Args: []byte{0x81, 1}},
		&wire.ClientCall{ID: r.Uint64N(100), Action: []byte("add"), Args: []byte{0x81, 1}, Target: target},
	}
	frame := wire.AppendMessage(nil, messages[r.IntN(len(messages))])
	if r.IntN(3) == 0 {
		frame = mutate(r, frame)
	}
	return frame
}

func (s *siege) fuzzTCP(_ context.Context, r *rand.Rand) error {
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	templates := []string{
		"GET /v1/connect HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"POST /v1/actors/tally:fuzz/actions/add HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n{\"args\":[1]}",
		"POST /v1/actors/tally:fuzz/actions/add HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n{\"args\":[1]}\r\n0\r\n\r\n",
		"GET /v1/actors?type=tally HTTP/1.1\r\nHost: a\r\n\r\n", h2Preface, clientHello(),
	}
	_, _ = conn.Write(mutate(r, []byte(templates[r.IntN(len(templates))])))
	return briefly(conn)
}

// briefly reads for a moment what the other side has to say.
func briefly(conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, conn)
	return nil
}

func (s *siege) fuzzHTTP2(_ context.Context, r *rand.Rand) error {
	conn, err := tls.Dial("tcp", s.address, trust("h2"))
	if err != nil {
		return err
	}
	defer conn.Close()
	c := &h2Client{conn: conn}
	if _, err = io.WriteString(conn, h2Preface); err != nil {
		return err
	}
	_ = c.write(h2Settings, 0, 0, nil)
	for id := uint32(1); id < 60 && err == nil; id += 2 {
		payload := h2Block("POST", "/v1/actors/tally:fuzz/actions/add")
		if r.IntN(3) == 0 {
			payload = mutate(r, payload)
		}
		kind := []byte{h2Data, h2Headers, h2Headers, h2Headers, 2, h2Reset, h2Settings, 5, h2Ping, h2GoAway, 8, h2Continuation, 99}[r.IntN(13)]
		err = c.write(kind, byte(r.Uint32()), id>>r.IntN(3), payload)
	}
	return briefly(conn)
}

func (s *siege) fuzzUDP(_ context.Context, r *rand.Rand) error {
	conn, err := net.Dial("udp", s.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	for range 100 {
		packet := random(r, 1+r.IntN(1400))
		if r.IntN(2) == 0 { // an Initial of version 1
			packet = append([]byte{0xc0 | byte(r.IntN(64)), 0, 0, 0, 1, 8}, random(r, 1194)...)
		}
		_, _ = conn.Write(packet)
	}
	return briefly(conn)
}

func (s *siege) fuzzHTTP3(ctx context.Context, r *rand.Rand) error {
	return s.overHTTP3(func(c *http3.ClientConn) error {
		for range 50 {
			stream, err := c.OpenRequestStream(ctx)
			if err != nil {
				return nil //nolint:nilerr // the gateway has parted with us
			}
			request := &http.Request{Method: http.MethodPost, Host: "a", URL: &url.URL{Scheme: "https", Host: "a", Path: "/v1/actors/tally:fuzz/actions/add"}, Header: http.Header{}}
			if stream.SendRequestHeader(request) != nil {
				return nil
			}
			_, _ = stream.Write(mutate(r, []byte(`{"args":[1]}`)))
			if r.IntN(2) == 0 {
				_ = stream.Close()
			} else {
				stream.CancelWrite(0)
			}
			stream.CancelRead(0)
		}
		return nil
	})
}

func (s *siege) fuzzWebSocket(_ context.Context, r *rand.Rand) error {
	return s.overWebSocket(func(w *webSocket, _ <-chan any) error {
		for range 30 {
			message := sample(r)
			if r.IntN(10) > 0 {
				if w.conn.WriteMessage(gws.OpcodeBinary, message) != nil {
					return nil
				}
				continue
			}
			if _, err := w.conn.NetConn().Write(mutate(r, append([]byte{0x82, 0x80 | 20}, random(r, 24)...))); err != nil {
				return nil //nolint:nilerr // the gateway has parted with us
			}
		}
		return nil
	}, &clientv1alpha1.Hello{Features: []string{wire.FeatureClientResume}})
}

func (s *siege) fuzzWebTransport(_ context.Context, r *rand.Rand) error {
	var first *clientv1alpha1.Hello
	if r.IntN(4) > 0 {
		first = &clientv1alpha1.Hello{Features: []string{wire.FeatureClientResume, wire.FeatureClientUnreliable}}
	}
	return s.overWebTransport(func(w *webTransport, _ <-chan any) error {
		for range 30 {
			stream, err := w.session.OpenStream()
			if err != nil {
				return nil //nolint:nilerr // the gateway has parted with us
			}
			for range r.IntN(6) {
				if _, err := stream.Write(sample(r)); err != nil {
					break
				}
			}
			switch r.IntN(4) {
			case 0:
				_ = stream.Close()
			case 1:
				stream.CancelWrite(1)
				stream.CancelRead(1)
			}
			if w.session.SendDatagram(mutate(r, sample(r))) != nil {
				return nil
			}
		}
		return nil
	}, first)
}

func (s *siege) fuzzCapsules(ctx context.Context, r *rand.Rand) error {
	return s.overHTTP3(func(c *http3.ClientConn) error {
		select {
		case <-c.ReceivedSettings():
		case <-ctx.Done():
			return nil
		}
		stream, err := c.OpenRequestStream(ctx)
		if err != nil {
			return err
		}
		request := &http.Request{
			Method: http.MethodConnect, Proto: "webtransport", Host: s.address, URL: &url.URL{Scheme: "https", Host: s.address, Path: "/v1/connect"},
			Header: http.Header{"Wt-Available-Protocols": {`"` + wire.SubprotocolClientProto + `"`}},
		}
		if err := stream.SendRequestHeader(request); err != nil {
			return err
		}
		response, err := stream.ReadResponse()
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		for range 20 {
			if _, err := stream.Write(capsule(r)); err != nil {
				break
			}
			if stream.SendDatagram(random(r, r.IntN(1000))) != nil {
				break
			}
		}
		if r.IntN(2) == 0 {
			_ = stream.Close()
		}
		return nil
	})
}

// capsule is one of those that WebTransport knows, or another, and in one of ten cases a part of one that is very long.
func capsule(r *rand.Rand) []byte {
	kinds := []uint64{0, 0x2843, 0x78ae, 0x190b4d3d, 0x190b4d3e, 0x190b4d3f, 0x190b4d40, 0x190b4d41, 0x190b4d42, 0x190b4d43, 0x190b4d44, r.Uint64N(1 << 60)}
	kind := kinds[r.IntN(len(kinds))]
	if r.IntN(2) == 0 { // those known end most sessions soon
		kind = 0x41 + r.Uint64N(1<<20)
	}
	value := random(r, r.IntN(2000))
	length := uint64(len(value))
	if r.IntN(10) == 0 {
		length = r.Uint64N(1 << 40)
	}
	return append(quicvarint.Append(quicvarint.Append(nil, kind), length), value...)
}
