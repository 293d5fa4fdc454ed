// Package client talks to a Stagedoor gateway: it calls the actions of actors, listens to their events, and creates and
// destroys actors.
//
// A Client has one session with the gateway, over one WebSocket, or one WebTransport session with a stream for each
// connection (Options.Transport), which its handles and connections share. It opens the socket when something needs it, and
// again when it was lost. Where the gateway allows it, the session then goes on: calls
// and events neither get lost nor come twice, calls wait, and connections only show StatusReconnecting meanwhile [SESS-15].
// When it cannot go on (the gateway keeps it for 30 s by default, and not across its own restart), connections open anew,
// which Connection.OnReset tells; a call that the gateway can have seen fails with session.lost and ran: maybe, any other
// waits for the next session. Over WebTransport a stream that was lost alone is resumed alone: only its connection notices
// [SESS-20]. The package never repeats a call that may have run, keeps nothing across processes, and
// follows no redirects.
//
// Clients, handles and connections are safe for concurrent use. Handles and connections need no closing for the sake of
// memory or goroutines once their Client is closed. Requirements: sections 1 to 6, 11 and 14 of spec/protocol.md.
package client

import (
	"context"
	"fmt"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

// version is told the gateway in Hello.
const version = "0.1.0"

// Client is a client of one gateway.
type Client struct {
	session    *session
	supervisor *supervisor
	http       *api
	cancel     context.CancelFunc
}

// New makes a Client for the gateway at endpoint: http(s):// or ws(s)://[namespace:token@]host[:port]. It does no I/O; a
// gateway that is not there shows at the first use.
func New(endpoint string, options Options) (*Client, error) {
	options = options.withDefaults()
	if options.Transport != WebSocket && options.Transport != WebTransport {
		return nil, fmt.Errorf("options: there is no transport %q", options.Transport)
	}
	e, err := parseEndpoint(endpoint, options)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := newSession(options, e.token, e.namespace)
	u := &udp{options, e}
	c := &Client{session: s, http: newAPI(ctx, options, e, u), cancel: cancel}
	c.supervisor = newSupervisor(ctx, s, func(ctx context.Context) (socket, error) {
		if options.Transport == WebTransport {
			return openWebTransport(ctx, s, e, u)
		}
		return openWebSocket(ctx, s, e)
	})
	return c, nil
}

// Close ends the session and all connections; what is under way fails with client.closed. Without socket the gateway cannot
// be told: it ends the session when it has waited for the client in vain. Close waits for the goroutines of the client, at
// most about a second, but not for event handlers that are running, and so may be called from them. A closed Client stays
// closed. It always returns nil; the error makes it an io.Closer.
func (c *Client) Close() error {
	c.session.close()
	c.cancel()
	c.supervisor.running.Wait()
	c.http.close()
	return nil
}

// Get is a handle for an existing actor; if it does not exist, its use fails with actor.not_found. No I/O.
func (c *Client) Get(actorType string, key []string) *Handle {
	return c.handle(byAddress(actorType, key, commonv1alpha1.Mode_MODE_GET, nil))
}

// GetOrCreate is a handle for an actor that is created, with WithInput's input, by the first use that does not find it. No
// I/O [LIFE-1].
func (c *Client) GetOrCreate(actorType string, key []string, options ...HandleOption) *Handle {
	return c.handle(byAddress(actorType, key, commonv1alpha1.Mode_MODE_GET_OR_CREATE, options))
}

// GetForID is a handle for the actor with this id; if it does not exist, or no more, its use fails with actor.not_found.
// No I/O.
func (c *Client) GetForID(id string) *Handle { return c.handle(byID(id)) }

// Create creates an actor, now, and returns a handle for its id: that of this very actor, also when its key is created
// again some day. If the key exists it fails with actor.duplicate_key, whose metadata is {"id": …} [LIFE-1]. Other errors:
// see Handle.Resolve.
func (c *Client) Create(ctx context.Context, actorType string, key []string, options ...HandleOption) (*Handle, error) {
	t := byAddress(actorType, key, commonv1alpha1.Mode_MODE_CREATE, options)
	id, err := c.http.create(ctx, t)
	if err != nil {
		return nil, err
	}
	return c.GetForID(id), nil
}

func (c *Client) handle(t *target) *Handle { return &Handle{client: c, target: t} }
