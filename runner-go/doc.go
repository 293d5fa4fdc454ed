// Package runner hosts actors: it is the Go SDK for the runner side of Stagedoor.
//
// A program defines actor types, registers their actions and hooks, and calls Main (or New and Serve). The runner dials
// the gateway, keeps one link to it, and runs each actor that the gateway gives it, one turn at a time:
//
//	type State struct{ Count int }
//
//	type Counter struct {
//		runner.Actor[State, runner.None] // durable state, connection state; other fields live in memory only
//	}
//
//	func (c *Counter) Increment(ctx context.Context, n int) (int, error) {
//		c.State().Count += n
//		c.Broadcast("count", c.State().Count)
//		return c.State().Count, nil
//	}
//
//	func main() {
//		counter := runner.Define[Counter]("counter")
//		runner.Action1(counter, "increment", (*Counter).Increment)
//		runner.Main(counter)
//	}
//
// The methods of Actor and Conn, and the receiver's own fields, belong to the running turn: actions and hooks use them
// freely, all other code goes through Actor.Do [TURN-5]. What a turn changed is committed together with what it answered
// and sent, and nobody sees an answer before its state is durable [GATE-1]. A Runner and its Types are safe for
// concurrent use once Serve was called; registration is not.
//
// Actors do not notice a socket that breaks, and keep their memory also where the gateway has lost the session or was
// restarted, if nobody else has had them meanwhile [LINK-16] [LEASE-4]: their generation changes, calls of the old session
// are canceled, and connections that are gone leave. A runner that the gateway has not heard for too long begins no turn
// until it is told that its actors are still its own [LEASE-2].
//
// The package knows nothing of clients, stores and HTTP; that is the gateway's side. Unit tests of actors need no gateway:
// see the package runnertest.
package runner
