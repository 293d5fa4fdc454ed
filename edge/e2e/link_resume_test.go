package e2e

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// linked is a scripted runner with the features of a link, which counts what it receives.
type linked struct {
	*scripted
	session  []byte
	received uint64
}

func (w *world) linkedRunner(features ...string) *linked {
	w.Helper()
	s := w.script()
	hello := s.aHello()
	hello.Features = append(hello.Features, features...)
	s.cold(hello)
	return &linked{scripted: s, session: expect[*runnerv1alpha1.Welcome](s).GetSession()}
}

// take is expect of a counted frame.
func take[M any](s *linked) M {
	s.w.Helper()
	s.dropAcks()
	m := expect[M](s.scripted)
	s.received++
	return m
}

func (s *linked) dropAcks() {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in = slices.DeleteFunc(s.in, func(m any) bool { _, ack := m.(*runnerv1alpha1.Ack); return ack })
}

// takeCredit takes a Credit out of what has come, wherever it stands there.
func (s *linked) takeCredit() *runnerv1alpha1.Credit {
	s.w.Helper()
	s.dropAcks()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.in {
		if credit, ok := m.(*runnerv1alpha1.Credit); ok {
			s.in = slices.Delete(s.in, i, i+1)
			return credit
		}
	}
	s.w.Fatalf("no Credit in %v", s.in)
	return nil
}

// start is begin of a linked runner.
func (s *linked) start() uint64 {
	s.w.Helper()
	ref := take[*runnerv1alpha1.StartActor](s).GetActor()
	s.commit(ref, 1, "\x00", 0)
	take[*wire.CommitResult](s)
	s.cold(&runnerv1alpha1.ActorReady{Actor: ref})
	return ref
}

// back leaves the socket and goes on with the session on another one; it returns the gateway's count.
func (s *linked) back(token string) *runnerv1alpha1.Welcome {
	s.w.Helper()
	_ = s.conn.Close()
	<-s.done
	s.scripted = s.w.script()
	hello := s.aHello()
	hello.Token = token
	hello.Features = append(hello.Features, wire.FeatureResume)
	hello.Resume = &runnerv1alpha1.Resume{Session: s.session, Received: s.received}
	s.cold(hello)
	welcome := expect[*runnerv1alpha1.Welcome](s.scripted)
	if welcome.ResumedReceived != nil {
		wantEqual(s.w, "the next number", expect[*runnerv1alpha1.Resumed](s.scripted).GetNext(), s.received+1)
		s.cold(&runnerv1alpha1.Resumed{Next: welcome.GetResumedReceived() + 1})
	}
	return welcome
}

// [LINK-16] [LINK-6]: calls, commits and results go on over another socket; nobody's actor is stopped, no caller notices.
func TestCallsOutliveTheirRunnersSocket(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.linkedRunner(wire.FeatureResume)
		one := w.calling("g", "one")
		ref := s.start()
		first := take[*wire.Call](s)
		held.hold()
		s.commit(ref, 2, "\x02", 1)
		s.send(result(ref, first.ID, "\x01"))
		synctest.Wait()
		_ = s.conn.Close()
		two := w.calling("g", "two") // while the runner is away
		held.release(nil)            // its commit is acknowledged meanwhile
		wantAnswer(w, one, `{"output":1}`)
		wantEqual(w, "received", s.back("").GetResumedReceived(), uint64(4))
		second := take[*wire.Call](s)
		wantEqual(w, "the commit's result", take[*wire.CommitResult](s).Version, uint64(2))
		s.send(result(ref, second.ID, "\x02"))
		wantAnswer(w, two, `{"output":2}`)
		// An answer that the gateway has is not to be repeated, one that it has not is.
		wantEqual(w, "received", s.back("").GetResumedReceived(), uint64(5))
		s.dropAcks()
		s.quiet()
	})
}

// [LINK-17] [CALL-7]: after the wait the session is lost. A call that was never written goes to another runner, one that was
// has no known outcome.
func TestASessionThatIsNotResumedIsLost(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.linkedRunner(wire.FeatureResume)
		one := w.calling("g", "one")
		s.start()
		take[*wire.Call](s)
		_ = s.conn.Close()
		two := w.calling("g", "two")
		sleep(4900 * time.Millisecond)
		wantNone(w, one, "its runner may yet resume")
		other := w.scriptedRunner()
		other.quiet()
		sleep(200 * time.Millisecond)
		wantAnswer(w, one, "action.outcome_unknown")
		start := expect[*runnerv1alpha1.StartActor](other)
		other.cold(&runnerv1alpha1.ActorReady{Actor: start.GetActor()})
		other.send(result(start.GetActor(), expect[*wire.Call](other).ID, "\x02"))
		wantAnswer(w, two, `{"output":2}`)
		if s.back("").ResumedReceived != nil {
			t.Error("a lost session was resumed")
		}
	})
}

// [LINK-16] [LINK-5]: the name of a session is no token.
func TestAResumeNeedsItsToken(t *testing.T) {
	inWorld(t, gateway.Config{Tokens: auth.Tokens{Runner: []string{"right"}, Client: []string{"c"}}}, func(w *world) {
		s := &linked{scripted: w.script()}
		hello := s.aHello()
		hello.Token, hello.Features = "right", append(hello.Features, wire.FeatureResume)
		s.cold(hello)
		s.session = expect[*runnerv1alpha1.Welcome](s.scripted).GetSession()
		thief := w.script()
		hello.Token, hello.Resume = "c", &runnerv1alpha1.Resume{Session: s.session}
		thief.cold(hello)
		wantEqual(w, "code", expect[*runnerv1alpha1.Reject](thief).GetCode(), "auth.forbidden")
		if s.back("right").ResumedReceived == nil {
			t.Error("the session was lost to a thief")
		}
	})
}

// [LEASE-1]: the second Pong names the Ping, and how long the lease lasts from its sending.
func TestAPingRenewsTheLeaseInTheStore(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.script()
		s.cold(s.aHello())
		welcome := expect[*runnerv1alpha1.Welcome](s)
		sleep(2 * time.Second)
		s.cold(&commonv1alpha1.Ping{Nonce: 41})
		first := expect[*runnerv1alpha1.Pong](s)
		second := expect[*runnerv1alpha1.Pong](s)
		wantEqual(w, "pong", first.GetNonce(), uint64(41))
		wantEqual(w, "without a lease", first.GetLeaseMs(), uint32(0))
		wantEqual(w, "pong", second.GetNonce(), uint64(41))
		wantEqual(w, "lease", second.GetLeaseMs(), welcome.GetLeaseMs())
		lease, err := w.Store.Lease(w.Context(), welcome.GetRunner())
		if want := time.Now().Add(time.Duration(welcome.GetLeaseMs()) * time.Millisecond); err != nil || lease.Until.Before(want) {
			t.Errorf("the lease %v, %v; want it to last until %v", lease, err, want)
		}
	})
}

// [LINK-18] [GATE-1]: an event in the gate keeps its credit until the commit before it is acknowledged.
func TestEventsInTheGateKeepTheirCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := &heldStore{Store: gatewaytest.NewStore(t)}
		limits := wire.DefaultLimits()
		limits.EventWindow, limits.LinkWindow = 1000, 10_000
		w := &world{t, gatewaytest.Start(t, gateway.Config{Store: held, Limits: limits, Logger: quiet()})}
		s := w.linkedRunner(wire.FeatureCredit)
		w.calling("g", "one")
		ref := s.start()
		take[*wire.Call](s)
		event := &wire.Emit{Actor: ref, Event: []byte("tick"), Args: make([]byte, 500-64-4), All: true}
		held.hold()
		s.commit(ref, 2, "\x02", 1)
		s.send(event)
		s.dropAcks()
		s.quiet()
		held.release(nil)
		credit := s.takeCredit() // a link frame: it may overtake the CommitResult
		take[*wire.CommitResult](s)
		wantEqual(w, "actor", credit.GetActor(), ref)
		wantEqual(w, "offset", credit.GetOffset(), uint64(1500))
		// Outside of a group it leaves at once.
		s.send(event)
		wantEqual(w, "offset", expect[*runnerv1alpha1.Credit](s.scripted).GetOffset(), uint64(2000))
		// Three in a gate are one too many [LINK-9].
		held.hold()
		s.commit(ref, 3, "\x03", 3)
		s.send(event, event, event)
		wantEqual(w, "reason", take[*runnerv1alpha1.StopActor](s).GetReason(), runnerv1alpha1.StopReason_STOP_REASON_FENCED)
		held.release(nil)
	})
}

// [LINK-16] [LINK-11]: the SDK's runner loses its socket again and again in the middle of calls, and no caller notices.
func TestTheSDKResumes(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j := new(journal)
		h := w.host(runner.Config{}, labType(labOptions{journal: j}))
		counter := w.client().GetOrCreate("lab", []string{"k"})
		wantEqual(w, "count", call[int](w, counter, "add", 1), 1)
		j.take()
		for i := range 20 {
			done := make(chan int, 1)
			go func() { done <- call[int](w, counter, "pause", 50) }()
			sleep(time.Duration(10*i) * time.Millisecond)
			h.cut()
			wantEqual(w, "count", call[int](w, counter, "add", 1), i+2)
			wantEqual(w, "pause", <-done, 50)
		}
		wantEqual(w, "the actor lived on", j.take(), "")
	})
}
