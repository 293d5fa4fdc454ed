package runner

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// instance is one actor in memory: one incarnation, from StartActor to ActorStopped [LIFE-9], or several, where it is adopted
// in between [LEASE-4]. It is the state machine of the protocol around the user's struct: messages come in from the link's
// reader, frames go out to the link, and a goroutine of the crew runs the turns between. It waits for nothing under its lock,
// and runs no user code under it.
type instance struct {
	// Fixed at the start.
	def       *definition
	self      hosted
	id        string
	namespace string
	key       []string
	region    string

	// Of the present incarnation: written under the lock when the actor is adopted.
	home       atomic.Pointer[session]
	generation atomic.Uint64
	ref        uint64
	nonce      [16]byte
	lane       wire.Lane // used under the link's lock

	// Of the running turn, or of nobody: read without lock by the goroutine that runs it.
	conns        []*connection // written under the lock
	touchedConns []*connection

	mu sync.Mutex // guards all below, and is taken before the session's, the purse's and the link's
	ledger
	byRef   map[uint64]*connection
	present int32 // in conns
	holds   int32 // KeepAwake

	// The mailbox. cur is also read by the running turn's own goroutine, without the lock.
	head, tail *turn
	cur        *turn

	// Life. What is small stands together: an instance fills its size class, and the next one is an eighth larger.
	touched    bool // the state was asked for since the last flush; of the running turn, as above
	working    bool // a goroutine works on the mailbox
	ready      bool // the start has succeeded
	closing    bool // the last turn has begun: no turns at all
	over       bool
	adrift     bool // its session is lost, and it was not adopted yet: no turn begins, nothing is sent
	wantsSleep bool // Sleep was called
	destroying wish // Destroy was called

	arriving *arriving // its restored connections are still to come
	stop     *stopping // StopActor came: no new calls
	ending   *ending   // said once the last commit is acknowledged
	crashed  *wire.Error

	// Sleep.
	restedAt   int64 // end of the last turn or hold, on the steady clock
	sleepTimer *time.Timer

	rim *rim // what few actors need; nil until one does
}

// wish is how far a wish of the actor's that the gateway is told once has come.
type wish uint8

const (
	unwished wish = iota
	wished
	told
)

// sess is the actor's session; while it is adrift, the lost one.
func (in *instance) sess() *session { return in.home.Load() }

// rim is the part of an instance that most never need.
type rim struct {
	running context.Context // Context: ends when a stop begins
	halt    context.CancelFunc
	living  context.Context // of WaitUntil: ends with the instance
	kill    context.CancelFunc
	runOpen bool // Run has not returned
	tasks   int  // WaitUntil

	reads    map[uint64]*read
	lastRead uint64
	parked   []*runnerv1alpha1.KvRead // over max_reads_per_actor

	graceTimer *time.Timer
}

// ending is what ActorStopped will say.
type ending struct {
	outcome runnerv1alpha1.StopOutcome
	err     *wire.Error
}

// side returns the rim, which it makes at the first use. With the lock held.
func (in *instance) side() *rim {
	if in.rim == nil {
		r := &rim{}
		r.running, r.halt = context.WithCancel(context.Background())
		r.living, r.kill = context.WithCancel(context.Background())
		if in.over || in.stop != nil {
			r.halt()
		}
		if in.over {
			r.kill()
		}
		in.rim = r
	}
	return in.rim
}

// afterTurn does what follows a flush and an acknowledgement: intents, and the end if it is due. With the lock held.
func (in *instance) afterTurn() {
	if in.over {
		return
	}
	in.intendDestroy()
	if in.inflight || len(in.waiting) > 0 {
		return
	}
	if in.crashed != nil {
		in.end(runnerv1alpha1.StopOutcome_STOP_OUTCOME_CRASHED, in.crashed)
	} else if in.ending != nil {
		in.end(in.ending.outcome, in.ending.err)
	}
}

// intendDestroy goes before the outputs of the turn that asked for it, so that nobody who has seen its answer still finds
// the actor. With the lock held.
func (in *instance) intendDestroy() {
	if in.destroying == wished && in.ready && in.stop == nil && !in.adrift {
		in.destroying = told
		in.intend(runnerv1alpha1.Intent_INTENT_DESTROY)
	}
}

func (in *instance) intend(what runnerv1alpha1.Intent) {
	in.push(wire.Runner(&runnerv1alpha1.ActorIntent{Actor: in.ref, Intent: what}))
}

// push sends a frame of the actor past what waits. With the lock held, as all that sends.
func (in *instance) push(m wire.Message) { in.sess().link.push(&in.lane, m) }

// crash ends an actor that cannot go on, such as one whose state is too large: the turns since the last commit sent fail
// with e, calls that have not begun go back, and after the commit under way the gateway restarts it from there
// [STATE-2]. With the lock held.
func (in *instance) crash(e *wire.Error) {
	if in.over || in.crashed != nil {
		return
	}
	in.log().Error("actor crashed; it restarts from its last commit", "error", e)
	if in.adrift { // nobody is there to be told
		in.crashed = e
		in.drop()
		return
	}
	outputs := in.held
	for i := len(in.waiting) - 1; i >= 0; i-- {
		outputs = append(in.waiting[i].outputs[:len(in.waiting[i].outputs):len(in.waiting[i].outputs)], outputs...)
	}
	in.waiting, in.backlog = nil, 0
	in.pending, in.held, in.bytes = nil, nil, 0
	in.failCalls(outputs, e)
	in.crashed = e
	in.empty(true)
	in.afterTurn()
}

// failCalls answers the calls of turns whose changes are lost, and the running one.
func (in *instance) failCalls(outputs []wire.Message, e *wire.Error) {
	var running *wire.CallResult
	if t := in.cur; t != nil && t.answers() {
		running = &wire.CallResult{Actor: in.ref, ID: t.id, Error: e}
	}
	for _, m := range outputs {
		result, ok := m.(*wire.CallResult)
		if !ok {
			continue
		}
		in.push(&wire.CallResult{Actor: in.ref, ID: result.ID, Error: e})
		if running != nil && running.ID == result.ID {
			running = nil
		}
	}
	if running != nil {
		in.push(running)
		in.cur.cancel(context.Canceled)
	}
}

// end is the last thing an instance does: ActorStopped, and everybody who still waits for it is told. With the lock held.
func (in *instance) end(outcome runnerv1alpha1.StopOutcome, e *wire.Error) {
	if in.over {
		return
	}
	in.push(wire.Runner(&runnerv1alpha1.ActorStopped{Actor: in.ref, Outcome: outcome, Error: e.Proto()}))
	in.drop()
}

func (in *instance) ended() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.over
}

// drop is the end without a word: of an actor whose session is lost [LINK-11], and the rest of end. With the lock held.
func (in *instance) drop() {
	if in.over {
		return
	}
	in.over = true
	if in.cur != nil {
		in.cur.cancel(context.Canceled)
	}
	in.empty(false)
	in.tellMoved()
	in.ledger = ledger{version: in.version, inLine: in.inLine}
	if in.sleepTimer != nil {
		in.sleepTimer.Stop()
	}
	in.dropRim()
	in.sess().forget(in)
}

func (in *instance) dropRim() {
	r := in.rim
	if r == nil {
		return
	}
	r.halt()
	r.kill()
	if r.graceTimer != nil {
		r.graceTimer.Stop()
	}
	for id, asked := range r.reads {
		close(asked.answer)
		delete(r.reads, id)
	}
	r.parked = nil
}

func (in *instance) log() *slog.Logger {
	return in.sess().log.With("actor", in.id, "type", in.def.name, "generation", in.generation.Load())
}

// logFault writes what the caller is not told [ERR-3].
func (in *instance) logFault(t *turn, err error) {
	log := in.log().With("turn", t.kind.String(), "error", err)
	if t.action != nil {
		log = log.With("action", t.action.name)
	}
	if p, panicked := asPanic(err); panicked {
		log = log.With("stack", string(p.stack))
	}
	log.Error("actor code failed")
}
