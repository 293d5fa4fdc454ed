package runner

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// DefaultEndpoint is where a gateway listens that was not told otherwise.
const DefaultEndpoint = "ws://127.0.0.1:6420"

// DefaultDrainTimeout is how long Serve waits for its actors to stop.
const DefaultDrainTimeout = 30 * time.Second

// sdkVersion is what Hello names.
const sdkVersion = "0.1.0"

// Config says where the gateway is and who this runner is. The zero value is a runner of the local gateway.
type Config struct {
	// Endpoint is the gateway: ws://, wss:// (http:// and https:// are the same; /runner/v1alpha1 is added if there is no
	// path), tcp://host:port, tls://host:port or unix:///path. Default: DefaultEndpoint.
	Endpoint string
	// Token authenticates the runner.
	Token string
	// Pool groups runners; Instance names this process within it, and a second link of the same name replaces the first
	// [LINK-6]. Defaults: the gateway's pool; host name, process id and randomness.
	Pool, Instance string
	// Version is that of the user's code: runners of the highest take new actors [LINK-12].
	Version uint64
	// Region is where the runner is.
	Region string
	// Labels are for display.
	Labels map[string]string
	// Logger takes the runner's and the actors' log. Default: slog.Default.
	Logger *slog.Logger
	// DrainTimeout bounds the wait for actors to stop when Serve's context ends. Default: DefaultDrainTimeout.
	DrainTimeout time.Duration
	// TLS configures wss, https and tls endpoints. Default: the system's roots.
	TLS *tls.Config
	// Dial makes the connection instead of the network: for tests and proxies. The endpoint still says what is spoken
	// over it.
	Dial func(ctx context.Context) (net.Conn, error)
}

// Runner hosts actors of the types it was made with. New makes it.
type Runner struct {
	config  Config
	at      endpoint
	defs    map[string]*definition
	log     *slog.Logger
	serving atomic.Bool
	backoff backoff
}

// New makes a runner. Errors: a malformed endpoint, no type, two types of one name.
func New(config Config, types ...Definition) (*Runner, error) {
	if config.Endpoint == "" {
		config.Endpoint = DefaultEndpoint
	}
	if config.DrainTimeout <= 0 {
		config.DrainTimeout = DefaultDrainTimeout
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Instance == "" {
		host, _ := os.Hostname()
		config.Instance = fmt.Sprintf("%s-%d-%s", clip(host, 64), os.Getpid(), rand.Text()[:8])
	}
	at, err := parseEndpoint(config.Endpoint)
	if err != nil {
		return nil, err
	}
	r := &Runner{config: config, at: at, defs: map[string]*definition{}, log: config.Logger, backoff: defaultBackoff()}
	for _, t := range types {
		def := t.definition()
		if r.defs[def.name] != nil {
			return nil, fmt.Errorf("two actor types are called %q", def.name)
		}
		r.defs[def.name] = def
	}
	if len(r.defs) == 0 {
		return nil, errors.New("a runner needs an actor type")
	}
	return r, nil
}

// Serve connects to the gateway and hosts actors until ctx ends: then the actors are put to sleep or moved, within
// Config.DrainTimeout, and Serve returns nil. A lost link is made again, at once if actors wait for it, then after growing,
// random pauses [LINK-11]; actors go on meanwhile, as long as the gateway has leased them to this runner, and do not notice
// where session or actors can be taken up again [LINK-16] [LEASE-4]. Serve returns an *Error when the gateway will not have
// this runner: a reject or goodbye that is final [LINK-5].
func (r *Runner) Serve(ctx context.Context) error {
	if r.serving.Swap(true) {
		return errors.New("runner: Serve is running already")
	}
	defer r.serving.Store(false)
	h := newHosting(ctx, r)
	defer h.end()
	return h.serve(ctx)
}
