package linkstate

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Schedules of one test run. STAGEDOOR_SOAK=1 plays the larger number, from a seed of its own each time; STAGEDOOR_SEED
// plays one schedule again.
const (
	schedules     = 2_000
	soakSchedules = 100_000
)

// [LINK-2] [LINK-3] [LINK-14] [LINK-15] [LINK-16] [LINK-18] [GATE-4]: whatever sockets do, each actor's frames come in
// order and exactly once, no more is kept than allowed, no credit is overdrawn, and once the network is healthy everything
// arrives and is acknowledged.
func TestSchedules(t *testing.T) {
	first, count := uint64(1), schedules
	if os.Getenv("STAGEDOOR_SOAK") != "" {
		first, count = uint64(time.Now().UnixNano()), soakSchedules
		t.Logf("seeds from %d on", first)
	}
	if seed := os.Getenv("STAGEDOOR_SEED"); seed != "" {
		var err error
		if first, err = strconv.ParseUint(seed, 10, 64); err != nil {
			t.Fatal(err)
		}
		count = 1
	}
	for i := range uint64(count) {
		if err := newSim(first+i, mutant{}).run(); err != nil {
			t.Fatalf("%v\nagain: STAGEDOOR_SEED=%d go test ./internal/linkstate -run TestSchedules", err, first+i)
		}
	}
}

// mutant is a fault built into one side, to show that the simulator sees it.
type mutant struct {
	setUp     func(*simSide)
	attached  func(*simSide)                        // behind Attach
	wire      func(*simSide, []byte) (out [][]byte) // in place of a frame that is written
	overdraws bool
}

// One that no schedule tells from a healthy State would mean that the simulator proves nothing.
func TestTheSimulatorSeesFaults(t *testing.T) {
	const enough = 500
	for name, c := range map[string]struct {
		mutant mutant
		want   string
	}{
		"a frame that is not sent again": {mutant{attached: func(e *simSide) {
			if s := &e.state; s.again < len(s.kept) {
				s.again += frameLen(s.kept[s.again:])
				s.written++
			}
		}}, "due is"},
		"everything is forgotten with the socket": {mutant{attached: func(e *simSide) {
			e.state.again, e.state.written = len(e.state.kept), e.state.sent
		}}, "due is"},
		"an acknowledgement of one frame too many": {mutant{wire: func(_ *simSide, frame []byte) [][]byte {
			if f := parse(frame); f.Kind == wire.RunnerAck {
				return framed(ack(decode(f).(*runnerv1alpha1.Ack).GetReceived() + 1))
			}
			return [][]byte{frame}
		}}, "the session is lost"},
		"a frame that comes twice": {mutant{wire: func(e *simSide, frame []byte) [][]byte {
			if counted(frame) && e.chance(1) {
				return [][]byte{frame, frame}
			}
			return [][]byte{frame}
		}}, "due is"},
		"a frame that never comes": {mutant{wire: func(e *simSide, frame []byte) [][]byte {
			if counted(frame) && e.chance(1) {
				return nil
			}
			return [][]byte{frame}
		}}, "due is"},
		"a Credit that is lost for ever": {mutant{wire: func(_ *simSide, frame []byte) [][]byte {
			if parse(frame).Kind == wire.RunnerCredit {
				return nil
			}
			return [][]byte{frame}
		}}, "groups of events wait"},
		"acknowledgements that are never sent": {mutant{wire: func(_ *simSide, frame []byte) [][]byte {
			if parse(frame).Kind == wire.RunnerAck {
				return nil
			}
			return [][]byte{frame}
		}}, "stuck"},
		"a Resumed that leaves a gap": {mutant{wire: func(_ *simSide, frame []byte) [][]byte {
			if f := parse(frame); f.Kind == wire.RunnerResumed {
				return framed(resumed(decode(f).(*runnerv1alpha1.Resumed).GetNext() + 1))
			}
			return [][]byte{frame}
		}}, "the session is lost"},
		"a bound that is not kept": {mutant{setUp: func(e *simSide) { e.state.maxUnacked *= 2 }}, "bytes, at most"},
		"a part without its actor's others": {mutant{wire: func(_ *simSide, frame []byte) [][]byte {
			if f := parse(frame); f.Kind == wire.RunnerPart && !decode(f).(*wire.Part).Last {
				return [][]byte{frame, wire.AppendMessage(nil, &wire.Commit{Actor: wire.ActorRef(f.Body)})}
			}
			return [][]byte{frame}
		}}, "between its parts"},
		"more events than there is credit for": {mutant{overdraws: true}, ErrOverdraw.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			var seen []string
			for seed := range uint64(enough) {
				err := newSim(seed, c.mutant).run()
				if err == nil {
					continue
				}
				if strings.Contains(err.Error(), c.want) {
					return
				}
				seen = append(seen, err.Error())
			}
			t.Errorf("%d schedules did not see it; they saw %v", enough, seen[:min(3, len(seen))])
		})
	}
}

// [LINK-17]: a peer that says anything at all makes the State neither panic nor change what it sent: what it says is
// possible, or the session is lost.
func TestWhateverAPeerSays(t *testing.T) {
	for seed := range uint64(schedules) {
		p := &liar{tester: newTester(t), rng: rand.New(rand.NewPCG(seed, 2))}
		for range 300 {
			if p.step() != nil {
				break
			}
		}
	}
}

// liar is a peer whose counts are possible most of the time, and what the State may believe of it.
type liar struct {
	*tester
	rng             *rand.Rand
	sent, at, acked uint64 // frames written in the session, on this socket, acknowledged
}

// near is a number from low to high, sometimes one beside them.
func (p *liar) near(low, high uint64) uint64 {
	if p.rng.IntN(50) == 0 {
		return []uint64{low - 1, high + 1, 0, math.MaxUint64}[p.rng.IntN(4)]
	}
	return low + p.rng.Uint64N(high-low+1)
}

func (p *liar) step() error {
	switch p.rng.IntN(8) {
	case 0, 1:
		p.push(p.rng.IntN(100))
	case 2, 3:
		p.reads()
	case 4:
		n := p.near(0, p.at)
		_, err := p.receive(ack(n))
		return p.judged(err, n <= p.at, n)
	case 5:
		_, err := p.receive(&wire.Commit{})
		return p.judged(err, !p.awaiting, 0)
	case 6, 7:
		n := p.near(p.acked, p.sent)
		if err := p.judged(p.Attach(n), p.acked <= n && n <= p.sent, n); err != nil {
			return err
		}
		p.at = n
		next := p.near(p.Received()+1, p.Received()+1)
		_, err := p.receive(resumed(next))
		return p.judged(err, next == p.Received()+1, 0)
	}
	return nil
}

// judged checks that the State takes what is possible and nothing else.
func (p *liar) judged(err error, possible bool, acked uint64) error {
	p.Helper()
	if (err == nil) != possible {
		p.Fatalf("possible %v, error %v; %d frames sent, %d on this socket, %d acknowledged", possible, err, p.sent, p.at, p.acked)
	}
	p.acked = max(p.acked, acked)
	return err
}

// reads checks that every number has the frame that it had before: they were pushed in the order of their versions.
func (p *liar) reads() {
	for text := range strings.FieldsSeq(describe(p, p.Take(nil, 1, p.now))) {
		version, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			continue // a link frame
		}
		if p.at++; version != p.at {
			p.Fatalf("frame %d is %d now", p.at, version)
		}
	}
	p.sent = max(p.sent, p.at)
}

func counted(frame []byte) bool {
	kind := parse(frame).Kind
	return !kind.IsLink() && kind != wire.RunnerWelcome
}

func framed(m wire.Message) [][]byte { return [][]byte{wire.AppendMessage(nil, m)} }
