package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

const (
	siegeTime    = 30 * time.Second
	siegeMemory  = 192 << 20 // the gateway's budget for queues and buffers
	siegeLines   = 3000      // in its log: a few messages, each with some lines every ten seconds
	siegeProcess = 700 << 20 // what the whole process may then take: budget, store, stacks, garbage
)

// siege is a gateway with honest users, under attack.
type siege struct {
	*site
	runners string // host:port of the listener for runners
	seed    uint64
	ctx     context.Context

	attackers sync.WaitGroup
	attacks   atomic.Int64
	canary    struct {
		calls, events atomic.Int64
		wrong         atomic.Pointer[string]
	}
}

// TestTheGatewayWithstandsHostileClients: for half a minute seeded attackers send half frames, frames of the wrong state, forged
// numbers and tokens, 100,000 opens, a byte a second, and never read; honest clients meanwhile notice nothing, the memory
// of the gateway stays bounded, and what the attackers held is free again afterwards. [FRAME-2] [FRAME-3] [SESS-4] [SESS-6]
// [LIMIT-1] [LIMIT-4]
func TestTheGatewayWithstandsHostileClients(t *testing.T) {
	s := besiege(t)
	for kind, attack := range map[string]func(*attacker){
		"half frames":      (*attacker).halfFrames,
		"random frames":    (*attacker).randomFrames,
		"random text":      (*attacker).randomText,
		"forged resumes":   (*attacker).forgedResumes,
		"many opens":       (*attacker).manyOpens,
		"never reads":      (*attacker).neverReads,
		"a byte a second":  (*attacker).slowBytes,
		"broken upgrades":  (*attacker).brokenUpgrades,
		"sockets for none": (*attacker).idleSockets,
	} {
		s.attack(kind, 2, attack)
	}
	s.withstand()
}

// TestTheGatewayWithstandsHostileRunners: the same with runners: forged refs, answers given twice and to nothing, commits of
// wrong versions, events beyond their credit, parts without end, floods, silence. [LINK-9] [LINK-17] [LINK-18] [LIMIT-5]
func TestTheGatewayWithstandsHostileRunners(t *testing.T) {
	s := besiege(t)
	for kind, attack := range map[string]func(*attacker){
		"half links":        (*attacker).halfLinks,
		"random reports":    (*attacker).randomReports,
		"false answers":     (*attacker).falseAnswers,
		"event floods":      (*attacker).eventFloods,
		"endless parts":     (*attacker).endlessParts,
		"link frame floods": (*attacker).linkFloods,
		"silence":           (*attacker).silentRunner,
		"forged sessions":   (*attacker).forgedSessions,
	} {
		s.attack(kind, 2, attack)
	}
	s.withstand()
}

// besiege starts a gateway, a runner of the examples and the honest clients.
func besiege(t *testing.T) *siege {
	t.Helper()
	s := &siege{site: plan(t), runners: freePort(t), seed: rand.Uint64()}
	if fixed := os.Getenv("STAGEDOOR_SIEGE_SEED"); fixed != "" {
		seed, err := strconv.ParseUint(fixed, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		s.seed = seed
	}
	t.Logf("STAGEDOOR_SIEGE_SEED=%d", s.seed)
	s.startGateway("--runner-listen", "tcp://"+s.runners, "--limit-max-memory", strconv.Itoa(siegeMemory))
	s.startRunner()
	ctx, cancel := context.WithTimeout(t.Context(), siegeTime)
	t.Cleanup(cancel)
	s.ctx = ctx
	return s
}

func (s *siege) attack(kind string, attackers int, f func(*attacker)) {
	for i := range attackers {
		a := &attacker{siege: s, kind: kind, r: rand.New(rand.NewPCG(s.seed, uint64(len(kind)*1000+i)))}
		s.attackers.Go(func() {
			for s.ctx.Err() == nil {
				f(a)
				s.attacks.Add(1)
			}
		})
	}
}

// withstand lives through the attack as an honest user, and looks at the gateway meanwhile.
func (s *siege) withstand() {
	s.t.Helper()
	var honest sync.WaitGroup
	for i := range 4 {
		honest.Go(func() { s.beHonest(i) })
	}
	most := 0
	for s.ctx.Err() == nil {
		wait(250 * time.Millisecond)
		most = max(most, s.resident())
	}
	honest.Wait()
	s.attackers.Wait()
	if wrong := s.canary.wrong.Load(); wrong != nil {
		s.t.Error(*wrong)
	}
	calls, events, attacks := s.canary.calls.Load(), s.canary.events.Load(), s.attacks.Load()
	s.t.Logf("%d attacks, %d honest calls, %d events heard, at most %d MiB in the gateway", attacks, calls, events, most>>20)
	if calls < 100 || events != calls || attacks < 100 {
		s.t.Errorf("%d attacks, %d honest calls, %d events heard", attacks, calls, events)
	}
	if most > siegeProcess {
		s.t.Errorf("the gateway took %d MiB", most>>20)
	}
	select {
	case <-s.gateway.exited:
		s.t.Fatal("the gateway has died")
	default:
	}
	if lines := strings.Count(s.gateway.output.String(), "\n"); lines > siegeLines {
		s.t.Errorf("the gateway has logged %d lines", lines)
	} else {
		s.t.Logf("%d lines in the gateway's log", lines)
	}
	wait(20 * time.Second) // sessions that can be resumed are kept for 30 s
	s.await("the attackers' sessions to be gone", func() bool { return strings.Contains(s.get("/metrics"), "\nstagedoor_sessions 0\n") })
	for _, bad := range []string{"panic", "fatal error", "DATA RACE"} {
		if strings.Contains(s.gateway.output.String(), bad) {
			s.t.Errorf("the gateway's log holds %q", bad)
		}
	}
}

// beHonest is a user who counts and listens; each call must succeed and be heard once.
func (s *siege) beHonest(i int) {
	fault := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		s.canary.wrong.CompareAndSwap(nil, &text)
	}
	sdk, err := client.New(s.url(), client.Options{})
	if err != nil {
		fault("honest client: %v", err)
		return
	}
	defer sdk.Close()
	heard := make(chan int, 1)
	conn := sdk.GetOrCreate("counter", []string{"honest", fmt.Sprint(i)}).Connect(client.ConnectOptions{Setup: func(c *client.Connection) {
		client.On(c, "count", func(n int) { heard <- n })
	}})
	for want := 1; s.ctx.Err() == nil; want++ {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		n, err := client.Call[int](ctx, conn, "increment", 1)
		if err != nil || n != want {
			fault("honest call %d returned %d, %v", want, n, err)
			cancel()
			return
		}
		s.canary.calls.Add(1)
		select {
		case n := <-heard:
			if n != want {
				fault("heard %d, want %d", n, want)
			}
			s.canary.events.Add(1)
		case <-ctx.Done():
			fault("count %d was not heard", want)
		}
		cancel()
		wait(2 * time.Millisecond)
	}
}

// resident is the gateway's memory in bytes.
func (s *siege) resident() int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.gateway.Process.Pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return pages * os.Getpagesize()
}

// attacker is one who means no good.
type attacker struct {
	*siege
	kind string
	r    *rand.Rand
}

// dial is a plain connection that ends after a while, or nil.
func (a *attacker) dial(address string) net.Conn {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		wait(10 * time.Millisecond)
		return nil
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	return conn
}

// drain reads what comes until the connection ends.
func drain(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// random fills a message with anything that its type allows.
func (a *attacker) random(m proto.Message, depth int) proto.Message {
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if a.r.IntN(3) == 0 || depth == 0 && f.Kind() == protoreflect.MessageKind {
			continue
		}
		switch {
		case f.IsMap():
		case f.IsList():
			list := m.ProtoReflect().Mutable(f).List()
			for range a.r.IntN(4) {
				if f.Kind() == protoreflect.MessageKind {
					item := list.NewElement()
					a.random(item.Message().Interface(), depth-1)
					list.Append(item)
					continue
				}
				list.Append(a.value(f))
			}
		case f.Kind() == protoreflect.MessageKind:
			a.random(m.ProtoReflect().Mutable(f).Message().Interface(), depth-1)
		default:
			m.ProtoReflect().Set(f, a.value(f))
		}
	}
	return m
}

var words = []string{"", "counter", "chat", "hostile", "increment", "count", "resume", "a", strings.Repeat("x", 300), "session.lost", "user.oops", "\x00"}

func (a *attacker) value(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(a.r.IntN(2) == 0)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(words[a.r.IntN(len(words))])
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(a.bytes())
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(a.r.IntN(7)))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(a.number()))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(a.number()))
	default:
		return protoreflect.ValueOfUint64(a.number())
	}
}

func (a *attacker) number() uint64 {
	switch a.r.IntN(4) {
	case 0:
		return a.r.Uint64()
	case 1:
		return uint64(a.r.IntN(100_000))
	default:
		return uint64(a.r.IntN(12))
	}
}

func (a *attacker) bytes() []byte {
	switch a.r.IntN(8) {
	case 0:
		return make([]byte, a.r.IntN(200_000))
	case 1:
		return []byte{0x81, 0x01} // [1]
	case 2:
		return []byte{0xa0}
	default:
		b := make([]byte, a.r.IntN(40))
		for i := range b {
			b[i] = byte(a.r.Uint32())
		}
		return b
	}
}

// frame is a message of the protocol as bytes, mostly whole.
func (a *attacker) frame(kind wire.Kind, m proto.Message) []byte {
	body, err := proto.MarshalOptions{AllowPartial: true}.Marshal(m)
	if err != nil {
		body = a.bytes()
	}
	if a.r.IntN(20) == 0 && len(body) > 0 {
		body[a.r.IntN(len(body))] ^= byte(1 + a.r.IntN(255))
	}
	return envelope(kind, body)
}

// envelope is a frame of any kind around any bytes.
func envelope(kind wire.Kind, body []byte) []byte {
	inner := binary.AppendUvarint(nil, uint64(kind)<<3|2)
	inner = binary.AppendUvarint(inner, uint64(len(body)))
	inner = append(inner, body...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(inner))), inner...)
}

// anyFrame is a random frame of a protocol, given by its Frame message.
func (a *attacker) anyFrame(frame proto.Message) []byte {
	if a.r.IntN(30) == 0 {
		return envelope(wire.Kind(1+a.r.IntN(200)), a.bytes())
	}
	fields := frame.ProtoReflect().Descriptor().Fields()
	f := fields.Get(a.r.IntN(fields.Len()))
	m := frame.ProtoReflect().New().Mutable(f).Message().Interface()
	return a.frame(wire.Kind(f.Number()), a.random(m, 3))
}
