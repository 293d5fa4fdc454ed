package route

import (
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
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
	starting              // from the first visitor to ActorReady
	awake                 // takes calls
	stopping              // from StopActor to ActorStopped
)

// String is the phase as the API shows it.
func (p phase) String() string { return [...]string{"sleeping", "starting", "running", "stopping"}[p] }

// Actor is the entry of one actor.
type Actor struct {
	router  *Router
	address address.Address
	key     string // key encoding of address

	mu      sync.Mutex
	id      string // empty until resolved; written under Router.mu too
	phase   phase
	removed bool // no longer in the router: visitors look again
	inc     *incarnation
	waiting []visitor // in arrival order

	connections map[string]*Connection // accepted, by connection id
	audience    fanout.Audience
	gone        map[string]*Connection // by id: their onDisconnect is owed and nobody hosts the actor [CONN-7]; nil values: only the id is known
	destroyers  []*Ensure              // wait for the end that is under way

	alarm     *time.Timer // of the earliest deadline
	alarmAt   time.Time
	failures  int         // starts or lives that ended badly in a row
	restartAt *time.Timer // a start for the connections' sake is due
}

// admit takes a visitor in. false: the entry is gone, look again.
func (a *Actor) admit(v visitor) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.removed {
		return false
	}
	v.arrive(a)
	a.admitLocked(v)
	return true
}

func (a *Actor) admitLocked(v visitor) {
	if a.phase == awake {
		a.deliverLocked(v)
		return
	}
	if len(a.waiting) >= a.router.cfg.Limits.MaxCallsPerActor {
		v.fail(wire.ActorOverloaded.New())
		return
	}
	a.waiting = append(a.waiting, v)
	a.expireBy(v.request().Deadline)
	if a.phase == idle {
		a.startLocked()
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
// connections' sake if restart says so [LIFE-8], or for an owed onDisconnect; otherwise the entry is needed no longer.
func (a *Actor) settleLocked(restart bool) {
	switch {
	case a.phase != idle:
	case len(a.waiting) > 0:
		a.startLocked()
	case len(a.gone) > 0, restart && len(a.connections) > 0:
		a.startLaterLocked()
	case len(a.connections) == 0:
		a.removed = true
		a.stopTimers()
		a.router.forget(a)
	}
}

func (a *Actor) stopTimers() {
	if a.alarm != nil {
		a.alarm.Stop()
	}
	if a.restartAt != nil {
		a.restartAt.Stop()
	}
}

// The pause before a start that nobody waits for: none after the first failure, then doubling.
const (
	restartMin = 100 * time.Millisecond
	restartMax = 10 * time.Second
)

func (a *Actor) startLaterLocked() {
	if a.failures <= 1 {
		a.startLocked()
		return
	}
	pause := min(restartMin<<min(a.failures-2, 10), restartMax)
	if a.restartAt != nil {
		a.restartAt.Stop()
	}
	a.restartAt = time.AfterFunc(pause, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.phase == idle && !a.removed && (len(a.connections) > 0 || len(a.gone) > 0) {
			a.startLocked()
		}
	})
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
	next := time.Time{}
	keep := a.waiting[:0]
	for _, v := range a.waiting {
		if c, ok := v.(*Connection); ok {
			next = earlier(next, c.expireHeld(now))
		}
		if at := v.request().Deadline; now.Before(at) {
			keep = append(keep, v)
			next = earlier(next, at)
			continue
		}
		v.fail(wire.ActionTimedOut.New().With(wire.RanNo))
	}
	clear(a.waiting[len(keep):])
	a.waiting = keep
	if a.inc != nil {
		next = earlier(next, a.inc.expire(now))
	}
	if !next.IsZero() {
		a.expireBy(next)
	}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
