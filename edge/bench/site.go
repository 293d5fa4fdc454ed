//go:build unix

package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench/bare"
	"github.com/stagedoor-dev/stagedoor/edge/bench/stores"
	"github.com/stagedoor-dev/stagedoor/edge/bench/tunnel"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// ProcessCommand are the arguments under which the program plays a role: Serve with what follows them.
var ProcessCommand = []string{"bench", "process"}

// The roles that host the bench actors: durable on disk, or in class fast, which every Redis can give that keeps a log. All
// others are those of the packages bare and stores.
const (
	roleRunner     = "runner"
	roleFastRunner = "runner-fast"
)

// Serve plays a role in a process that Run has started, until ctx ends. where is what the role depends on, ready is told
// where it listens.
func Serve(ctx context.Context, role, where string, ready func(address string) error) error {
	switch {
	case role == roleRunner:
		return serveActors(ctx, where, runner.Disk)
	case role == roleFastRunner:
		return serveActors(ctx, where, runner.Fast)
	case stores.Has(role):
		return stores.Serve(ctx, role, where, ready)
	}
	return bare.Serve(ctx, role, where, ready)
}

// site is the processes of one scenario, their directory and our clients.
type site struct {
	options Options
	ctx     context.Context // ends when a process does that we have not stopped
	fail    context.CancelCauseFunc
	dir     string
	prefix  string // of our keys in a Redis; options.store names it

	gateway, runner *process
	address         string // of the gateway
	http            *http.Client

	others   []*process
	through  *tunnel.Dialer // nil: nothing goes over QUIC
	clients  []*client.Client
	watching sync.WaitGroup
}

// openSite starts a gateway and a runner, and returns when an action can be called.
func openSite(ctx context.Context, o Options) (*site, error) {
	s, err := newSite(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// newSite has no processes yet.
func newSite(ctx context.Context, o Options) (*site, error) {
	dir, err := os.MkdirTemp(o.Dir, "stagedoor-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the data: %w", err)
	}
	s := &site{options: o, dir: dir, http: &http.Client{Transport: &http.Transport{}}}
	s.ctx, s.fail = context.WithCancelCause(ctx)
	if isRedis(o.store) {
		s.options.store, s.prefix = ownStore(o.store)
	}
	return s, nil
}

func (s *site) open() (err error) {
	gateway := []string{s.mode(), "--insecure", "--listen", "127.0.0.1:0", "--data", filepath.Join(s.dir, "gateway"), "--drain-timeout", "1s"}
	if isRedis(s.options.store) {
		gateway = append(gateway, "--store", s.options.store)
	}
	gateway = append(gateway, s.options.flags...)
	s.gateway, err = s.start("gateway", s.profiled("gateway", gateway...)...)
	if err != nil {
		return err
	}
	if s.address, err = s.gateway.address(s.ctx); err != nil {
		return err
	}
	if s.runner, err = s.startRunner("http://" + s.address); err != nil {
		return err
	}
	return s.awaitRunner()
}

// mode is the command that is the gateway: in development it has a certificate, without which there is no QUIC, and speaks plain
// text over TCP all the same.
func (s *site) mode() string {
	if s.options.quic {
		return "dev"
	}
	return "gateway"
}

// overQUIC is what clients go to a QUIC server through. It is made once, for so many connections.
func (s *site) overQUIC(connections int) (*tunnel.Dialer, error) {
	var err error
	if s.through == nil {
		s.through, err = tunnel.New(connections)
	}
	return s.through, err
}

func (s *site) startRunner(endpoint string) (*process, error) {
	if js := s.options.js; js != nil {
		return s.startCommand("runner", js.command(s.options.profileOf("runner"), "runner.mjs", endpoint)...)
	}
	role := roleRunner
	if isRedis(s.options.store) {
		role = roleFastRunner
	}
	return s.start("runner", s.profiled("runner", append(append([]string{}, ProcessCommand...), role, endpoint)...)...)
}

// profiled adds the flag that makes a process write a profile.
func (s *site) profiled(name string, args ...string) []string {
	if file := s.options.profileOf(name); file != "" {
		return append(args, "--cpuprofile", file)
	}
	return args
}

// start starts the program as a process of the site.
func (s *site) start(name string, args ...string) (*process, error) {
	return s.startCommand(name, append([]string{s.options.Program}, args...)...)
}

// startCommand starts a process whose end, unless it is ours, ends the site's context.
func (s *site) startCommand(name string, command ...string) (*process, error) {
	p, err := startProcess(name, command...)
	if err != nil {
		return nil, err
	}
	s.watching.Go(func() {
		<-p.Ended()
		s.fail(p.failure()) // the first cause counts
	})
	return p, nil
}

// play starts a baseline and returns its address.
func (s *site) play(role, where string) (*process, string, error) {
	return s.playCommand("bare "+role, append(append([]string{s.options.Program}, ProcessCommand...), role, where)...)
}

// playCommand starts a process that says where it listens.
func (s *site) playCommand(name string, command ...string) (*process, string, error) {
	p, err := s.startCommand(name, command...)
	if err != nil {
		return nil, "", err
	}
	s.others = append(s.others, p)
	address, err := p.address(s.ctx)
	return p, address, err
}

// retryEvery is the pause between looks at something that is not there yet.
const retryEvery = 10 * time.Millisecond

// pause waits for a moment, or fails with the context's cause.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaitRunner calls an action until it succeeds.
func (s *site) awaitRunner() error {
	c, err := s.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, startWait)
	defer cancel()
	for {
		err := c.GetOrCreate(actorType, []string{"first"}).Call(ctx, "echo", nil, []byte{})
		if err == nil {
			return nil
		}
		if pause(ctx, retryEvery) != nil {
			if s.ctx.Err() != nil {
				return context.Cause(s.ctx)
			}
			return fmt.Errorf("no action can be called after %v: %w", startWait, err)
		}
	}
}

// client is one more client of the gateway, closed with the site.
func (s *site) client() (*client.Client, error) {
	o := client.Options{}
	if s.options.Transport == WebTransport {
		o.Transport = client.WebTransport
	}
	c, err := client.New("http://"+s.address, o)
	if err != nil {
		return nil, err
	}
	s.clients = append(s.clients, c)
	return c, nil
}

// someClients are so many clients.
func (s *site) someClients(n int) ([]*client.Client, error) {
	clients := make([]*client.Client, n)
	var err error
	for i := range clients {
		if clients[i], err = s.client(); err != nil {
			return nil, err
		}
	}
	return clients, nil
}

// durable is what has to be said about results that depend on the disk.
func (s *site) durable() string {
	if !isRedis(s.options.store) && inMemory(s.dir) {
		return "the data was on tmpfs, in memory; name a directory on a disk with --dir"
	}
	return ""
}

// close ends everything that the site has started, then removes its data.
func (s *site) close() error {
	s.fail(errors.New("the scenario is over"))
	for _, c := range s.clients {
		_ = c.Close()
	}
	s.http.CloseIdleConnections()
	if s.through != nil {
		_ = s.through.Close() // nothing was said that has to arrive
	}
	for _, p := range append([]*process{s.runner, s.gateway}, s.others...) {
		if p == nil {
			continue
		}
		grace := time.Duration(0)
		if s.options.Profile != "" {
			grace = stopGrace
		}
		p.Stop(grace)
	}
	s.watching.Wait()
	return errors.Join(s.wipe(), os.RemoveAll(s.dir))
}
