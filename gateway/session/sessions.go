package session

import (
	"cmp"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/gateway/quota"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Config is what every session of a gateway shares.
type Config struct {
	Router      *route.Router
	Auth        *auth.Authenticator
	Limits      wire.Limits
	Quotas      *quota.Quotas
	Budget      *budget.Budget
	Stats       *stats.Stats
	Logger      *slog.Logger
	Gateway     string
	Development bool
	HelloWait   time.Duration // default 10 s [SESS-4]
	PingEvery   time.Duration // default 15 s [SESS-5]
	ResumeWait  time.Duration // default 30 s [SESS-15]
}

// Sessions are the client sessions of a gateway, with and without socket.
type Sessions struct {
	cfg  Config
	work sync.WaitGroup // what later does

	mu     sync.Mutex
	closed bool
	all    map[*Session]struct{}
	tokens map[string]*Session
	absent int // sessions without socket
}

// New makes the sessions of a gateway. Close ends them.
func New(cfg Config) *Sessions {
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{{&cfg.HelloWait, 10 * time.Second}, {&cfg.PingEvery, 15 * time.Second}, {&cfg.ResumeWait, 30 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	all := &Sessions{cfg: cfg, all: map[*Session]struct{}{}, tokens: map[string]*Session{}}
	cfg.Budget.Register(all)
	return all
}

// Accept takes in a socket. namespace is the default for its addresses, token what the transport carried; both may be
// empty. from is the address of the client.
func (all *Sessions) Accept(socket Socket, form Form, namespace, token string, from netip.Addr) *Attachment {
	a := &Attachment{sessions: all, out: socket, form: form, namespace: namespace, token: token, from: from}
	if streams, ok := socket.(Streams); ok {
		a.streams, a.begun = streams, &latch{done: make(chan struct{})}
	}
	a.Heard()
	a.timer = time.AfterFunc(all.cfg.HelloWait, a.tick)
	return a
}

// MessageWait is how long a message may take from its first byte to its last: as long as a silent client may live.
func (all *Sessions) MessageWait() time.Duration { return 3 * all.cfg.PingEvery }

// begin makes a session for a socket; an error if there may be none.
func (all *Sessions) begin(a *Attachment, p auth.Principal, f features) (*Session, *wire.Error) {
	if e := all.Overloaded(); e != nil {
		return nil, e
	}
	q, e := all.cfg.Quotas.Session(p, a.from)
	if e != nil {
		return nil, e
	}
	s := newSession(all, a, p, q, f)
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.closed {
		q.Leave()
		q.Drop()
		return nil, wire.GatewayDraining.New()
	}
	all.all[s] = struct{}{}
	all.cfg.Stats.Sessions.Add(1)
	if f.resume {
		s.resume.token = all.addToken(s)
	}
	return s, nil
}

// Overloaded refuses new sessions and new calls while too much memory is held [LIMIT-4]; nil: they are welcome.
func (all *Sessions) Overloaded() *wire.Error {
	if all.cfg.Budget.Level() < budget.Refusing {
		return nil
	}
	all.cfg.Stats.Limit(stats.MaxMemory)
	return wire.GatewayOverloaded.New()
}

// maxListing bounds the frames that list channels, before they are decoded.
func (all *Sessions) maxListing() int {
	const perChannel, rest = 24, 16 << 10
	return rest + perChannel*maxListed(&all.cfg.Limits)
}

// find is the session of a token, or nil.
func (all *Sessions) find(token string) *Session {
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.tokens[token]
}

// renew gives the session another token. Of those before only the one that was taken for it is still good [SESS-16].
// Session.mu is held.
func (all *Sessions) renew(s *Session, taken string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, old := range []string{s.resume.token, s.resume.taken} {
		if old != taken {
			delete(all.tokens, old)
		}
	}
	s.resume.taken, s.resume.token = taken, all.addToken(s)
}

func (all *Sessions) addToken(s *Session) string {
	token := all.cfg.Gateway + "." + rand.Text() // 130 random bits
	all.tokens[token] = s
	return token
}

// void makes a token worthless.
func (all *Sessions) void(token string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.tokens, token)
}

// remove forgets a session that is over.
func (all *Sessions) remove(s *Session) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.all, s)
	delete(all.tokens, s.resume.token)
	delete(all.tokens, s.resume.taken)
}

// away counts sessions without socket. false: there are more than the gateway may have sockets.
func (all *Sessions) away(change int) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.absent += change
	return all.cfg.Limits.MaxSockets <= 0 || all.absent <= all.cfg.Limits.MaxSockets
}

// later does what must not be done under the lock of an actor, which the caller may hold.
func (all *Sessions) later(f func()) { all.work.Go(f) }

// Close ends all sessions; the clients may come back elsewhere. Wait returns when that has been done.
func (all *Sessions) Close() {
	all.mu.Lock()
	all.closed = true
	all.mu.Unlock()
	for _, s := range all.list() {
		s.close(wire.GatewayDraining.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
	}
}

// Wait returns when nothing is under way any more. After Close.
func (all *Sessions) Wait() { all.work.Wait() }

func (all *Sessions) list() []*Session {
	all.mu.Lock()
	defer all.mu.Unlock()
	list := make([]*Session, 0, len(all.all))
	for s := range all.all {
		list = append(list, s)
	}
	return list
}

// Relieve implements budget.Holder: sessions without socket end, those that hold most first; when the budget is full,
// those whose clients do not read are let go too, the longest queues first [LIMIT-4].
func (all *Sessions) Relieve(level budget.Level, excess int) (freed int) {
	freed = all.relieve(excess, (*Session).absentWeight, (*Session).end)
	if level == budget.Full && freed < excess {
		freed += all.relieve(excess-freed, (*Session).backlog, (*Session).cutOff)
	}
	return freed
}

// relieve gives sessions up, the weightiest first, until enough is freed. Those without weight stay.
func (all *Sessions) relieve(excess int, weigh, giveUp func(*Session) int) (freed int) {
	type weighed struct {
		session *Session
		weight  int
	}
	var list []weighed
	for _, s := range all.list() {
		if w := weigh(s); w > 0 {
			list = append(list, weighed{s, w})
		}
	}
	slices.SortFunc(list, func(a, b weighed) int { return cmp.Compare(b.weight, a.weight) })
	for _, w := range list {
		if freed >= excess {
			break
		}
		if n := giveUp(w.session); n > 0 {
			freed += n
			all.cfg.Stats.Limit(stats.MaxMemory)
		}
	}
	return freed
}

// absentWeight is what a session without socket holds.
func (s *Session) absentWeight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.resume.away {
		return 0
	}
	return s.held
}

// backlog is what the session's client has not read.
func (s *Session) backlog() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket == nil {
		return 0
	}
	return s.socket.queued()
}

// cutOff parts from a client that does not read, and drops what it has queued.
func (s *Session) cutOff() (freed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket == nil {
		return 0
	}
	freed = s.socket.queued()
	s.slow(true)
	return freed
}
