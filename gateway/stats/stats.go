// Package stats counts what happens inside the gateway.
//
// It holds plain counters without exporter or registry; gateway/api publishes them. Every package of the gateway may
// import it. Counters are safe for concurrent use.
package stats

import "sync/atomic"

// Stats are the counters of one gateway. Gauges go up and down, all others only up.
type Stats struct {
	Sessions    Gauge // client sessions that are open
	Connections Gauge // connections that actors have accepted
	Links       Gauge // runner links past their handshake
	Actors      Gauge // actors with a living incarnation

	Calls             Counter // calls taken from clients
	CallErrors        Counter // of these, answered with an error
	Events            Counter // events emitted by actors, after the gate
	Deliveries        Counter // events queued for clients
	Commits           Counter // commits acknowledged
	CommitsRefused    Counter // commits refused for good
	CommitsUnknown    Counter // commit attempts with unknown outcome
	Starts            Counter // StartActor sent
	StartFailures     Counter // starts that did not become ready
	LinksLost         Counter // links that ended without Goodbye
	SlowReaders       Counter // sessions closed because they did not read [SESS-6]
	UnreliableDropped Counter // unreliable events that would have had to wait [CONN-11]
	InvalidReports    Counter // actors fenced because their runner broke the protocol [LINK-9]
	ErrorsReplaced    Counter // error codes that their sender may not send [ERR-2]
	FramesMalformed   Counter // frames that could not be decoded
	Unserved          Counter // clients' connections that ended before they brought a whole request
	Hung              Counter // actors fenced because a call or open stayed unanswered long after its deadline [LIFE-12]
	Adopted           Counter // actors that went on with their memory after a lost session [LEASE-4]

	limits [len(limits)]Counter
}

// Counter only grows.
type Counter struct{ v atomic.Uint64 }

// Inc adds one.
func (c *Counter) Inc() { c.v.Add(1) }

// Add adds n.
func (c *Counter) Add(n int) { c.v.Add(uint64(n)) }

// Value reads the counter.
func (c *Counter) Value() uint64 { return c.v.Load() }

// Gauge goes up and down.
type Gauge struct{ v atomic.Int64 }

// Add adds n, which may be negative.
func (g *Gauge) Add(n int64) { g.v.Add(n) }

// Value reads the gauge.
func (g *Gauge) Value() int64 { return g.v.Load() }
