package e2e

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// [LINK-9] [LIMIT-1]: each costs its actor, is counted as what it is, and its neighbour on the same link notices nothing.
func TestARunnerThatFloodsLosesItsActor(t *testing.T) {
	limits := wire.DefaultLimits()
	limits.MaxGroupOutputs, limits.MaxGroupBytes, limits.MaxHeldBytes, limits.MaxCommit = 10, 1000, 64<<10, 32<<10
	for name, c := range map[string]struct {
		flood func(s *scripted, ref uint64)
		limit string
	}{
		"reads behind a commit": {func(s *scripted, ref uint64) {
			s.commit(ref, 2, "a", 1)
			for id := range uint64(limits.MaxHeldBytes / 64) {
				s.cold(&runnerv1alpha1.KvRead{Actor: ref, Id: id + 1})
			}
			s.cold(&runnerv1alpha1.KvRead{Actor: ref, Id: 1 << 20})
		}, "max_held_bytes"},
		"a group of many": {func(s *scripted, ref uint64) { s.commit(ref, 2, "a", 11) }, "max_group_outputs"},
		"a group of bytes": {func(s *scripted, ref uint64) {
			s.commit(ref, 2, "a", 1)
			s.send(result(ref, 1, strings.Repeat("x", 2000)))
		}, "max_group_bytes"},
		"a large commit": {func(s *scripted, ref uint64) { s.commit(ref, 2, strings.Repeat("x", 40<<10), 0) }, "max_commit"},
		"many operations": {func(s *scripted, ref uint64) {
			s.send(&wire.Commit{Actor: ref, Version: 2, Changes: bytes.Repeat([]byte{0x12, 0}, 2000)})
		}, "max_kv_operations"},
		"many connections": {func(s *scripted, ref uint64) {
			s.send(&wire.Commit{Actor: ref, Version: 2, Changes: bytes.Repeat([]byte{0x32, 0}, 2000)})
		}, ""},
		"many schedules": {func(s *scripted, ref uint64) {
			s.send(&wire.Commit{Actor: ref, Version: 2, Changes: bytes.Repeat([]byte{0x1a, 0}, 2000)})
		}, ""},
		"a large event": {func(s *scripted, ref uint64) {
			var out wire.Outbox
			out.Push(&wire.Lane{Actor: ref}, &wire.Emit{Actor: ref, Event: []byte("e"), Args: make([]byte, 2<<20)})
			s.bytes(out.Take(nil, 4<<20))
		}, "max_event"},
		"a large unreliable event": {func(s *scripted, ref uint64) { // [CONN-11]
			e := &wire.Emit{Actor: ref, Event: []byte("e"), Args: make([]byte, wire.MaxUnreliableEvent-1), Unreliable: true}
			s.send(e)
			s.cold(&runnerv1alpha1.Fence{Actor: ref})
			expect[*runnerv1alpha1.FenceReached](s)
			e.Event = []byte("ee")
			s.send(e)
		}, "max_event"},
		"an event without name": {func(s *scripted, ref uint64) { s.send(&wire.Emit{Actor: ref}) }, "max_event_name"},
		"an event of a long name": {func(s *scripted, ref uint64) {
			s.send(&wire.Emit{Actor: ref, Event: bytes.Repeat([]byte("e"), 129)})
		}, "max_event_name"},
		"an event to too many": {func(s *scripted, ref uint64) {
			var out wire.Outbox
			out.Push(&wire.Lane{Actor: ref}, &wire.Emit{Actor: ref, Event: []byte("e"), To: make([]uint64, 100_001)})
			s.bytes(out.Take(nil, 1<<20))
		}, "max_connections_per_actor"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, gateway.Config{Limits: limits}, func(w *world) {
				s := w.scriptedRunner()
				neighbour := s.living("neighbour")
				ref := s.living("x")
				answer := w.calling("x", "x")
				expect[*wire.Call](s)
				c.flood(s, ref)
				synctest.Wait()
				s.mu.Lock()
				s.in = s.in[len(s.in)-1:] // behind what it was answered before
				s.mu.Unlock()
				s.wantStop(fenced)
				if r := <-answer; r.status < 400 {
					w.Errorf("the call was answered %s", r.raw)
				}
				if c.limit != "" {
					wantEqual(w, c.limit, metric(w, `stagedoor_limit_reached_total{limit="`+c.limit+`"}`), "1")
				}
				s.serves("neighbour", neighbour, 2)
			})
		})
	}
}

// [LINK-9] [LIMIT-1]: an actor has so many reads at once.
func TestAnActorThatReadsTooMuchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowReads{Store: gatewaytest.NewStore(t), let: make(chan struct{})}
		w := &world{t, gatewaytest.Start(t, gateway.Config{Store: slow, Logger: quiet()})}
		s := w.scriptedRunner()
		ref := s.living("x")
		most := uint64(wire.DefaultLimits().MaxReadsPerActor)
		for id := range most {
			s.cold(&runnerv1alpha1.KvRead{Actor: ref, Id: id, Keys: [][]byte{{1}}})
		}
		s.quiet()
		s.cold(&runnerv1alpha1.KvRead{Actor: ref, Id: most, Keys: [][]byte{{1}}})
		s.wantStop(fenced)
		wantEqual(t, "counted", metric(w, `stagedoor_limit_reached_total{limit="max_reads_per_actor"}`), "1")
		close(slow.let)
		s.quiet() // their answers are for nobody
		s.living("x")
	})
}

// slowReads is a store that reads when it is let.
type slowReads struct {
	store.Store
	let chan struct{}
}

func (s *slowReads) Read(ctx context.Context, q store.Read) (store.ReadResult, error) {
	<-s.let
	return s.Store.Read(ctx, q)
}

// [LINK-9]: a runner that asks and does not read is not answered without end.
func TestARunnerThatAsksAndDoesNotReadLosesItsActor(t *testing.T) {
	limits := wire.DefaultLimits()
	limits.MaxLinkQueue = 4 << 10
	for name, ask := range map[string]wire.Message{
		"fences": wire.Runner(&runnerv1alpha1.Fence{Nonce: 1, Actor: 1}),
		"reads":  wire.Runner(&runnerv1alpha1.KvRead{Actor: 1, Id: 1, Keys: [][]byte{bytes.Repeat([]byte{1}, 200)}}),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, gateway.Config{Limits: limits}, func(w *world) {
				s := w.scriptedRunner()
				wantEqual(w, "ref", s.living("x"), uint64(1))
				s.deaf()
				for range 1000 {
					s.send(ask)
					synctest.Wait()
				}
				wantEqual(w, "breaches", metric(w, "stagedoor_invalid_reports_total"), "1")
			})
		})
	}
}

// [LINK-19]: a runner that offers without end and does not read the answers is let go.
func TestARunnerThatOffersAndDoesNotRead(t *testing.T) {
	limits := wire.DefaultLimits()
	limits.MaxLinkQueue = 64 << 10
	inWorld(t, gateway.Config{Limits: limits}, func(w *world) {
		s := w.returning()
		close(s.stop) // it reads one frame more
		offers := &runnerv1alpha1.Hosted{Actors: slicesOf(512, &runnerv1alpha1.HostedActor{Id: "nobody", Actor: 1})}
		for range 100 {
			if _, err := s.conn.Write(wire.AppendMessage(nil, wire.Runner(offers))); err != nil {
				break
			}
		}
		sleep(5 * time.Second)
		wantEqual(w, "links", metric(w, "stagedoor_links"), "0")
	})
}

// [LINK-9]: a ref stands for an actor of its own link only, and a call for one of its own actor.
func TestNobodyReachesTheActorOfAnotherLink(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		victim := w.scriptedRunner()
		ref := victim.living("victim")
		answer := w.calling("victim", "x")
		call := expect[*wire.Call](victim)
		thief := w.script()
		hello := thief.aHello()
		hello.RunnerVersion = 9 // gets what is started from now on
		thief.cold(hello)
		expect[*runnerv1alpha1.Welcome](thief)
		thief.commit(ref, 2, "stolen", 0)
		thief.send(result(ref, call.ID, "\x09"))
		thief.cold(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_DESTROYED})
		thief.cold(&runnerv1alpha1.Hosted{Actors: []*runnerv1alpha1.HostedActor{{Id: resolve(w, "victim").ID, Actor: ref}}, Last: true})
		wantEqual(w, "adopt was not negotiated", expect[*commonv1alpha1.Unsupported](thief).GetKind(), uint32(50))
		thief.quiet()
		wantNone(w, answer, "the victim has not answered")
		own := w.calling("own", "x")
		mine := thief.begin().GetActor()
		wantEqual(w, "not the call of the victim", expect[*wire.Call](thief).ID != call.ID, true)
		wantEqual(w, "the same number on its own link", mine, ref)
		thief.send(result(mine, call.ID, "\x09"))
		wantAnswer(w, own, "runner.invalid_report")
		wantNone(w, answer, "the victim has not answered")
		victim.send(result(ref, call.ID, "\x01"))
		wantAnswer(w, answer, `{"output":1}`)
	})
}

// [KV-4] [LIMIT-7]: an answer to a read has a bound in bytes: a range has pages, for keys by name it is an error.
func TestAReadIsBoundedInBytes(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		ref := s.living("x")
		var keys [][]byte
		for i := range byte(6) {
			keys = append(keys, []byte{i})
			var out wire.Outbox
			out.Push(&wire.Lane{Actor: ref}, &wire.Commit{Actor: ref, Version: uint64(i) + 2, Changes: changes(&runnerv1alpha1.Changes{
				Kv: []*runnerv1alpha1.KvOp{{Key: []byte{i}, Value: make([]byte, 1000<<10)}},
			})})
			s.bytes(out.Take(nil, 4<<20))
			expect[*wire.CommitResult](s)
		}
		for _, c := range []struct {
			read    *runnerv1alpha1.KvRead
			entries int
			more    bool
			code    string
		}{
			{&runnerv1alpha1.KvRead{Keys: keys}, 0, false, "batch_too_large"},
			{&runnerv1alpha1.KvRead{Keys: keys[:5]}, 5, false, ""},
			{&runnerv1alpha1.KvRead{Range: &runnerv1alpha1.KvRange{}}, 1, true, ""},
			{&runnerv1alpha1.KvRead{Range: &runnerv1alpha1.KvRange{}, MaxBytes: 3 << 20}, 3, true, ""},
			{&runnerv1alpha1.KvRead{Range: &runnerv1alpha1.KvRange{}, MaxBytes: 1 << 30}, 4, true, ""},
			{&runnerv1alpha1.KvRead{Range: &runnerv1alpha1.KvRange{From: []byte{5}}, MaxBytes: 1}, 1, false, ""},
		} {
			c.read.Actor, c.read.Id = ref, 1
			s.cold(c.read)
			r := s.whole().(*runnerv1alpha1.KvResult)
			if len(r.GetEntries()) != c.entries || r.GetMore() != c.more || r.GetError().GetCode() != c.code {
				w.Errorf("%v: %d entries, more %v, error %v", c.read, len(r.GetEntries()), r.GetMore(), r.GetError())
			}
		}
	})
}

// whole is the next message, put together if it came in parts.
func (s *scripted) whole() any {
	s.w.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var a wire.Assembler
	for len(s.in) > 0 {
		m := s.in[0]
		s.in = s.in[1:]
		p, isPart := m.(*wire.Part)
		if !isPart {
			return m
		}
		raw, err := a.Add(p, 16<<20)
		if err != nil {
			s.w.Fatal(err)
		}
		if raw == nil {
			continue
		}
		f, err := wire.ParseFrame(raw)
		if err != nil {
			s.w.Fatal(err)
		}
		if m, err = wire.DecodeRunner(f); err != nil {
			s.w.Fatal(err)
		}
		return m
	}
	s.w.Fatal("nothing came")
	return nil
}

// [CONN-3] [ERR-3] [GATE-1]: what a runner names twice is served once, what it makes too long is cut, what it names and is not
// there is nothing, and what waits for a commit does not change meanwhile.
func TestWhatARunnerOverdoes(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.scriptedRunner().scene()
		conn := s.open.GetConnection()
		twice := event(s.ref, 1)
		twice.To = []uint64{conn, 99999, conn, conn}
		s.send(twice)
		s.cold(&runnerv1alpha1.ConnectionState{Actor: s.ref, Connection: 99999, State: []byte{1}})
		s.cold(&runnerv1alpha1.ConnectionClose{Actor: s.ref, Connection: 99999})
		for range 1000 {
			s.cold(&runnerv1alpha1.ActorIntent{Actor: s.ref})
		}
		wantEvent(s.client, 1)
		wantNothing(s.client)

		a, b := w.calling("x", "a"), w.calling("x", "b")
		call, other := expect[*wire.Call](s.scripted), expect[*wire.Call](s.scripted)
		held.hold()
		s.commit(s.ref, 2, "\x02", 2)
		s.send(&wire.CallResult{Actor: s.ref, ID: other.ID, Error: &wire.Error{Group: "user", Code: "short", Metadata: []byte("\x61m")}})
		s.send(&wire.CallResult{Actor: s.ref, ID: call.ID, Error: &wire.Error{
			Group: "user", Code: "long", Message: strings.Repeat("ä", 4<<10),
		}})
		for range 100 { // more than is read at once
			s.send(&wire.Emit{Actor: s.ref, Event: []byte("nobody"), Args: bytes.Repeat([]byte{0xff}, 4000)})
		}
		held.release(nil)
		expect[*wire.CommitResult](s.scripted)
		r := <-a
		wantEqual(w, "code", r.name(), "user.long")
		wantEqual(w, "message", len(r.err()["message"].(string)), 4<<10)
		r = <-b
		wantEqual(w, "code", r.name(), "user.short")
		wantEqual(w, "metadata", fmt.Sprint(r.err()["metadata"]), "m")

		s.cold(&runnerv1alpha1.ConnectionClose{Actor: s.ref, Connection: conn, Reason: strings.Repeat("x", 5000)})
		e := s.client.wantError("connectionClosed", "connection.disconnected", "reconnect", "never")
		wantEqual(w, "reason", len(e["message"].(string)), 4<<10)
	})
}

// [CONN-1] [CONN-4]: a connection that is told more than is kept for it before its accept is not opened, and says so; the
// actor that accepts it later hears that it has left.
func TestAConnectionIsNotToldTooMuchBeforeItsAccept(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		c := w.dial("/v1/actors/scripted:x/connect?subscribe=e", "")
		ref := s.begin().GetActor()
		open := expect[*runnerv1alpha1.ConnectionOpen](s)
		for range 20 {
			s.send(&wire.Emit{Actor: ref, Event: []byte("e"), Args: bytes.Repeat([]byte{0x80}, 60_000)})
		}
		c.want("welcome")
		c.wantError("connectionClosed", "actor.overloaded", "reconnect", "same")
		s.send(&wire.CallResult{Actor: ref, ID: open.GetCall()})
		wantEqual(w, "left", expect[*runnerv1alpha1.ConnectionClose](s).GetConnection(), open.GetConnection())
	})
}

// [LEASE-3] [LEASE-1]: a runner that does not ping loses its lease, and with it its session, whatever else it says.
func TestASessionEndsWithItsLease(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		s.live(60 * time.Second)
		s.quiet()
		for range 4 {
			sleep(4 * time.Second)
			s.cold(&runnerv1alpha1.Fence{Nonce: 1})
			expect[*runnerv1alpha1.FenceReached](s)
		}
		s.cold(&commonv1alpha1.Ping{Nonce: 1})
		wantEqual(w, "goodbye", expect[*commonv1alpha1.Goodbye](s).GetCode(), "runner.session_lost")
		s.ended()
	})
}

// [LINK-18]: the credit of events comes back when they leave the gate, and when they never will.
func TestTheCreditOfHeldEventsComesBack(t *testing.T) {
	limits := wire.DefaultLimits()
	limits.EventWindow, limits.LinkWindow = 10_000, 20_000
	held := new(heldStore)
	synctest.Test(t, func(t *testing.T) {
		held.Store = gatewaytest.NewStore(t)
		w := &world{t, gatewaytest.Start(t, gateway.Config{Store: held, Limits: limits, Logger: quiet()})}
		s := w.script()
		hello := s.aHello()
		hello.Features = append(hello.Features, wire.FeatureCredit)
		s.cold(hello)
		expect[*runnerv1alpha1.Welcome](s)
		ref := s.living("x")
		event := &wire.Emit{Actor: ref, Event: []byte("e"), Args: make([]byte, 1000-65)} // costs 1,000
		held.hold()
		s.commit(ref, 2, "\x02", 5)
		for range 6 {
			s.send(event)
		}
		s.quiet()
		held.release(nil)
		wantCredit(s, ref, 16_000)
		expect[*wire.CommitResult](s)
		s.commit(ref, 3, "\x03", 100) // never complete
		for range 8 {
			s.send(event)
		}
		s.quiet()
		s.commit(ref, 4, "", 0)
		wantCredit(s, 0, 34_000)
		s.wantStop(fenced)
	})
}

// wantCredit takes the Credit that came, before other frames or behind them.
func wantCredit(s *scripted, ref, offset uint64) {
	s.w.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.in {
		if c, ok := m.(*runnerv1alpha1.Credit); ok {
			wantEqual(s.w, "credit", fmt.Sprint(c.GetActor(), c.GetOffset()), fmt.Sprint(ref, offset))
			s.in = slices.Delete(s.in, i, i+1)
			return
		}
	}
	s.w.Fatalf("no Credit came, but %v", s.in)
}
