package route

import (
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// failures is an actor's row of lives that ended unwanted and of starts that failed [LIFE-11].
type failures struct {
	count int
	cause *wire.Error // of the last one
	next  time.Time   // not started again before
}

const (
	// healthyAfter is how long a life must have lasted to end the row.
	healthyAfter = 10 * time.Second
	// The pause before the next start: none after the first failure, then doubling.
	pauseMin = 100 * time.Millisecond
	pauseMax = 10 * time.Second
	// patience is the longest pause that a message waits for.
	patience = time.Second
	// remembered is how long an actor's failures are remembered when nobody asks for it, once it might start again.
	remembered = time.Minute
	// maxRemembered bounds the entries that the router keeps for that alone.
	maxRemembered = 16 << 10
	// maxCause bounds the text of the cause that is remembered.
	maxCause = 1 << 10
)

// pause is how long to wait after so many failures in a row.
func pause(failures int) time.Duration {
	if failures <= 1 {
		return 0
	}
	return min(pauseMin<<min(failures-2, 10), pauseMax)
}

// failed counts an end that nobody wanted.
func (inc *incarnation) failed(cause *wire.Error) {
	if inc.healthy() {
		inc.actor.recovered()
	}
	inc.actor.failedLocked(cause)
}

// healthy tells whether the life has lasted long enough to end a row of failures.
func (inc *incarnation) healthy() bool {
	return !inc.readyAt.IsZero() && time.Since(inc.readyAt) >= healthyAfter
}

// failedLocked counts a failure and puts off the next start.
func (a *Actor) failedLocked(cause *wire.Error) {
	a.failures.count++
	a.failures.cause = &wire.Error{Group: cause.Group, Code: cause.Code, Message: trimmed(cause.Message, maxCause)}
	a.failures.next = time.Now().Add(pause(a.failures.count))
}

// recovered ends the row.
func (a *Actor) recovered() { a.failures = failures{} }

// crashLoop is what a message is told that would have to wait too long for the next start; nil: it may wait.
func (a *Actor) crashLoop() *wire.Error {
	left := time.Until(a.failures.next)
	if left <= patience {
		return nil
	}
	cause := a.failures.cause
	e := wire.ActorCrashLoop.Newf("The actor has failed %d times in a row, and is started again in %v. The last cause: %s: %s",
		a.failures.count, left.Round(time.Millisecond), cause.Name(), cause.Message)
	e.RetryAfterMs = uint32(left.Milliseconds()) + 1
	return e
}

// startSoonLocked starts the actor as soon as its failures allow.
func (a *Actor) startSoonLocked() {
	if left := time.Until(a.failures.next); left > 0 {
		a.ringIn(left)
		return
	}
	a.startLocked()
}

// startLaterLocked starts an actor that nobody waits for: for its connections' sake, or for an owed onDisconnect.
func (a *Actor) startLaterLocked() {
	a.restart = true
	if left := max(time.Until(a.failures.next), pause(int(a.missed))); left > 0 {
		a.ringIn(left)
		return
	}
	a.startLocked()
}

// rememberLocked keeps an entry that only its failures keep, for a while and as far as there is room.
func (a *Actor) rememberLocked() bool {
	a.restart = false
	left := time.Until(a.failures.next.Add(remembered))
	if a.failures.count == 0 || left <= 0 || !a.remembered && !a.router.remember(1) {
		return false
	}
	a.remembered = true
	a.ringIn(left)
	return true
}

// ringIn sets the timer of an idle entry.
func (a *Actor) ringIn(d time.Duration) {
	if a.idling == nil {
		a.idling = time.AfterFunc(d, a.rung)
		return
	}
	a.idling.Reset(d)
}

// rung is the end of an idle entry's pause: a start is due, or nobody has asked for the actor.
func (a *Actor) rung() {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.phase != idle || a.removed:
	case a.restart || len(a.waiting) > 0:
		a.startSoonLocked()
	default:
		a.settleLocked(false)
	}
}

// stirLocked ends an entry's idleness: it is started, adopted or removed.
func (a *Actor) stirLocked() {
	a.restart = false
	if a.idling != nil {
		a.idling.Stop()
	}
	if a.remembered {
		a.remembered = false
		a.router.remember(-1)
	}
}
