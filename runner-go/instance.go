package runner

import (
	"context"
	"log/slog"
	"sync"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// instance is one actor in memory: one incarnation, from StartActor to ActorStopped [LIFE-9]. It is the state machine of
// the protocol around the user's struct: messages come in from the link's reader, frames go out to the link's outbox, and a
// worker goroutine runs the turns between. It waits for nothing under its lock, and runs no user code under it.
type instance struct {
	// Fixed at the start.
	ref        uint64
	sess       *session
	def        *definition
	self       hosted
	id         string
	namespace  string
	key        []string
	region     string
	generation uint64

	// Of the running turn, or of nobody: touched without lock by the goroutine that runs it.
	touched      bool // the state was asked for since the last flush
	conns        []*connection
	byRef        map[uint64]*connection
	touchedConns []*connection

	lane wire.Lane // under the link's lock

	mu sync.Mutex // guards all below, and is taken before the session's and the link's
	ledger

	// The mailbox. cur is also read by the running turn's own goroutine, without the lock.
	head, tail *turn
	cur        *turn
	working    bool

	// Life.
	arriving *starting // its restored connections are still to come
	ready    bool      // the start has succeeded
	stop     *stopping // StopActor came: no new calls
	closing  bool      // the last turn has begun: no turns at all
	ending   *ending   // said once the last commit is acknowledged
	crashed  *wire.Error
	over     bool

	// Sleep.
	restedAt     time.Time // end of the last turn or hold
	sleepTimer   *time.Timer
	holds        int  // KeepAwake and WaitUntil
	wantsSleep   bool // Sleep was called
	wantsDestroy bool

	rim *rim // what few actors need; nil until one does
}

// rim is the part of an instance that most never need.
type rim struct {
	running context.Context // Context: ends when a stop begins
	halt    context.CancelFunc
	living  context.Context // of WaitUntil: ends with the instance
	kill    context.CancelFunc
	runOpen bool // Run has not returned

	reads    map[uint64]chan *runnerv1alpha1.KvResult
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
	if in.inflight {
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
	if in.wantsDestroy && in.ready && in.stop == nil {
		in.wantsDestroy = false
		in.intend(runnerv1alpha1.Intent_INTENT_DESTROY)
	}
}

func (in *instance) intend(what runnerv1alpha1.Intent) {
	in.sess.link.push(&in.lane, wire.Runner(&runnerv1alpha1.ActorIntent{Actor: in.ref, Intent: what}))
}

// crash ends an actor that cannot go on, such as one whose state is too large: the turns since the last commit sent fail
// with e, calls that have not begun go back, and after the commit under way the gateway restarts it from there
// [STATE-2]. With the lock held.
func (in *instance) crash(e *wire.Error) {
	if in.over || in.crashed != nil {
		return
	}
	in.log().Error("actor crashed; it restarts from its last commit", "error", e)
	outputs := in.held
	for i := len(in.waiting) - 1; i >= 0; i-- {
		outputs = append(in.waiting[i].outputs[:len(in.waiting[i].outputs):len(in.waiting[i].outputs)], outputs...)
	}
	in.waiting, in.pending, in.held, in.bytes = nil, nil, nil, 0
	in.failCalls(outputs, e)
	in.crashed = e
	in.empty(true)
	in.afterTurn()
}

// failCalls answers the calls of turns whose changes are lost, and the running one.
func (in *instance) failCalls(outputs []wire.Message, e *wire.Error) {
	var running *wire.CallResult
	if t := in.cur; t != nil && (t.kind == turnCall || t.kind == turnOpen) {
		running = &wire.CallResult{Actor: in.ref, ID: t.id, Error: e}
	}
	for _, m := range outputs {
		result, ok := m.(*wire.CallResult)
		if !ok {
			continue
		}
		in.sess.link.push(&in.lane, &wire.CallResult{Actor: in.ref, ID: result.ID, Error: e})
		if running != nil && running.ID == result.ID {
			running = nil
		}
	}
	if running != nil {
		in.sess.link.push(&in.lane, running)
		in.cur.cancel(context.Canceled)
	}
}

// end is the last thing an instance does: ActorStopped, and everybody who still waits for it is told. With the lock held.
func (in *instance) end(outcome runnerv1alpha1.StopOutcome, e *wire.Error) {
	if in.over {
		return
	}
	in.sess.link.push(&in.lane, wire.Runner(&runnerv1alpha1.ActorStopped{Actor: in.ref, Outcome: outcome, Error: e.Proto()}))
	in.drop()
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
	in.ledger = ledger{version: in.version, acked: in.acked}
	if in.acked != nil {
		close(in.acked)
		in.acked = nil
	}
	if in.sleepTimer != nil {
		in.sleepTimer.Stop()
	}
	in.dropRim()
	in.sess.forget(in)
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
	for id, answer := range r.reads {
		close(answer)
		delete(r.reads, id)
	}
}

func (in *instance) log() *slog.Logger {
	return in.sess.log.With("actor", in.id, "type", in.def.name, "generation", in.generation)
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
