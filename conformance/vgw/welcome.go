package vgw

import (
	"fmt"
	"slices"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// Protocol is the version of the runner protocol that the suite speaks.
const Protocol = 1

// Features are what the virtual gateway can.
func Features() []string {
	return []string{"connections", "events", "kv", "resume", "adopt", "credit"}
}

// Shared is what both sides have of the features that a runner names.
func Shared(hello *runnerv1alpha1.Hello) []string {
	return slices.DeleteFunc(Features(), func(f string) bool { return !slices.Contains(hello.Features, f) })
}

// DefaultWelcome is what a runner is told unless a case says otherwise: times are short enough that nothing waits for them, and
// long enough that a busy machine does not matter.
func DefaultWelcome(hello *runnerv1alpha1.Hello) *runnerv1alpha1.Welcome {
	return &runnerv1alpha1.Welcome{
		Protocol: Protocol, Features: Shared(hello), Session: nonce(), Runner: "conform-" + hello.Instance, Gateway: "conform",
		LeaseMs: 30_000, MarginMs: 3_000, PingMs: 500, LostMs: 15_000, ResumeMs: 10_000, BackoffMinMs: 20, BackoffMaxMs: 200,
		NowMs: time.Now().UnixMilli(), Region: "local", Limits: DefaultLimits(),
		TimeoutsMs: map[string]uint32{"action": 60_000, "start": 30_000, "stop": 15_000, "hook": 30_000, "sleep_after": 30_000},
	}
}

// DefaultLimits are those of the spec's table where it has one, smaller where nothing else tells the limits apart.
func DefaultLimits() *runnerv1alpha1.Limits {
	return &runnerv1alpha1.Limits{
		MaxMessage: 16 << 20, MaxCallsPerActor: 1024, MaxState: 8 << 20, MaxKvKey: 2 << 10, MaxKvValue: 1 << 20, MaxKvBatch: 4 << 20,
		MaxKvOperations: 1024, MaxCommit: 14 << 20, MaxOutput: 1 << 20, MaxEvent: 1 << 20, MaxErrorMetadata: 16 << 10,
		MaxConnectionState: 64 << 10, MaxReadsPerActor: 64, MaxGroupOutputs: 4096, MaxGroupBytes: 8 << 20, MaxHeldBytes: 32 << 20,
		MaxUnackedBytes: 16 << 20, EventWindow: 8 << 20, LinkWindow: 32 << 20, MaxConnectionsPerActor: 100_000,
	}
}

// Reject answers a Hello so, and closes.
func (s *Socket) Reject(m *runnerv1alpha1.Reject) {
	s.Bare(&Frame{Kind: &runnerv1alpha1.Frame_Reject{Reject: m}})
	s.Finish("rejected")
}

// Welcome begins a session on the socket, with that Welcome.
func (g *Gateway) Welcome(s *Socket, hello *runnerv1alpha1.Hello, m *runnerv1alpha1.Welcome) *Session {
	session := newSession(g, hello, m)
	g.mu.Lock()
	g.sessions[string(m.Session)] = session
	g.mu.Unlock()
	session.attach(s, m)
	return session
}

// Resumable is the session that a Hello asks for, if it can go on [LINK-17].
func (g *Gateway) Resumable(hello *runnerv1alpha1.Hello) *Session {
	if hello.Resume == nil {
		return nil
	}
	g.mu.Lock()
	session := g.sessions[string(hello.Resume.Session)]
	g.mu.Unlock()
	if session == nil || !session.resumable(hello.Resume.Received) {
		return nil
	}
	return session
}

// Resume goes on with a session on another socket [LINK-16]. change may alter the Welcome that says so.
func (g *Gateway) Resume(s *Socket, hello *runnerv1alpha1.Hello, session *Session, change func(*runnerv1alpha1.Welcome)) error {
	if old := session.Socket(); old != nil {
		old.leave()
		old.Goodbyes(&commonv1alpha1.Goodbye{Code: "runner.superseded", Message: "The session goes on over another socket.", Reconnect: commonv1alpha1.Reconnect_RECONNECT_NEVER})
		old.Finish("superseded")
	}
	return session.resume(s, hello.Resume.Received, change)
}

// leave makes that nothing is taken from the socket any more.
func (s *Socket) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
}

func (s *Socket) isLeft() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}

// resume sends Welcome, Resumed and what the runner lacks.
func (s *Session) resume(socket *Socket, received uint64, change func(*runnerv1alpha1.Welcome)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ledger.Ack(received); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	taken := s.ledger.Received()
	m := &runnerv1alpha1.Welcome{Session: s.welcome.Session, Features: s.welcome.Features, NowMs: time.Now().UnixMilli(), ResumedReceived: &taken}
	if change != nil {
		change(m)
	}
	s.socket = socket
	socket.mu.Lock()
	socket.session = s
	socket.mu.Unlock()
	socket.Bare(&Frame{Kind: &runnerv1alpha1.Frame_Welcome{Welcome: m}})
	next, kept := s.ledger.Unacked()
	socket.Bare(&Frame{Kind: &runnerv1alpha1.Frame_Resumed{Resumed: &runnerv1alpha1.Resumed{Next: next}}})
	for _, body := range kept {
		s.put(body)
	}
	return nil
}
