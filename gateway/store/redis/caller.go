package redis

import (
	"context"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// caller runs functions of the library where the partition lives, and knows what the servers can promise. It may run a
// function more than once for one call, when an answer was lost: each function has to answer its own repetition as it
// answered the first time, or with something that is as true.
type caller interface {
	// call runs one function; its keys all carry one hash tag. The durability class says how the answer is acknowledged
	// (DurabilityDefault for reads); supports has answered true for it. An error reply of the library is a *refusal: definite,
	// unless it is late. store.ErrClosed is definite too; everything else is an unknown outcome.
	call(ctx context.Context, d store.Durability, fn string, keys, args []string) (rueidis.RedisMessage, error)
	// send queues a call and calls done once, never blocking. done runs on a goroutine of the caller. args[1] names the
	// actor: its calls are run in the order in which they were sent, each when the one ahead has its answer.
	send(d store.Durability, fn string, keys, args []string, done func(rueidis.RedisMessage, error))
	// supports tells whether every master could acknowledge in the class when the store was opened. A master that no longer
	// can is given no calls of the class: their outcome is unknown.
	supports(d store.Durability) bool
	// ready says why calls would fail now; nil: they would not.
	ready(ctx context.Context) error
	// interrupted is when a master was last reached that had been away or is a new one; zero: never.
	interrupted() time.Time
	// close answers what was begun and closes the connections. Only the first answers nil, later ones store.ErrClosed.
	close() error
}

// refusal is an error reply of the library: this run of the function changed nothing.
type refusal struct {
	code string // the first word, in capitals
	text string // the rest
	late bool   // an earlier attempt of the same call may have run: what it changed is not known
}

func (r *refusal) Error() string { return strings.TrimSpace(r.code + " " + r.text) }
