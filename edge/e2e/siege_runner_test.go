package e2e

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// What hostile runners do. Each hosts a type of its own, which it calls by itself, and never one of the honest ones.

// rogue is a link of a hostile runner, past its handshake.
type rogue struct {
	*attacker
	net.Conn
	typ string
	mu  sync.Mutex
}

// link joins as a runner of a type of its own; nil: it was not let in.
func (a *attacker) link() *rogue {
	conn := a.dial(a.runners)
	if conn == nil {
		return nil
	}
	g := &rogue{attacker: a, Conn: conn, typ: fmt.Sprintf("rogue-%x", a.r.Uint32()%8)}
	g.say(wire.RunnerHello, &runnerv1alpha1.Hello{
		ProtocolMin: 1, ProtocolMax: 1, Features: wire.RunnerFeatures(), Types: []*runnerv1alpha1.ActorType{{Name: g.typ}},
	})
	return g
}

// say writes one frame.
func (g *rogue) say(kind wire.Kind, m proto.Message) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, err := g.Write(g.frame(kind, m))
	return err == nil
}

// work makes somebody call an actor of the rogue.
func (g *rogue) work() {
	url := fmt.Sprintf("%s/v1/actors/%s:%d/actions/x?deadlineMs=2000", g.url(), g.typ, g.r.IntN(4))
	g.attackers.Go(func() {
		if res, err := plainHTTP.Post(url, "application/json", nil); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	})
}

// listen reads frames and gives each to f, until the link ends.
func (g *rogue) listen(f func(any)) {
	r := bufio.NewReader(g.Conn)
	for {
		header, err := r.Peek(wire.HeaderLen)
		if err != nil {
			return
		}
		raw := make([]byte, wire.HeaderLen+int(binary.BigEndian.Uint32(header)))
		if _, err := io.ReadFull(r, raw); err != nil {
			return
		}
		frame, err := wire.ParseFrame(raw[wire.HeaderLen:])
		if err != nil {
			return
		}
		if m, err := wire.DecodeRunner(frame); err == nil {
			f(m)
		}
	}
}

func (a *attacker) halfLinks() {
	conn := a.dial(a.runners)
	if conn == nil {
		return
	}
	defer conn.Close()
	go drain(conn)
	for range 5 {
		b := a.anyFrame((*runnerv1alpha1.Frame)(nil))
		if _, err := conn.Write(b[:a.r.IntN(len(b)+1)]); err != nil {
			return
		}
	}
}

func (a *attacker) randomReports() {
	g := a.link()
	if g == nil {
		return
	}
	defer g.Close()
	go drain(g)
	for i := range 300 {
		if i%50 == 0 {
			g.work()
		}
		if _, err := g.Write(g.anyFrame((*runnerv1alpha1.Frame)(nil))); err != nil {
			return
		}
	}
}

// falseAnswers starts its actors and then lies about them.
func (a *attacker) falseAnswers() {
	g := a.link()
	if g == nil {
		return
	}
	defer g.Close()
	for range 4 {
		g.work()
	}
	frames := 0
	g.listen(func(m any) {
		if frames++; frames > 200 || g.ctx.Err() != nil {
			_ = g.Close()
			return
		}
		switch m := m.(type) {
		case *runnerv1alpha1.StartActor:
			g.say(wire.RunnerCommit, &runnerv1alpha1.Commit{Actor: m.Actor, Version: m.Version + 1, Outputs: uint32(g.r.IntN(3))})
			g.say(wire.RunnerActorReady, &runnerv1alpha1.ActorReady{Actor: m.Actor})
		case *wire.Call:
			for range 1 + g.r.IntN(3) { // twice, or for another, or to nothing
				g.say(wire.RunnerCallResult, &runnerv1alpha1.CallResult{
					Actor: m.Actor + uint64(g.r.IntN(3)), Id: m.ID + uint64(g.r.IntN(2)), NotRun: g.r.IntN(3) == 0, Output: g.bytes(),
				})
			}
			g.say(wire.RunnerCommit, &runnerv1alpha1.Commit{Actor: m.Actor, Version: g.number(), Changes: g.bytes(), Outputs: uint32(g.number())})
			g.say(wire.RunnerKvRead, &runnerv1alpha1.KvRead{Actor: m.Actor, Id: g.number(), Keys: [][]byte{g.bytes(), g.bytes()}})
			g.work()
		}
	})
}

func (a *attacker) eventFloods() {
	g := a.link()
	if g == nil {
		return
	}
	defer g.Close()
	g.work()
	g.listen(func(m any) {
		start, ok := m.(*runnerv1alpha1.StartActor)
		if !ok {
			return
		}
		ref := start.GetActor()
		g.say(wire.RunnerActorReady, &runnerv1alpha1.ActorReady{Actor: ref})
		g.say(wire.RunnerCommit, &runnerv1alpha1.Commit{Actor: ref, Version: 1, Outputs: 1 << 20}) // a group without end
		event := &runnerv1alpha1.Emit{Actor: ref, Event: "count", Args: make([]byte, 60_000)}
		for range 2000 {
			if !g.say(wire.RunnerEmit, event) {
				return
			}
		}
		_ = g.Close()
	})
}

func (a *attacker) endlessParts() {
	g := a.link()
	if g == nil {
		return
	}
	defer g.Close()
	go drain(g)
	data := make([]byte, 64<<10)
	for range 400 {
		if !g.say(wire.RunnerPart, &runnerv1alpha1.Part{Actor: uint64(g.r.IntN(50)), Data: data}) {
			return
		}
	}
}

func (a *attacker) linkFloods() {
	g := a.link()
	if g == nil {
		return
	}
	defer g.Close()
	if g.r.IntN(2) == 0 {
		go drain(g)
	}
	for i := range 20_000 {
		var ok bool
		switch g.r.IntN(4) {
		case 0:
			ok = g.say(wire.RunnerFence, &runnerv1alpha1.Fence{Nonce: uint64(i)})
		case 1:
			ok = g.say(wire.RunnerPong, &runnerv1alpha1.Pong{Nonce: uint64(i)})
		default:
			ok = g.say(wire.RunnerPing, &commonv1alpha1.Ping{Nonce: uint64(i)})
		}
		if !ok {
			return
		}
	}
}

func (a *attacker) silentRunner() {
	g := a.link()
	if g == nil {
		return
	}
	defer g.Close()
	for range 10 {
		g.work()
	}
	drain(g) // until the deadline of the connection
}

func (a *attacker) forgedSessions() {
	conn := a.dial(a.runners)
	if conn == nil {
		return
	}
	defer conn.Close()
	go drain(conn)
	hello := &runnerv1alpha1.Hello{
		ProtocolMin: 1, ProtocolMax: 1, Features: wire.RunnerFeatures(), Hosting: a.r.IntN(2) == 0,
		Types:  []*runnerv1alpha1.ActorType{{Name: "rogue-0"}},
		Resume: &runnerv1alpha1.Resume{Session: a.bytes(), Received: a.number()},
	}
	_, _ = conn.Write(a.frame(wire.RunnerHello, hello))
	for range 20 {
		hosted := &runnerv1alpha1.Hosted{}
		a.random(hosted, 2)
		if _, err := conn.Write(a.frame(wire.RunnerHosted, hosted)); err != nil {
			return
		}
		_, _ = conn.Write(a.frame(wire.RunnerAck, &runnerv1alpha1.Ack{Received: a.number()}))
		_, _ = conn.Write(a.frame(wire.RunnerResumed, &runnerv1alpha1.Resumed{Next: a.number()}))
	}
}
