package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Config says where the store is and what it has to promise. Only URL is needed.
type Config struct {
	URL    string // parseURL says what it may be
	Prefix string // of all keys; default: that of the URL, or "stagedoor:"
	// DataDir keeps which store the URL led to, so that an emptied or exchanged one is noticed. Empty: it is not.
	DataDir string
	// AcceptDataLoss opens an emptied or exchanged store all the same, once; DataDir remembers the new one.
	AcceptDataLoss bool
	// Existing refuses servers without a store of the prefix, with store.ErrNothing, and makes none.
	Existing bool
	// Importing opens a store whose import was not finished, to begin it anew; else such a one is refused with
	// store.ErrHalfCopied.
	Importing bool
	Require   []store.Durability // classes without which Open fails with ErrClass
	Limits    store.Limits       // zero: store.DefaultLimits
	Logger    *slog.Logger       // nil: nothing is logged
}

const defaultPrefix = "stagedoor:"

func (c Config) withDefaults() Config {
	if c.Limits == (store.Limits{}) {
		c.Limits = store.DefaultLimits()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Open connects to the servers and checks that they may be trusted with the data: guard.go and facts.go have the errors
// for those that may not. It fails if they cannot be reached; once open, the store outlives their absence.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	c, err := connect(ctx, cfg, library{libraryName, librarySource, refusals})
	if err != nil {
		return nil, err
	}
	return open(c, c.cfg.Prefix, cfg.Limits, nil), nil
}

// library is what runs in the servers.
type library struct {
	name, source string
	refusals     map[string]error // by code
}

// client is the caller of a real store.
type client struct {
	cfg      Config
	library  library
	surveyor *surveyor
	lanes    []*lane
	promised classes // by all masters, when the store was opened

	stop    context.CancelFunc // of the surveyor's goroutine
	stopped chan struct{}

	// closing is held for reading by every call.
	closing sync.RWMutex
	closed  bool
}

func connect(ctx context.Context, cfg Config, l library) (*client, error) {
	e, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	cfg.Prefix = cmp.Or(cfg.Prefix, e.prefix, defaultPrefix)
	c := &client{cfg: cfg, library: l, surveyor: newSurveyor(e), stopped: make(chan struct{})}
	c.surveyor.log = c.logNode
	if err := c.begin(ctx); err != nil {
		c.surveyor.close()
		return nil, fmt.Errorf("open store %s: %w", redact(cfg.URL), err)
	}
	run, stop := context.WithCancel(context.Background())
	c.stop = stop
	go func() {
		defer close(c.stopped)
		c.surveyor.run(run)
	}()
	c.startLanes()
	return c, nil
}

// begin looks at the servers without changing anything, then makes the store ours, then checks its promises.
func (c *client) begin(ctx context.Context) error {
	s := c.surveyor
	if err := s.tellCluster(ctx); err != nil {
		return err
	}
	s.inspect = func(context.Context, *node, *topology) error { return nil }
	if err := s.survey(ctx); err != nil {
		return err
	}
	g := &guard{client: c, prefix: c.cfg.Prefix, file: guardFile(c.cfg.DataDir, s.e.identity(c.cfg.Prefix))}
	if err := g.enter(ctx); err != nil {
		return err
	}
	s.inspect = func(ctx context.Context, n *node, t *topology) error {
		return errors.Join(g.inspect(ctx, n, t), c.library.load(ctx, n))
	}
	if err := s.survey(ctx); err != nil {
		return err
	}
	c.judge()
	for _, d := range c.cfg.Require {
		if int(d) >= len(c.promised) {
			return fmt.Errorf("durability class %d: %w", d, ErrClass)
		}
		if err := c.promised[d].err; err != nil {
			return err
		}
	}
	return nil
}

// judge keeps what every master promises.
func (c *client) judge() {
	for _, n := range c.surveyor.topology.Load().masters {
		for d, p := range n.health.Load().classes {
			if p.err != nil && c.promised[d].err == nil {
				c.promised[d].err = &downError{n.addr, p.err}
			}
		}
	}
}

// supports reports the promises of the beginning: whoever was promised a class and cannot get it now is to wait.
func (c *client) supports(d store.Durability) bool {
	return int(d) < len(c.promised) && c.promised[d].err == nil
}

func (c *client) logNode(n *node, err error) {
	if err != nil {
		c.cfg.Logger.Error("redis is away", "server", n.addr, "cause", err)
		return
	}
	c.cfg.Logger.Info("redis is back", "server", n.addr)
}

// close answers what was begun: what the servers do not answer in time stays unknown.
func (c *client) close() error {
	for _, l := range c.lanes {
		l.stop()
	}
	c.closing.Lock()
	defer c.closing.Unlock()
	if c.closed {
		return store.ErrClosed
	}
	c.closed = true
	c.stop()
	<-c.stopped
	c.surveyor.close()
	return nil
}

// load makes sure that a master has the library.
func (l *library) load(ctx context.Context, n *node) error {
	b := n.client.B()
	found, err := n.client.Do(ctx, b.FunctionList().Libraryname(l.name).Build()).ToArray()
	if err != nil {
		return fmt.Errorf("list functions: %w", err)
	}
	if len(found) > 0 {
		return nil
	}
	err = n.client.Do(ctx, b.FunctionLoad().FunctionCode(l.source).Build()).Error()
	if reply, ok := rueidis.IsRedisErr(err); ok && reply.Error() == "Library '"+l.name+"' already exists" {
		return nil // Another gateway was faster.
	}
	if err != nil {
		return fmt.Errorf("load functions: %w", err)
	}
	return nil
}

// tellCluster finds out whether the servers form a Cluster.
func (s *surveyor) tellCluster(ctx context.Context) error {
	if s.e.master != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(len(s.e.seeds))*checkTime)
	defer cancel()
	var failures []error
	for _, addr := range s.e.seeds {
		f, err := look(ctx, s.node(addr))
		if err != nil && strings.Contains(err.Error(), "SELECT is not allowed in cluster mode") {
			return errClusterDB
		}
		if err != nil {
			failures = append(failures, &downError{addr, err})
			continue
		}
		s.clustered = f.info["cluster_enabled"] == "1"
		switch {
		case s.clustered && s.e.cluster == "false":
			return fmt.Errorf("%s belongs to a Cluster; leave out cluster=false", addr)
		case !s.clustered && s.e.cluster == "true":
			return fmt.Errorf("%s does not belong to a Cluster; leave out cluster=true, or set cluster-enabled yes", addr)
		}
		return nil
	}
	return errors.Join(failures...)
}
