package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// scripted is a runner whose every frame the test writes.
type scripted struct {
	w    *world
	conn net.Conn
	mu   sync.Mutex
	in   []any
	done chan struct{}
	stop chan struct{} // closed: the runner reads no more
}

// deaf makes the runner read no more.
func (s *scripted) deaf() {
	close(s.stop)
	// The reader is inside a read already: one more frame gets through to nobody.
	s.w.calling("x", "heard by nobody")
}

// script opens a runner link without a word.
func (w *world) script() *scripted {
	w.Helper()
	conn, err := w.DialRunner(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	s := &scripted{w: w, conn: conn, done: make(chan struct{}), stop: make(chan struct{})}
	go s.read()
	w.Cleanup(func() {
		_ = conn.Close()
		<-s.done
	})
	return s
}

func (s *scripted) read() {
	defer close(s.done)
	for {
		header := make([]byte, wire.HeaderLen)
		if _, err := io.ReadFull(s.conn, header); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(header))
		if _, err := io.ReadFull(s.conn, body); err != nil {
			return
		}
		f, err := wire.ParseFrame(body)
		if err != nil {
			return
		}
		m, err := wire.DecodeRunner(f)
		if err != nil {
			return
		}
		if _, ping := m.(*commonv1alpha1.Ping); ping {
			continue
		}
		select {
		case <-s.stop:
			return
		default:
		}
		s.mu.Lock()
		s.in = append(s.in, m)
		s.mu.Unlock()
	}
}

// hello is a scripted runner of the type "scripted" that was welcomed.
func (w *world) scriptedRunner() *scripted {
	w.Helper()
	s := w.script()
	s.cold(s.aHello())
	expect[*runnerv1alpha1.Welcome](s)
	return s
}

func (s *scripted) aHello() *runnerv1alpha1.Hello {
	return &runnerv1alpha1.Hello{
		ProtocolMin: 1, ProtocolMax: 1, Features: []string{wire.FeatureConnections, wire.FeatureEvents, wire.FeatureKV},
		Types: []*runnerv1alpha1.ActorType{{Name: "scripted"}},
	}
}

func (s *scripted) send(messages ...wire.Message) {
	s.w.Helper()
	var b []byte
	for _, m := range messages {
		b = wire.AppendMessage(b, m)
	}
	s.bytes(b)
}

func (s *scripted) bytes(b []byte) {
	s.w.Helper()
	if _, err := s.conn.Write(b); err != nil {
		s.w.Fatalf("the scripted runner writes: %v", err)
	}
}

func (s *scripted) cold(m proto.Message) { s.w.Helper(); s.send(wire.Runner(m)) }

// expect takes the next frame, which must be an M.
func expect[M any](s *scripted) M {
	s.w.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var none M
	if _, pong := any(none).(*runnerv1alpha1.Pong); !pong {
		s.in = slices.DeleteFunc(s.in, func(m any) bool { _, pong := m.(*runnerv1alpha1.Pong); return pong })
	}
	if len(s.in) == 0 {
		s.w.Fatalf("nothing came, want %T", none)
	}
	m, ok := s.in[0].(M)
	if !ok {
		s.w.Fatalf("got %T %v, want %T", s.in[0], s.in[0], none)
	}
	s.in = s.in[1:]
	return m
}

// quiet checks that nothing more came.
func (s *scripted) quiet() {
	s.w.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.in) > 0 {
		s.w.Fatalf("got %T %v, want nothing", s.in[0], s.in[0])
	}
}

// ended checks that the gateway has closed the link.
func (s *scripted) ended() {
	s.w.Helper()
	synctest.Wait()
	select {
	case <-s.done:
	default:
		s.w.Fatal("the link is still open")
	}
}

// calling starts a call of the actor scripted:key over HTTP; its answer comes on the channel.
func (w *world) calling(key, action string, header ...string) <-chan response {
	answer := make(chan response, 1)
	go func() {
		// A call that is still open when the test ends has no answer.
		if r, err := w.try("POST", "/v1/actors/scripted:"+key+"/actions/"+action, "", header...); err == nil {
			answer <- r
		}
	}()
	synctest.Wait()
	return answer
}

func wantAnswer(w *world, answer <-chan response, want string) {
	w.Helper()
	synctest.Wait()
	select {
	case r := <-answer:
		if got := strings.TrimSpace(r.raw); got != want && r.name() != want {
			w.Fatalf("answer %s, want %s", got, want)
		}
	default:
		w.Fatalf("no answer, want %s", want)
	}
}

func wantNone(w *world, answer <-chan response, why string) {
	w.Helper()
	synctest.Wait()
	select {
	case r := <-answer:
		w.Fatalf("%s, but got %s", why, r.raw)
	default:
	}
}

// begin answers the StartActor that comes next, with a first commit of the state.
func (s *scripted) begin() *runnerv1alpha1.StartActor {
	s.w.Helper()
	start := expect[*runnerv1alpha1.StartActor](s)
	s.commit(start.GetActor(), start.GetVersion()+1, "\x00", 0)
	expect[*wire.CommitResult](s)
	s.cold(&runnerv1alpha1.ActorReady{Actor: start.GetActor()})
	return start
}

func (s *scripted) commit(ref, version uint64, state string, outputs uint32) {
	s.w.Helper()
	s.send(&wire.Commit{Actor: ref, Version: version, Changes: changes(&runnerv1alpha1.Changes{State: []byte(state)}), Outputs: outputs})
}

func changes(m *runnerv1alpha1.Changes) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func result(ref, id uint64, output string) *wire.CallResult {
	return &wire.CallResult{Actor: ref, ID: id, Output: []byte(output), HasOutput: true}
}

// [LINK-1] [LINK-4] [LINK-5] [LINK-13] [CLASS-1] [FRAME-2]
func TestHandshakesThatAreRefused(t *testing.T) {
	cfg := gateway.Config{Tokens: auth.Tokens{Runner: []string{"right"}, Client: []string{"c"}}}
	for name, c := range map[string]struct {
		change    func(*runnerv1alpha1.Hello)
		code      string
		retryable bool
	}{
		"wrong token":      {func(h *runnerv1alpha1.Hello) { h.Token = "wrong" }, "auth.unauthenticated", false},
		"no token":         {func(h *runnerv1alpha1.Hello) { h.Token = "" }, "auth.unauthenticated", false},
		"a client's token": {func(h *runnerv1alpha1.Hello) { h.Token = "c" }, "auth.forbidden", false},
		"a newer protocol": {func(h *runnerv1alpha1.Hello) { h.ProtocolMin, h.ProtocolMax = 7, 9 }, "runner.protocol_unsupported", false},
		"no type":          {func(h *runnerv1alpha1.Hello) { h.Types = nil }, "runner.invalid_hello", false},
		"a type twice":     {func(h *runnerv1alpha1.Hello) { h.Types = append(h.Types, h.Types[0]) }, "runner.invalid_hello", false},
		"a type's name":    {func(h *runnerv1alpha1.Hello) { h.Types[0].Name = "a b" }, "runner.invalid_hello", false},
		"a durability class": {func(h *runnerv1alpha1.Hello) {
			h.Types[0].Durability = runnerv1alpha1.Durability_DURABILITY_REPLICATED
		}, "runner.durability_unsupported", false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, cfg, func(w *world) {
				s := w.script()
				hello := s.aHello()
				hello.Token = "right"
				c.change(hello)
				s.cold(hello)
				r := expect[*runnerv1alpha1.Reject](s)
				wantEqual(w, "code", r.GetCode(), c.code)
				wantEqual(w, "retryable", r.GetRetryable(), c.retryable)
				wantEqual(w, "range", r.GetProtocolMax(), uint32(wire.ProtocolMax))
				s.ended()
			})
		})
	}
	inWorld(t, cfg, func(w *world) {
		s := w.script()
		s.cold(&runnerv1alpha1.ActorReady{Actor: 1})
		wantEqual(w, "another first frame", expect[*runnerv1alpha1.Reject](s).GetCode(), "runner.invalid_hello")
		s.ended()
		s = w.script()
		sleep(11 * time.Second)
		wantEqual(w, "no Hello", expect[*commonv1alpha1.Goodbye](s).GetCode(), "runner.hello_timed_out")
		s.ended()
		for _, b := range [][]byte{{0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 3, 1, 2, 3}} {
			s = w.script()
			s.bytes(b)
			wantEqual(w, "a framing fault", expect[*commonv1alpha1.Goodbye](s).GetCode(), "runner.invalid_frame")
			s.ended()
		}
	})
}

// [LINK-6] [LINK-7] [LINK-8] [FRAME-4]
func TestLinkFramesAndUnknownKinds(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		s.cold(&commonv1alpha1.Ping{Nonce: 7})
		wantEqual(w, "pong", expect[*runnerv1alpha1.Pong](s).GetNonce(), uint64(7))
		s.cold(&runnerv1alpha1.Fence{Nonce: 9})
		wantEqual(w, "fence", expect[*runnerv1alpha1.FenceReached](s).GetNonce(), uint64(9))
		s.bytes([]byte{0, 0, 0, 7, 0xaa, 0x03, 4, 0x08, 1, 0x10, 42}) // kind 53, number 42
		u := expect[*commonv1alpha1.Unsupported](s)
		if u.GetKind() != 53 || u.GetNumber() != 42 {
			w.Errorf("unknown kind: %v", u)
		}
		s.cold(&runnerv1alpha1.ActorReady{Actor: 12345}) // a ref that nobody holds
		s.quiet()
		sleep(16 * time.Second) // it answers no ping
		wantEqual(w, "lost", expect[*commonv1alpha1.Goodbye](s).GetCode(), "runner.ping_timed_out")
		s.ended()
		hello := s.aHello()
		hello.Instance = "same"
		first, second := w.script(), w.script()
		first.cold(hello)
		expect[*runnerv1alpha1.Welcome](first)
		second.cold(hello)
		expect[*runnerv1alpha1.Welcome](second)
		bye := expect[*commonv1alpha1.Goodbye](first)
		wantEqual(w, "replaced", bye.GetCode(), "runner.replaced")
		wantEqual(w, "for good", bye.GetReconnect(), commonv1alpha1.Reconnect_RECONNECT_NEVER)
		first.ended()
	})
}

// [GATE-1] [GATE-2]: an output leaves when the commit before it is acknowledged, and a group counts when it is whole.
func TestTheGateHoldsWhatIsNotDurable(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.scriptedRunner()
		a, b := w.calling("g", "first"), w.calling("g", "second")
		ref := s.begin().GetActor()
		one, two := expect[*wire.Call](s), expect[*wire.Call](s)
		held.hold()
		// An incomplete group goes nowhere, not even to the store.
		s.commit(ref, 2, "\x02", 1)
		synctest.Wait()
		wantEqual(w, "commits at the store", held.waiting(), 0)
		s.send(result(ref, one.ID, "\x01"))
		wantNone(w, a, "its commit is not acknowledged")
		wantEqual(w, "commits at the store", held.waiting(), 1)
		// A read-only turn's answer does not overtake it.
		s.send(result(ref, two.ID, "\x02"))
		wantNone(w, b, "an earlier frame of the actor is held")
		s.quiet()
		held.release(nil)
		wantAnswer(w, a, `{"output":1}`)
		wantAnswer(w, b, `{"output":2}`)
		wantEqual(w, "commit result", expect[*wire.CommitResult](s).Version, uint64(2))
		// Without a change nothing is delayed.
		held.hold()
		c := w.calling("g", "third")
		s.send(result(ref, expect[*wire.Call](s).ID, "\x03"))
		wantAnswer(w, c, `{"output":3}`)
		held.release(nil)
	})
}

// [GATE-2] [COMMIT-3]: an incomplete group is dropped whole with its runner, and the next life reads what was committed.
func TestAnIncompleteGroupIsDropped(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		a := w.calling("g", "first")
		first := s.begin()
		ref := first.GetActor()
		call := expect[*wire.Call](s)
		s.commit(ref, 2, "\x02", 2)
		s.send(result(ref, call.ID, "\x01"))
		synctest.Wait()
		_ = s.conn.Close()
		wantAnswer(w, a, "action.outcome_unknown")
		s = w.scriptedRunner()
		w.calling("g", "second")
		start := expect[*runnerv1alpha1.StartActor](s)
		wantEqual(w, "version", start.GetVersion(), uint64(1))
		wantEqual(w, "a later generation", start.GetGeneration() > first.GetGeneration(), true)
		wantEqual(w, "another nonce", string(start.GetNonce()) != string(first.GetNonce()), true)
		wantEqual(w, "state", string(start.GetState()), "\x00")
	})
}

// [COMMIT-4] [COMMIT-1]: after an unknown outcome the same commit is sent again, and the actor is frozen meanwhile.
func TestAnUnknownOutcomeIsAskedAgain(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.scriptedRunner()
		a := w.calling("g", "first")
		ref := s.begin().GetActor()
		call := expect[*wire.Call](s)
		held.hold()
		s.commit(ref, 2, "\x02", 1)
		s.send(result(ref, call.ID, "\x01"))
		synctest.Wait()
		first := held.last()
		for range 5 {
			held.answer(io.ErrUnexpectedEOF)
			wantNone(w, a, "the outcome is unknown")
			wantAnswer(w, w.calling("g", "other"), "store.unavailable")
			sleep(2 * time.Second)
			if again := held.last(); again.CommitID != first.CommitID || again.Version != first.Version {
				w.Fatalf("another commit: %+v, then %+v", first, again)
			}
		}
		held.release(nil)
		wantAnswer(w, a, `{"output":1}`)
		id := sha256.Sum256(changes(&runnerv1alpha1.Changes{State: []byte("\x02")}))
		wantEqual(w, "commit id", first.CommitID, [16]byte(id[:16])) // [COMMIT-2]
	})
}

// [COMMIT-5]: a definite refusal ends the incarnation, and nothing of the group leaves.
func TestARefusedCommitEndsTheIncarnation(t *testing.T) {
	for refusal, code := range map[error]string{
		store.ErrFenced: "actor.fenced", store.ErrConflict: "actor.fenced", store.ErrStale: "actor.fenced", store.ErrGap: "actor.fenced",
		store.ErrQuota: "kv.quota_exceeded", store.ErrTooLarge: "state.too_large",
	} {
		t.Run(code+" "+refusal.Error(), func(t *testing.T) {
			held := new(heldStore)
			inHeldWorld(t, held, func(w *world) {
				s := w.scriptedRunner()
				a, b := w.calling("g", "first"), w.calling("g", "second")
				ref := s.begin().GetActor()
				call := expect[*wire.Call](s)
				expect[*wire.Call](s)
				held.hold()
				s.commit(ref, 2, "\x02", 1)
				s.send(result(ref, call.ID, "\x01"))
				synctest.Wait()
				held.release(refusal)
				wantAnswer(w, a, code)
				wantAnswer(w, b, code)
				if m := expect[*wire.CommitResult](s); m.Error == nil || m.Error.Name() != code {
					w.Errorf("commit result %+v", m)
				}
				wantEqual(w, "reason", expect[*runnerv1alpha1.StopActor](s).GetReason(), runnerv1alpha1.StopReason_STOP_REASON_FENCED)
				s.send(result(ref, call.ID, "\x01")) // its late frames are ignored
				s.quiet()
				w.calling("g", "third")
				if start := expect[*runnerv1alpha1.StartActor](s); start.GetVersion() != 1 || start.GetActor() == ref {
					w.Errorf("the next life: %v", start)
				}
			})
		})
	}
}

// [LINK-9] [CALL-9] [ERR-2]: what breaks the protocol for one actor costs that actor, and nobody else on the link.
func TestARunnerThatBreaksTheProtocolCostsItsActorOnly(t *testing.T) {
	for name, misbehave := range map[string]func(s *scripted, ref uint64, call *wire.Call){
		"answers twice": func(s *scripted, ref uint64, call *wire.Call) {
			s.send(&wire.CallResult{Actor: ref, ID: 1 << 40}, result(ref, call.ID, "\x01"))
		},
		"commits twice":   func(s *scripted, ref uint64, _ *wire.Call) { s.commit(ref, 2, "a", 1); s.commit(ref, 3, "b", 0) },
		"skips a version": func(s *scripted, ref uint64, _ *wire.Call) { s.commit(ref, 5, "a", 0) },
		"commits nonsense": func(s *scripted, ref uint64, _ *wire.Call) {
			s.send(&wire.Commit{Actor: ref, Version: 2, Changes: []byte{0xff}})
		},
		"is ready twice": func(s *scripted, ref uint64, _ *wire.Call) { s.cold(&runnerv1alpha1.ActorReady{Actor: ref}) },
		"fails a start that is over": func(s *scripted, ref uint64, _ *wire.Call) {
			s.cold(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED})
		},
		"sends damage": func(s *scripted, ref uint64, _ *wire.Call) {
			s.bytes(append([]byte{0, 0, 0, 6, 0x12, 4, 0x08, byte(ref)}, 0x22, 0x7f))
		},
		"sets schedules that were not negotiated": func(s *scripted, ref uint64, _ *wire.Call) {
			s.send(&wire.Commit{Actor: ref, Version: 2, Changes: changes(&runnerv1alpha1.Changes{Schedules: []*runnerv1alpha1.ScheduleOp{{Id: "x"}}})})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, gateway.Config{}, func(w *world) {
				s := w.scriptedRunner()
				neighbour := w.calling("neighbour", "x")
				n := s.begin().GetActor()
				nc := expect[*wire.Call](s)
				a := w.calling("bad", "x")
				ref := s.begin().GetActor()
				misbehave(s, ref, expect[*wire.Call](s))
				wantAnswer(w, a, "runner.invalid_report")
				s.send(result(n, nc.ID, "\x05"))
				wantAnswer(w, neighbour, `{"output":5}`)
				w.calling("bad", "again")
				s.mu.Lock()
				s.in = s.in[len(s.in)-1:]
				s.mu.Unlock()
				expect[*runnerv1alpha1.StartActor](s)
			})
		})
	}
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		a := w.calling("x", "x")
		ref := s.begin().GetActor()
		s.send(&wire.CallResult{Actor: ref, ID: expect[*wire.Call](s).ID, Error: &wire.Error{Group: "gateway", Code: "draining", Message: "a lie"}})
		wantAnswer(w, a, "internal.error")
	})
}

// [CALL-7] [SLEEP-3] [LIFE-10]
func TestACallThatDidNotRunGoesToTheNextLife(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		a := w.calling("x", "x")
		ref := s.begin().GetActor()
		call := expect[*wire.Call](s)
		s.cold(&runnerv1alpha1.ActorIntent{Actor: ref, Intent: runnerv1alpha1.Intent_INTENT_SLEEP})
		s.quiet()                                                       // not granted: a call is outstanding
		s.send(&wire.CallResult{Actor: ref, ID: call.ID, NotRun: true}) // as a runner says that is stopping by itself
		again := expect[*wire.Call](s)
		wantEqual(w, "attempt", again.Attempt, uint32(1))
		s.send(result(ref, again.ID, "\x01"))
		wantAnswer(w, a, `{"output":1}`)
		s.cold(&runnerv1alpha1.ActorIntent{Actor: ref, Intent: runnerv1alpha1.Intent_INTENT_SLEEP})
		expect[*runnerv1alpha1.StopActor](s)
		b := w.calling("x", "y")
		s.quiet() // new work waits for the next generation
		s.cold(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT})
		ref = s.begin().GetActor()
		s.send(result(ref, expect[*wire.Call](s).ID, "\x02"))
		wantAnswer(w, b, `{"output":2}`)
	})
}

// [SLEEP-3]: at the end of its grace a stopping actor is fenced.
func TestAStopThatHangsIsFenced(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		w.calling("x", "x", "Stagedoor-Deadline-Ms", "1000")
		ref := s.begin().GetActor()
		s.send(result(ref, expect[*wire.Call](s).ID, "\x01"))
		s.cold(&runnerv1alpha1.ActorIntent{Actor: ref, Intent: runnerv1alpha1.Intent_INTENT_SLEEP})
		stop := expect[*runnerv1alpha1.StopActor](s)
		wantEqual(w, "grace", stop.GetGraceMs(), uint32(15_000))
		b := w.calling("x", "y")
		for range 10 { // it answers pings, but does not stop
			sleep(1600 * time.Millisecond)
			s.cold(&commonv1alpha1.Ping{Nonce: 1})
		}
		wantEqual(w, "reason", expect[*runnerv1alpha1.StopActor](s).GetReason(), runnerv1alpha1.StopReason_STOP_REASON_FENCED)
		ref = s.begin().GetActor()
		s.send(result(ref, expect[*wire.Call](s).ID, "\x02"))
		wantAnswer(w, b, `{"output":2}`)
	})
}

// [LINK-3]: a frame over 64 KiB goes as parts, both ways.
func TestLargeFramesGoAsParts(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		c := w.client()
		large := strings.Repeat("x", 300_000)
		got := make(chan int, 1)
		go func() {
			v, err := client.Call[string](w.Context(), c.GetOrCreate("scripted", []string{"p"}), "echo", large)
			if err != nil {
				w.Errorf("echo: %v", err)
			}
			got <- len(v)
		}()
		ref := s.begin().GetActor()
		var whole wire.Assembler
		var raw []byte
		parts := 0
		for raw == nil {
			p := expect[*wire.Part](s)
			parts++
			var err error
			if raw, err = whole.Add(p, 1<<20); err != nil {
				w.Fatal(err)
			}
		}
		if parts < 5 {
			w.Errorf("%d parts", parts)
		}
		f, err := wire.ParseFrame(raw)
		if err != nil {
			w.Fatal(err)
		}
		var call wire.Call
		if err := call.Unmarshal(f.Body); err != nil {
			w.Fatal(err)
		}
		lane := wire.Lane{Actor: ref}
		var out wire.Outbox
		out.Push(&lane, result(ref, call.ID, string(call.Args[1:])))
		s.bytes(out.Take(nil, 1<<20))
		wantEqual(w, "came back", <-got, len(large))
	})
}

// heldStore holds commits back until the test says how they end, and can be away.
type heldStore struct {
	store.Store
	gone    atomic.Bool
	stuck   atomic.Bool            // Acquire alone is away
	without atomic.Pointer[string] // for the actor with this id alone
	mu      sync.Mutex
	holding bool
	held    []heldCommit
	seen    store.Commit
}

type heldCommit struct {
	c    store.Commit
	done func(error)
}

func (h *heldStore) Commit(c store.Commit, done func(error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = c
	if h.holding {
		h.held = append(h.held, heldCommit{c, done})
		return
	}
	h.Store.Commit(c, done)
}

var errAway = errors.New("the store is away")

func (h *heldStore) away(gone bool) { h.gone.Store(gone) }

func (h *heldStore) Resolve(ctx context.Context, a address.Address) (store.Record, error) {
	if h.gone.Load() {
		return store.Record{}, errAway
	}
	return h.Store.Resolve(ctx, a)
}

func (h *heldStore) Describe(ctx context.Context, id string) (store.Record, error) {
	if h.gone.Load() {
		return store.Record{}, errAway
	}
	return h.Store.Describe(ctx, id)
}

func (h *heldStore) Acquire(ctx context.Context, a store.Acquire) (store.Acquired, error) {
	without := h.without.Load()
	if h.gone.Load() || h.stuck.Load() || without != nil && *without == a.ID {
		return store.Acquired{}, errAway
	}
	return h.Store.Acquire(ctx, a)
}

func (h *heldStore) Destroy(ctx context.Context, id string) error {
	if h.gone.Load() {
		return errAway
	}
	return h.Store.Destroy(ctx, id)
}

func (h *heldStore) Ready(ctx context.Context) error {
	if h.gone.Load() {
		return errAway
	}
	return h.Store.Ready(ctx)
}

func (h *heldStore) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holding = true
}

func (h *heldStore) waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.held)
}

func (h *heldStore) last() store.Commit {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// answer ends the held commits with an error and goes on holding.
func (h *heldStore) answer(err error) {
	h.mu.Lock()
	held := h.held
	h.held = nil
	h.mu.Unlock()
	for _, c := range held {
		c.done(err)
	}
}

// release ends the held commits: with an error, or at the real store.
func (h *heldStore) release(err error) {
	h.mu.Lock()
	held := h.held
	h.held, h.holding = nil, false
	h.mu.Unlock()
	for _, c := range held {
		if err != nil {
			c.done(err)
			continue
		}
		h.Store.Commit(c.c, c.done)
	}
	synctest.Wait()
}
