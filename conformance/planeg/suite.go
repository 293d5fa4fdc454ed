package planeg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// Config says what is run.
type Config struct {
	// Command starts the gateway; {port} and {data} stand for what it is given.
	Command      string
	StartTimeout time.Duration
	Cases        []*Case
	Jobs         int
	Repeat       int
	// Transport is what clients speak, HTTP the version that is asked in, where a case does not say it; empty: the first of
	// Transports, and of HTTPs.
	Transport Transport
	HTTP      HTTP
	// Patience multiplies every time-out; 0: 1.
	Patience float64
	Version  string
	// The tokens are for gateways that ask for them.
	RunnerToken, ClientToken, AdminToken string
	// Again is how a case is repeated by hand, without its words.
	Again verdict.Again
	// played, if not nil, is told of each play that passed.
	played func(*Case, *play)
	// Progress, if not nil, is told of each case when it is over, one at a time.
	Progress func(verdict.Case)
}

// Run runs the cases. The result is not concluded yet, so that known failures can be taken off.
func Run(ctx context.Context, cfg Config) *verdict.Result {
	b := &bench{ctx: ctx, cfg: cfg, queue: slices.Clone(cfg.Cases), result: &verdict.Result{
		Schema: 1, Suite: cfg.Version, Subject: "gateway", Command: cfg.Command, Protocol: 1, Jobs: max(1, cfg.Jobs),
		Repeat: max(1, cfg.Repeat), Started: time.Now(), Claimed: []string{profile},
	}}
	if cfg.tokens() {
		b.result.Claimed = append(b.result.Claimed, tokenProfile)
	}
	for _, profile := range []string{tokenProfile, adminProfile, otherProfile} {
		if slices.ContainsFunc(cfg.Cases, func(c *Case) bool { return cfg.lacks(c) == profile }) {
			b.notClaimed(profile)
		}
	}
	// The slow ones first, so that the others run beside them.
	slices.SortStableFunc(b.queue, func(x, y *Case) int { return rank(x) - rank(y) })
	var workers sync.WaitGroup
	for range b.result.Jobs {
		workers.Go(b.work)
	}
	workers.Wait()
	if b.shared != nil {
		b.shared.Close()
	}
	slices.SortFunc(b.result.Cases, func(x, y verdict.Case) int { return strings.Compare(x.ID, y.ID) })
	b.result.TookMs = time.Since(b.result.Started).Milliseconds()
	return b.result
}

// notClaimed notes a profile, once.
func (b *bench) notClaimed(profile string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.result.NotClaimed, profile) {
		b.result.NotClaimed = append(b.result.NotClaimed, profile)
	}
}

// What reports call plane G, and those of its cases that need a gateway with tokens, or an admin's where it has some.
const (
	profile      = "gateway"
	tokenProfile = "tokens"
	adminProfile = "admin"
	// wtProfile is for a gateway with WebTransport, which needs a certificate. otherProfile is for cases of other transports than
	// the run's.
	wtProfile    = "webtransport"
	otherProfile = "other transports"
)

// Profile is what a case belongs to.
func (c *Case) Profile() string {
	switch {
	case c.Tokens:
		return tokenProfile
	case c.Admin:
		return adminProfile
	case c.WebTransport:
		return wtProfile
	}
	return profile
}

func (cfg *Config) tokens() bool { return cfg.RunnerToken != "" && cfg.ClientToken != "" }

// lacks is the profile for want of which a case is skipped; empty: it can be run.
func (cfg *Config) lacks(c *Case) string {
	switch {
	case c.Tokens && !cfg.tokens():
		return tokenProfile
	case c.Admin && cfg.ClientToken != "" && cfg.AdminToken == "":
		return adminProfile
	}
	if fits, _ := c.Over(cfg.ways().transport); !fits {
		return otherProfile
	}
	return ""
}

// ways are what the run asks for, with the defaults filled in.
func (cfg *Config) ways() ways {
	w := ways{cfg.Transport, cfg.HTTP}
	if w.transport == "" {
		w.transport = WebSocket
	}
	if w.http == "" {
		w.http = HTTP1
	}
	return w
}

func rank(c *Case) int {
	if c.Slow {
		return 0
	}
	return 1
}

// bench hands cases to workers.
type bench struct {
	ctx context.Context
	cfg Config

	mu     sync.Mutex
	result *verdict.Result
	queue  []*Case

	starting sync.Mutex
	shared   *Gateway
	refused  error // why no gateway comes up
}

func (b *bench) work() {
	for {
		b.mu.Lock()
		if len(b.queue) == 0 {
			b.mu.Unlock()
			return
		}
		c := b.queue[0]
		b.queue = b.queue[1:]
		b.mu.Unlock()
		v := b.run(c)
		b.mu.Lock()
		b.result.Cases = append(b.result.Cases, v)
		if b.cfg.Progress != nil {
			b.cfg.Progress(v)
		}
		b.mu.Unlock()
	}
}

// gateway is one that lives: the shared one, or one for this case alone.
func (b *bench) gateway(c *Case) (*Gateway, error) {
	b.starting.Lock()
	defer b.starting.Unlock()
	if b.refused != nil {
		return nil, b.refused
	}
	if !c.Alone && b.shared != nil && b.shared.Alive() {
		return b.shared, nil
	}
	g, err := startGateway(b.ctx, b.cfg.Command, b.cfg.ways(), b.cfg.StartTimeout)
	if err != nil {
		b.refused = err
		return nil, err
	}
	if !c.Alone {
		if b.shared != nil {
			b.shared.Close()
		}
		b.shared = g
	}
	return g, nil
}

func (b *bench) run(c *Case) verdict.Case {
	v := verdict.Case{ID: c.ID, Title: c.Title, Category: category(c.ID), Profile: profile, Status: verdict.Pass}
	for _, link := range c.Requirements {
		id, _, _ := strings.Cut(link, ":")
		v.Requirements = append(v.Requirements, id)
	}
	v.Repeat = b.cfg.again(c.ID)
	for range b.result.Repeat {
		b.once(&v, c)
		if v.Status != verdict.Pass && v.Status != verdict.Fail {
			break
		}
	}
	if v.Passes > 0 && v.Passes < v.Runs {
		v.Message = fmt.Sprintf("passed %d of %d runs; %s", v.Passes, v.Runs, v.Message)
	}
	return v
}

func (b *bench) once(v *verdict.Case, c *Case) {
	if lacking := b.cfg.lacks(c); lacking != "" {
		v.Status, v.Profile = verdict.Skip, lacking
		if lacking == otherProfile {
			_, v.Message = c.Over(b.cfg.ways().transport)
		}
		return
	}
	g, err := b.gateway(c)
	if c.Alone && err == nil {
		defer g.Close()
	}
	if b.ctx.Err() != nil {
		v.Status, v.Code, v.Message = verdict.Unknown, c.ID+"/interrupted", "the run was interrupted"
		return
	}
	if err != nil {
		v.Status, v.Code, v.Message = verdict.Error, c.ID+"/start", err.Error()
		if errors.Is(err, ErrNoGateway) {
			v.Status = verdict.NoStart
		}
		return
	}
	if c.WebTransport && !g.http3 {
		b.notClaimed(wtProfile)
		v.Status, v.Profile, v.Message = verdict.Skip, wtProfile, "the gateway has no HTTP/3: no answer over TLS names it in Alt-Svc"
		return
	}
	factor := b.cfg.Patience
	if factor <= 0 {
		factor = 1
	}
	p := &play{
		ctx: b.ctx, gateway: g, ways: b.cfg.ways(), startTimeout: b.cfg.StartTimeout, factor: factor,
		runnerToken: b.cfg.RunnerToken, clientToken: b.cfg.ClientToken, adminToken: b.cfg.AdminToken,
	}
	began := time.Now()
	status, code, why := perform(p, c)
	v.Runs++
	v.TookMs = max(v.TookMs, float64(time.Since(began).Microseconds())/1000)
	if status == verdict.Pass {
		v.Passes++
		if b.cfg.played != nil {
			b.cfg.played(c, p)
		}
		return
	}
	if v.Status == verdict.Pass {
		v.Status, v.Code, v.Message, v.Output = status, code, why, g.Output()
		v.Events = p.recorder.Since(0)
		v.Lines = verdict.LinesOf(v.Events)
	}
}

// category is the letters of a case's id.
func category(id string) string {
	letters, _, _ := strings.Cut(id, "-")
	return letters
}
