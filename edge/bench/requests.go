//go:build unix

package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
)

// mediaCBOR is the type of all bodies.
const mediaCBOR = "application/cbor"

// request is what one connection sends over and over.
type request struct {
	path         string
	body, answer []byte // answer is what has to come back
}

// requestCrowd calls actions by a request for each call; an actor for each connection.
func (s *site) requestCrowd(connections, inFlight int, d deed) (*crowd, error) {
	const args, output = "\xa1\x64args", "\xa1\x66output" // a map with one key, in CBOR
	return s.requesters(s.address, connections, inFlight, func(i int) request {
		return request{
			path: fmt.Sprintf("/v1/actors/%s:%s:%s/actions/%s", actorType, ownKey(i)[0], ownKey(i)[1], d.action),
			body: append([]byte(args), d.args...), answer: append([]byte(output), d.output...),
		}
	})
}

// requesters keeps so many requests of each connection under way. With HTTP/1.1 each of these has a socket. It counts none.
func (s *site) requesters(address string, connections, inFlight int, of func(i int) request) (*crowd, error) {
	clients, leave, err := s.httpClients(connections, inFlight)
	if err != nil {
		return nil, err
	}
	scheme := "https://"
	if s.options.Transport == HTTP1 {
		scheme = "http://"
	}
	requests := make([]request, connections)
	for i := range requests {
		requests[i] = of(i)
	}
	turn := func(ctx context.Context) (load.Result, error) {
		return load.Run(ctx, load.Open(s.options.Duration), connections*inFlight, func(ctx context.Context, worker int) error {
			i := worker / inFlight
			return requests[i].send(ctx, clients[i], scheme+address)
		}), nil
	}
	return &crowd{turn: turn, leave: leave}, nil
}

// httpClients are one for each connection.
func (s *site) httpClients(connections, inFlight int) (clients []*http.Client, leave func(), err error) {
	clients = make([]*http.Client, connections)
	if s.options.Transport == HTTP1 {
		shared := &http.Transport{MaxIdleConnsPerHost: connections * inFlight, DisableCompression: true}
		for i := range clients {
			clients[i] = &http.Client{Transport: shared}
		}
		return clients, shared.CloseIdleConnections, nil
	}
	through, err := s.overQUIC(connections)
	if err != nil {
		return nil, nil, err
	}
	own := make([]*http3.Transport, connections)
	for i := range clients {
		own[i] = &http3.Transport{
			DisableCompression: true,
			Dial: func(ctx context.Context, address string, _ *tls.Config, _ *quic.Config) (*quic.Conn, error) {
				return through.QUIC(ctx, address)
			},
		}
		clients[i] = &http.Client{Transport: own[i]}
	}
	return clients, func() {
		for _, t := range own {
			_ = t.Close() // nobody waits for an answer
		}
	}, nil
}

func (r *request) send(ctx context.Context, client *http.Client, server string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, server+r.path, bytes.NewReader(r.body))
	if err != nil {
		return err
	}
	q.Header["Content-Type"], q.Header["Accept"] = []string{mediaCBOR}, []string{mediaCBOR}
	response, err := client.Do(q)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("POST %s: %s: %s", r.path, response.Status, body)
	case !bytes.Equal(body, r.answer):
		return fmt.Errorf("POST %s: %d bytes came back that are not those of the answer", r.path, len(body))
	}
	return nil
}
