package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// How long is waited. An attempt that takes longer than attemptTime is given up as unknown and repeated; a call that has
// found no definite answer within patience is given back to its caller as unknown.
const (
	attemptTime = 1500 * time.Millisecond
	patience    = 4 * time.Second
	// lanePatience is shorter: others wait behind, and whoever commits asks again by itself [COMMIT-4].
	lanePatience = 2 * time.Second
	pauseMin     = 2 * time.Millisecond
	pauseMax     = 100 * time.Millisecond
)

// errUnserved: no node is known to serve the slot.
var errUnserved = errors.New("no master serves this part of the data")

// errUnchecked: the node has connections that lead nobody knows where, until it has been asked.
var errUnchecked = errors.New("the node is being looked at")

// downError is why a node is given nothing: the call was not sent.
type downError struct {
	addr  string
	cause error
}

func (e *downError) Error() string { return fmt.Sprintf("redis at %s: %v", e.addr, e.cause) }

func (e *downError) Unwrap() error { return e.cause }

// answerOf reads a reply. Only what the library itself refuses is definite: Redis's own errors say that it did not run
// the function now, which says nothing about an attempt before.
func (l *library) answerOf(r rueidis.RedisResult) (rueidis.RedisMessage, error) {
	m, err := r.ToMessage()
	if err == nil || rueidis.IsRedisNil(err) {
		return m, nil
	}
	reply, ok := rueidis.IsRedisErr(err)
	if !ok {
		return m, err
	}
	code, text, _ := strings.Cut(reply.Error(), " ")
	if _, ours := l.refusals[code]; ours {
		return m, &refusal{code: code, text: text}
	}
	return m, err
}

// settled tells whether an attempt's answer can be given to the caller.
func settled(err error) bool {
	if err == nil {
		return true
	}
	var r *refusal
	return errors.As(err, &r)
}

// passing are the errors of Redis that go by themselves or by looking where the master is now: it did not run the function.
var passing = []string{
	"ASK", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MOVED", "NOREPLICAS", "READONLY", "TRYAGAIN", "Function not found",
}

// mayHaveRun tells whether an attempt that is not settled may have run the function.
func mayHaveRun(err error) bool {
	if settled(err) {
		return false
	}
	reply, ok := rueidis.IsRedisErr(err)
	return !ok || !didNotRun(reply)
}

func didNotRun(reply *rueidis.RedisError) bool {
	return slices.ContainsFunc(passing, func(p string) bool { return strings.HasPrefix(reply.Error(), p) })
}

// hopeless tells whether there is no use in another attempt now: the server is known to be away, or has said something
// that it will say again.
func hopeless(err error) bool {
	var down *downError
	if errors.As(err, &down) {
		return true
	}
	reply, ok := rueidis.IsRedisErr(err)
	return ok && !didNotRun(reply)
}

// pause waits before another attempt: until something new is known of the servers, at least for a moment that grows and
// differs from caller to caller. It answers false when ctx ended first.
func pause(ctx context.Context, surveyed <-chan struct{}, attempt int) bool {
	most := min(pauseMin<<min(attempt, 10), pauseMax)
	timer := time.NewTimer(most/2 + rand.N(most/2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	// A survey comes soon: somebody has asked for it. It is bounded by its own time-outs.
	select {
	case <-surveyed:
		return true
	case <-ctx.Done():
		return false
	}
}
