package route

import (
	"context"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Request is what every visitor of an actor brings.
type Request struct {
	// Address, or ID if it is not empty.
	Address  address.Address
	ID       string
	Mode     commonv1alpha1.Mode
	Input    []byte // for a creation
	HasInput bool
	Deadline time.Time
	// Trace is a W3C trace context as 25 bytes, or nil.
	Trace      []byte
	TraceState []byte
	Principal  auth.Principal

	created bool // this very request has created the actor; guarded by its lock
}

// visitor is somebody who wants the actor to run: a call, a connection being opened, a creation, a destruction.
type visitor interface {
	request() *Request
	// arrive tells the visitor which entry it is at. The entry's lock is held.
	arrive(*Actor)
	// deliver gives the visitor what it came for; the actor runs and its lock is held.
	deliver(*Actor)
	// fail ends the visitor. It is called once, or deliver is.
	fail(*wire.Error)
}

// phase is where an actor is in its life, as this gateway sees it.
type phase uint8

const (
	idle     phase = iota // not hosted
	starting              // from the first visitor to ActorReady, or from an offer to Adopted
	awake                 // takes calls
	stopping              // from StopActor to ActorStopped
	closing               // its runner is heard no more, a commit is with the store
)

// String is the phase as the API shows it.
func (p phase) String() string {
	return [...]string{"sleeping", "starting", "running", "stopping", "stopping"}[p]
}

// Actor is the entry of one actor.
type Actor struct {
	router  *Router
	address address.Address
	key     string // key encoding of address

	mu      sync.Mutex
	id      string // empty until resolved; written under Router.mu too
	inc     *incarnation
	waiting []visitor // in arrival order

	// What is small stands together: there is an entry for each actor that is awake.
	phase      phase
	removed    bool   // no longer in the router: visitors look again
	doomed     bool   // it cannot be started, and the destroyers wait no longer for its onDestroy
	restart    bool   // a start that nobody waits for is due
	remembered bool   // only its failures keep the entry
	missed     uint16 // starts in a row that came to nothing without the actor's fault; beyond that they count anew

	connections map[string]*Connection // accepted, by connection id
	audience    fanout.Audience
	gone        map[string]*Connection // by id: their onDisconnect is owed and nobody hosts the actor [CONN-7]; nil values: only the id is known
	destroyers  []visitor              // wait for the end that is under way

	search context.CancelFunc // ends a start that has not acquired the actor yet; nil: there is none
	offer  *offer             // a runner has the actor in memory and waits for its turn [LINK-19]

	alarm   *time.Timer // of the earliest deadline
	alarmAt time.Time

	failures failures
	idling   *time.Timer // what comes next while the entry is idle
}

// admit takes a visitor in. false: the entry is gone, look again.
func (a *Actor) admit(v visitor) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.removed {
		return false
	}
	v.arrive(a)
	if _, isOpen := v.(*Connection); isOpen && a.attached() >= a.router.cfg.Limits.MaxConnectionsPerActor {
		a.router.cfg.Stats.Limit(stats.MaxConnectionsPerActor)
		v.fail(wire.ActorTooManyConnections.New())
		a.settleLocked(false)
		return true
	}
	a.admitLocked(v)
	return true
}

func (a *Actor) admitLocked(v visitor) {
	if a.phase == awake {
		a.deliverLocked(v)
		return
	}
	if a.phase == idle {
		if e := a.crashLoop(); e != nil {
			if a.refuse(v, e); a.doomed {
				a.removeLocked(a.id)
			}
			return
		}
	}
	if len(a.waiting) >= a.router.cfg.Limits.MaxCallsPerActor {
		a.router.cfg.Stats.Limit(stats.MaxCallsPerActor)
		v.fail(wire.ActorOverloaded.New())
		return
	}
	a.waiting = append(a.waiting, v)
	a.expireBy(v.request().Deadline)
	if a.phase == idle {
		a.startSoonLocked()
	}
}

// deliverLocked gives the running actor a visitor, unless it asked for another one.
func (a *Actor) deliverLocked(v visitor) {
	req := v.request()
	switch {
	case req.ID != "" && req.ID != a.id:
		v.fail(wire.ActorNotFound.New()) // the key belongs to a later actor now
	case req.Mode == commonv1alpha1.Mode_MODE_CREATE && !req.created:
		v.fail(duplicateKey(a.id))
	case a.inc.frozen:
		v.fail(wire.StoreUnavailable.New())
	default:
		v.deliver(a)
	}
}

// takeWaiting removes and returns all visitors that wait.
func (a *Actor) takeWaiting() []visitor {
	w := a.waiting
	a.waiting = nil
	return w
}

// failWaiting ends all visitors that wait.
func (a *Actor) failWaiting(e *wire.Error) {
	for _, v := range a.takeWaiting() {
		v.fail(e)
	}
}

// withdraw removes a waiting visitor; false if it does not wait.
func (a *Actor) withdraw(v visitor) bool {
	for i, w := range a.waiting {
		if w == v {
			a.waiting = append(a.waiting[:i:i], a.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// settleLocked decides what comes after an incarnation or a start has ended: start again for who waits, for the
// connections' sake if restart says so [LIFE-8], or for an owed onDisconnect; otherwise the entry is needed no longer. A
// runner that still has the actor comes first.
func (a *Actor) settleLocked(restart bool) {
	if a.phase != idle || a.removed {
		return
	}
	if a.doomed {
		a.removeLocked(a.id)
		return
	}
	if a.offer != nil {
		a.adoptLocked()
		return
	}
	if len(a.waiting) > 0 {
		e := a.crashLoop()
		if e == nil {
			a.startSoonLocked()
			return
		}
		if a.refuseWaiting(e); a.doomed {
			a.removeLocked(a.id)
			return
		}
	}
	switch {
	case len(a.gone) > 0, restart && len(a.connections) > 0:
		a.startLaterLocked()
	case len(a.connections) == 0 && !a.rememberLocked():
		a.removed = true
		a.stirLocked()
		if a.alarm != nil {
			a.alarm.Stop()
		}
		a.router.forget(a)
	}
}

// attached is how many connections count for the actor's limit: accepted, waiting or being opened, and those whose
// onDisconnect is owed [LIMIT-3].
func (a *Actor) attached() int {
	n := len(a.connections) + len(a.gone)
	if a.inc != nil {
		n += len(a.inc.opens) + len(a.inc.owed)
	}
	for _, v := range a.waiting {
		if _, isOpen := v.(*Connection); isOpen {
			n++
		}
	}
	return n
}

// expireBy makes sure that the alarm rings at t or earlier.
func (a *Actor) expireBy(t time.Time) {
	if !a.alarmAt.IsZero() && !t.Before(a.alarmAt) {
		return
	}
	a.alarmAt = t
	if a.alarm == nil {
		a.alarm = time.AfterFunc(time.Until(t), a.expire)
		return
	}
	a.alarm.Reset(time.Until(t))
}

// expire ends what is past its deadline, waiting or under way, and sets the alarm anew [CALL-4].
func (a *Actor) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.alarmAt = time.Time{}
	now := time.Now()
	late := wire.ActionTimedOut.New()
	next := earlier(expireVisitors(&a.waiting, now, late.With(wire.RanNo)), expireVisitors(&a.destroyers, now, late))
	if a.inc != nil {
		next = earlier(next, a.inc.expire(now))
	}
	switch {
	case !next.IsZero():
		a.expireBy(next)
	case a.alarmAt.IsZero():
		a.alarm = nil // most actors are idle for much longer, and timers are large
	}
}

// expireVisitors ends those who have waited too long and returns the next deadline.
func expireVisitors(list *[]visitor, now time.Time, late *wire.Error) (next time.Time) {
	keep := (*list)[:0]
	for _, v := range *list {
		if c, ok := v.(*Connection); ok {
			next = earlier(next, c.expireHeld(now))
		}
		if at := v.request().Deadline; now.Before(at) {
			keep = append(keep, v)
			next = earlier(next, at)
			continue
		}
		v.fail(late)
	}
	clear((*list)[len(keep):])
	*list = keep
	return next
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
