package vgw_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a virtual gateway and a runner that is played word by word.
type world struct {
	t       *testing.T
	gateway *vgw.Gateway
	trace   *trace.Recorder
	session *vgw.Session
	conn    *websocket.Conn
	left    [][]byte // frames of the last message that were not looked at
}

func newWorld(t *testing.T, change ...func(*vgw.Config)) *world {
	t.Helper()
	cfg := vgw.Config{Trace: trace.NewRecorder(nil)}
	for _, f := range change {
		f(&cfg)
	}
	g, err := vgw.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return &world{t: t, gateway: g, trace: cfg.Trace}
}

func (w *world) dial() {
	w.t.Helper()
	conn, err := websocket.Dial(w.t.Context(), w.gateway.Endpoint()+vgw.Path, vgw.Subprotocol, http.Header{"Authorization": {"Bearer x"}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	w.conn, w.left = conn, nil
}

// shake dials, says Hello and is welcomed.
func (w *world) shake(change ...func(*runnerv1alpha1.Welcome)) *runnerv1alpha1.Welcome {
	w.t.Helper()
	w.dial()
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_Hello{Hello: &runnerv1alpha1.Hello{Instance: "i", Features: vgw.Features()}}})
	socket, hello := w.accept()
	m := vgw.DefaultWelcome(hello)
	m.PingMs = 0
	for _, f := range change {
		f(m)
	}
	w.session = w.gateway.Welcome(socket, hello, m)
	return w.next().GetWelcome()
}

func (w *world) accept() (*vgw.Socket, *runnerv1alpha1.Hello) {
	w.t.Helper()
	socket, err := w.gateway.Accept(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	hello, err := socket.Hello(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return socket, hello
}

func (w *world) send(frames ...*vgw.Frame) {
	w.t.Helper()
	var message []byte
	for _, f := range frames {
		b, err := proto.Marshal(f)
		if err != nil {
			w.t.Fatal(err)
		}
		message = frame.Append(message, b)
	}
	if err := w.conn.Write(websocket.Binary, message); err != nil {
		w.t.Fatal(err)
	}
}

// next is the gateway's next frame, acknowledgements aside.
func (w *world) next() *vgw.Frame {
	w.t.Helper()
	for {
		f := w.any()
		if f.GetAck() == nil {
			return f
		}
	}
}

func (w *world) any() *vgw.Frame {
	w.t.Helper()
	for len(w.left) == 0 {
		_, message, err := w.conn.Read()
		if err != nil {
			w.t.Fatalf("read: %v", err)
		}
		if w.left, err = frame.Split(message, 1<<24); err != nil {
			w.t.Fatal(err)
		}
	}
	f := &vgw.Frame{}
	if err := proto.Unmarshal(w.left[0], f); err != nil {
		w.t.Fatal(err)
	}
	w.left = w.left[1:]
	return f
}

func commit(ref, version uint64, outputs uint32, c *runnerv1alpha1.Changes) *vgw.Frame {
	b, _ := proto.Marshal(c)
	return &vgw.Frame{Kind: &runnerv1alpha1.Frame_Commit{Commit: &runnerv1alpha1.Commit{Actor: ref, Version: version, Changes: b, Outputs: outputs}}}
}

func (w *world) start(hold ...string) (*vgw.Actor, *runnerv1alpha1.StartActor) {
	w.t.Helper()
	a, m := w.session.Start(vgw.Record{ID: "local-1", Namespace: "default", Type: "t", Key: []string{"k"}, Input: []byte{5}}, hold...)
	return a, m
}

func TestAHandshakeAndItsPings(t *testing.T) {
	w := newWorld(t)
	m := w.shake(func(m *runnerv1alpha1.Welcome) { m.PingMs = 1 })
	if m.Protocol != vgw.Protocol || !slices.Equal(m.Features, vgw.Features()) || len(m.Session) != 16 {
		t.Errorf("welcome is %v", m)
	}
	if f := w.next(); f.GetPing() == nil {
		t.Errorf("got %v, want a Ping", f)
	}
	w.session.Hold(vgw.Pongs)
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_Ping{Ping: &commonv1alpha1.Ping{Nonce: 9}}})
	w.session.Release(false, vgw.Pongs)
	f := w.next()
	for f.GetPing() != nil {
		f = w.next()
	}
	if p := f.GetPong(); p.GetNonce() != 9 || p.LeaseMs != m.LeaseMs {
		t.Errorf("got %v, want the Pong [LEASE-1]", f)
	}
}

func TestACommitIsAcknowledgedWhenItsGroupIsWhole(t *testing.T) {
	w := newWorld(t)
	w.shake()
	a, m := w.start()
	if !m.Create || m.Version != 0 || string(m.Input) != "\x05" || len(m.Nonce) != 16 {
		t.Errorf("start is %v", m)
	}
	state := []byte{1}
	w.send(commit(a.Ref(), 1, 1, &runnerv1alpha1.Changes{State: state, Kv: []*runnerv1alpha1.KvOp{{Key: []byte("k"), Value: []byte{}}}}))
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_Fence{Fence: &runnerv1alpha1.Fence{Nonce: 1}}})
	if f := w.next(); f.GetFenceReached() == nil {
		t.Fatalf("got %v before the group is whole [GATE-2]", f)
	}
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_CallResult{CallResult: &runnerv1alpha1.CallResult{Actor: a.Ref(), Id: 1}}})
	if r := w.next().GetCommitResult(); r.GetVersion() != 1 || r.Error != nil {
		t.Fatalf("result is %v", r)
	}
	rec := w.gateway.Store.Get("local-1")
	if rec.Version != 1 || string(rec.State) != "\x01" || rec.KV["k"] == nil || rec.Generation != a.Generation() {
		t.Errorf("stored %+v", rec)
	}
	w.send(commit(a.Ref(), 3, 0, &runnerv1alpha1.Changes{}))
	if r := w.next().GetCommitResult(); r.GetError().GetCode() != "fenced" {
		t.Errorf("a gap is answered %v [COMMIT-2]", r)
	}
	if s := w.next().GetStopActor(); s.GetReason() != runnerv1alpha1.StopReason_STOP_REASON_FENCED {
		t.Errorf("then came %v [COMMIT-5]", s)
	}
}

func TestCommitsAndReadsAreHeldInOrder(t *testing.T) {
	w := newWorld(t)
	w.shake()
	a, _ := w.start(vgw.Commits)
	read := func(id uint64) *vgw.Frame {
		return &vgw.Frame{Kind: &runnerv1alpha1.Frame_KvRead{KvRead: &runnerv1alpha1.KvRead{Actor: a.Ref(), Id: id, Keys: [][]byte{[]byte("k"), []byte("no")}}}}
	}
	w.send(commit(a.Ref(), 1, 0, &runnerv1alpha1.Changes{Kv: []*runnerv1alpha1.KvOp{{Key: []byte("k"), Value: []byte("v")}}}), read(1))
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_Fence{Fence: &runnerv1alpha1.Fence{Nonce: 1}}})
	if f := w.next(); f.GetFenceReached() == nil {
		t.Fatalf("got %v while the commit is held", f)
	}
	if err := a.Release(true, false, nil, vgw.Commits); err != nil {
		t.Fatal(err)
	}
	if r := w.next().GetCommitResult(); r.GetVersion() != 1 {
		t.Errorf("released %v", r)
	}
	entries := w.next().GetKvResult().GetEntries()
	if len(entries) != 2 || string(entries[0].Value) != "v" || entries[1].Value != nil {
		t.Errorf("read %v [KV-3]", entries)
	}
	if err := a.Release(true, false, nil); err == nil {
		t.Error("nothing is held, and was released")
	}
	w.send(commit(a.Ref(), 2, 0, &runnerv1alpha1.Changes{}))
	e := w.find(func(e *vgw.Entry) bool { return e.Frame.GetCommit().GetVersion() == 2 })
	if e.Actor() != a.Ref() {
		t.Errorf("entry %+v", e)
	}
	if err := a.Release(false, false, vgw.Err("kv.quota_exceeded")); err != nil {
		t.Fatal(err)
	}
	if r := w.next().GetCommitResult(); r.GetError().GetGroup() != "kv" {
		t.Errorf("refused with %v", r)
	}
}

func (w *world) find(fits func(*vgw.Entry) bool) *vgw.Entry {
	w.t.Helper()
	e, err := w.gateway.Log.Find(w.t.Context(), 0, fits)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// [LINK-20] [GATE-2]
func TestAnActorsFenceWaitsForTheCommitsBeforeIt(t *testing.T) {
	w := newWorld(t)
	w.shake()
	a, _ := w.start(vgw.Commits)
	fence := func(nonce, actor uint64) *vgw.Frame {
		return &vgw.Frame{Kind: &runnerv1alpha1.Frame_Fence{Fence: &runnerv1alpha1.Fence{Nonce: nonce, Actor: actor}}}
	}
	link := func() {
		t.Helper()
		w.send(fence(9, 0))
		if m := w.next().GetFenceReached(); m.GetNonce() != 9 {
			t.Fatalf("the fence of the actor was answered: %v", m)
		}
	}
	w.send(commit(a.Ref(), 1, 1, &runnerv1alpha1.Changes{}), fence(1, a.Ref()), fence(2, a.Ref()+1000))
	link() // the group is not whole
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_CallResult{CallResult: &runnerv1alpha1.CallResult{Actor: a.Ref(), Id: 1}}})
	link() // the commit is held
	if err := a.Release(false, false, nil); err != nil {
		t.Fatal(err)
	}
	if r := w.next().GetCommitResult(); r.GetVersion() != 1 {
		t.Errorf("released %v", r)
	}
	if m := w.next().GetFenceReached(); m.GetNonce() != 1 || m.Actor != a.Ref() {
		t.Errorf("behind the commit came %v", m)
	}
	w.send(fence(3, a.Ref()))
	if m := w.next().GetFenceReached(); m.GetNonce() != 3 {
		t.Errorf("with nothing in front came %v", m)
	}
}

func TestRangesAreRead(t *testing.T) {
	w := newWorld(t)
	w.shake()
	a, _ := w.start()
	c := &runnerv1alpha1.Changes{}
	for _, k := range []string{"a", "b", "c", "d"} {
		c.Kv = append(c.Kv, &runnerv1alpha1.KvOp{Key: []byte(k), Value: []byte(k)})
	}
	c.Kv = append(c.Kv, &runnerv1alpha1.KvOp{Key: []byte("d"), DeleteUntil: []byte{}})
	w.send(commit(a.Ref(), 1, 0, c))
	w.next()
	for _, c := range []struct {
		read *runnerv1alpha1.KvRead
		want string
		more bool
	}{
		{&runnerv1alpha1.KvRead{Range: &runnerv1alpha1.KvRange{}}, "abc", false},
		{&runnerv1alpha1.KvRead{Range: &runnerv1alpha1.KvRange{From: []byte("b")}, Limit: 1}, "b", true},
		{&runnerv1alpha1.KvRead{Range: &runnerv1alpha1.KvRange{Until: []byte("c")}, Reverse: true}, "ba", false},
	} {
		c.read.Actor = a.Ref()
		w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_KvRead{KvRead: c.read}})
		r, got := w.next().GetKvResult(), ""
		for _, e := range r.GetEntries() {
			got += string(e.Key)
		}
		if got != c.want || r.GetMore() != c.more {
			t.Errorf("%v reads %q, more %t [KV-4]", c.read, got, r.GetMore())
		}
	}
}

func TestASessionGoesOnOverAnotherSocket(t *testing.T) {
	w := newWorld(t)
	welcome := w.shake()
	a, _ := w.start()
	if err := w.session.Send(call(a.Ref(), 1)); err != nil {
		t.Fatal(err)
	}
	w.next()
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_CallResult{CallResult: &runnerv1alpha1.CallResult{Actor: a.Ref(), Id: 1}}})
	if f := w.any(); f.GetAck().GetReceived() != 1 {
		t.Fatalf("got %v, want the Ack [LINK-14]", f)
	}
	socket := w.session.Socket()
	socket.Cut("test")
	<-socket.Done()
	if err := w.session.Send(call(a.Ref(), 2)); err != nil {
		t.Fatalf("a session with resume takes nothing without socket: %v", err)
	}
	w.dial()
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_Hello{Hello: &runnerv1alpha1.Hello{Resume: &runnerv1alpha1.Resume{Session: welcome.Session, Received: 1}}}})
	socket, hello := w.accept()
	session := w.gateway.Resumable(hello)
	if session != w.session {
		t.Fatal("the session cannot be resumed")
	}
	if err := w.gateway.Resume(socket, hello, session, nil); err != nil {
		t.Fatal(err)
	}
	if m := w.next().GetWelcome(); m.GetResumedReceived() != 1 {
		t.Errorf("welcome is %v [LINK-16]", m)
	}
	if m := w.next().GetResumed(); m.GetNext() != 2 {
		t.Errorf("resumed is %v", m)
	}
	if m := w.next().GetCall(); m.GetId() != 2 {
		t.Errorf("then came %v", m)
	}
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_Resumed{Resumed: &runnerv1alpha1.Resumed{Next: 3}}})
	if m := w.next().GetGoodbye(); m.GetCode() != "runner.session_lost" {
		t.Errorf("a gap is answered %v [LINK-17]", m)
	}
	hello.Resume.Received = 99
	if w.gateway.Resumable(hello) != nil {
		t.Error("a session that is over can be resumed")
	}
}

func call(ref, id uint64) *vgw.Frame {
	return &vgw.Frame{Kind: &runnerv1alpha1.Frame_Call{Call: &runnerv1alpha1.Call{Actor: ref, Id: id}}}
}

func TestActorsOfALostSessionAreAdopted(t *testing.T) {
	w := newWorld(t)
	w.shake()
	a, m := w.start()
	c := &runnerv1alpha1.Changes{State: []byte{1}}
	w.send(commit(m.Actor, 1, 0, c))
	w.next()
	old := m.Actor
	w.session.End()
	_ = w.conn.Close()
	w.shake()
	raw, _ := proto.Marshal(c)
	sum := sha256.Sum256(raw)
	hosted := &runnerv1alpha1.HostedActor{Id: m.Id, Generation: m.Generation, Nonce: m.Nonce, Version: 0, Actor: old, Pending: sum[:16]}
	wrong := &runnerv1alpha1.HostedActor{Id: m.Id, Generation: m.Generation - 1, Nonce: m.Nonce, Version: 1, Actor: 5}
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_Hosted{Hosted: &runnerv1alpha1.Hosted{Actors: []*runnerv1alpha1.HostedActor{wrong, hosted}, Last: true}}})
	if r := w.next().GetAdopted(); r.GetOld() != 5 || r.GetError() == nil {
		t.Errorf("another generation is adopted: %v [LEASE-4]", r)
	}
	r := w.next().GetAdopted()
	if r.GetOld() != old || r.Error != nil || r.Version != 1 || r.Actor == old || r.Generation <= m.Generation || a.Ref() != r.Actor {
		t.Errorf("adopted %v [LEASE-4]", r)
	}
}

func TestADrainingRunnerIsEmptied(t *testing.T) {
	w := newWorld(t)
	w.shake()
	a, _ := w.start()
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_Drain{Drain: &runnerv1alpha1.Drain{DeadlineMs: 1000}}})
	if s := w.next().GetStopActor(); s.GetReason() != runnerv1alpha1.StopReason_STOP_REASON_DRAIN || s.Actor != a.Ref() {
		t.Fatalf("got %v [LINK-10]", s)
	}
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_ActorStopped{ActorStopped: &runnerv1alpha1.ActorStopped{Actor: a.Ref()}}})
	if f := w.next(); f.GetGoodbye() == nil {
		t.Errorf("got %v, want Goodbye", f)
	}
	if w.gateway.Running(a) {
		t.Error("the actor runs")
	}
}

func TestCreditIsGivenBack(t *testing.T) {
	w := newWorld(t)
	w.shake(func(m *runnerv1alpha1.Welcome) { m.Limits.EventWindow, m.Limits.LinkWindow = 400, 100_000 })
	a, _ := w.start()
	emit := &vgw.Frame{Kind: &runnerv1alpha1.Frame_Emit{Emit: &runnerv1alpha1.Emit{Actor: a.Ref(), Event: "e", Args: []byte{0x80}}}}
	w.send(emit, emit, emit, emit)
	if c := w.next().GetCredit(); c.GetActor() != a.Ref() || c.Offset != 400+4*66 {
		t.Errorf("credit is %v [LINK-18]", c)
	}
}

func TestWhatIsNoFrameEndsTheSocket(t *testing.T) {
	for name, message := range map[string][]byte{"cut off": {0, 0, 0, 9, 1}, "malformed": {0, 0, 0, 1, 0xff}, "empty": {}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.shake()
			if err := w.conn.Write(websocket.Binary, message); err != nil {
				t.Fatal(err)
			}
			if bye := w.next().GetGoodbye(); bye.GetCode() != "runner.invalid_frame" {
				t.Errorf("goodbye is %v [FRAME-2]", bye)
			}
			var closed *websocket.CloseError
			if _, _, err := w.conn.Read(); !errors.As(err, &closed) {
				t.Errorf("then came %v", err)
			}
		})
	}
}

func TestUnknownKindsAreAnswered(t *testing.T) {
	w := newWorld(t)
	w.shake()
	f := &vgw.Frame{}
	f.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), nil))
	w.send(f)
	if u := w.next().GetUnsupported(); u.GetKind() != 99 {
		t.Errorf("got %v [FRAME-4]", u)
	}
}

func TestAFloodIsCutOff(t *testing.T) {
	w := newWorld(t, func(c *vgw.Config) { c.MaxFrames = 100 })
	w.shake()
	fence := &vgw.Frame{Kind: &runnerv1alpha1.Frame_FenceReached{FenceReached: &runnerv1alpha1.FenceReached{}}}
	socket := w.session.Socket()
	for range 60 {
		b, _ := proto.Marshal(fence)
		_ = w.conn.Write(websocket.Binary, frame.Append(nil, b)) // fails when the flood was cut off
	}
	<-socket.Done()
	if !strings.Contains(socket.Why(), "floods") {
		t.Errorf("ended: %s", socket.Why())
	}
}

func TestATapStandsBetween(t *testing.T) {
	double := func() vgw.Tap {
		return func(f *vgw.Frame) []*vgw.Frame {
			if f.GetCallResult() != nil || f.GetCall() != nil {
				return []*vgw.Frame{f, f}
			}
			return []*vgw.Frame{f}
		}
	}
	w := newWorld(t, func(c *vgw.Config) { c.FromRunner, c.ToRunner = double, double })
	w.shake()
	a, _ := w.start()
	if err := w.session.Send(call(a.Ref(), 7)); err != nil {
		t.Fatal(err)
	}
	if one, two := w.next().GetCall(), w.next().GetCall(); one.GetId() != 7 || two.GetId() != 7 {
		t.Error("the call does not come twice")
	}
	w.send(&vgw.Frame{Kind: &runnerv1alpha1.Frame_CallResult{CallResult: &runnerv1alpha1.CallResult{Actor: a.Ref(), Id: 7}}})
	first := w.find(func(e *vgw.Entry) bool { return e.Name == "callResult" })
	if _, err := w.gateway.Log.Find(t.Context(), first.Index+1, func(e *vgw.Entry) bool { return e.Name == "callResult" }); err != nil {
		t.Error(err)
	}
}

func TestLongFramesGoInParts(t *testing.T) {
	w := newWorld(t)
	w.shake()
	a, _ := w.start()
	long := call(a.Ref(), 1)
	long.GetCall().Args = make([]byte, 100_000)
	if err := w.session.Send(long); err != nil {
		t.Fatal(err)
	}
	var parts frame.Assembler
	for {
		whole, err := parts.Add(w.next().GetPart(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if whole != nil {
			break
		}
	}
	events := w.trace.Since(0)
	if !slices.ContainsFunc(events, func(e *trace.Event) bool { return e.Assembled && e.Direction == trace.ToRunner }) {
		t.Error("the trace has parts only")
	}
}

func TestAHandshakeIsRefused(t *testing.T) {
	w := newWorld(t)
	w.gateway.Refuse(http.StatusServiceUnavailable)
	if _, err := websocket.Dial(t.Context(), w.gateway.Endpoint()+vgw.Path, vgw.Subprotocol, nil); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("refused: %v", err)
	}
	<-w.gateway.Refused()
	if _, err := websocket.Dial(t.Context(), w.gateway.Endpoint()+"/other", vgw.Subprotocol, nil); err == nil {
		t.Error("another path is taken")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := w.gateway.Accept(ctx); err == nil {
		t.Error("a refused socket is accepted")
	}
}
