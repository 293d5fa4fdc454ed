package variant

import (
	"math/rand/v2"
	"slices"

	"github.com/stagedoor-dev/stagedoor/conformance/proxy"
	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// Variant is one way to be odd.
type Variant struct {
	Name string
	// Does says what is odd, as one reads it behind "a runner that" or "a gateway that".
	Does string
	// Allowed are the ids of the requirements that allow it.
	Allowed []string
	// Gateway: it is the gateway that is odd, so it is the runner under test that must not mind.
	Gateway bool

	tap    func(*rand.Rand) tap.Tap
	travel *proxy.Travel
}

// Tap makes the tap for a session; nil: the variant changes no frames.
func (v Variant) Tap(seed uint64) func() tap.Tap {
	if v.tap == nil {
		return nil
	}
	return func() tap.Tap { return v.tap(rand.New(rand.NewPCG(seed, 0))) }
}

// Travel is how frames travel; nil: as they are sent.
func (v Variant) Travel() *proxy.Travel { return v.travel }

// All is the whole table in a fixed order.
func All() []Variant { return slices.Concat(travels(), runners(), gateways()) }

// Find is the variant of that name.
func Find(name string) (Variant, bool) {
	all := All()
	at := slices.IndexFunc(all, func(v Variant) bool { return v.Name == name })
	if at < 0 {
		return Variant{}, false
	}
	return all[at], true
}

// travels are ways in which the same frames come along.
func travels() []Variant {
	both := func(name, does string, t proxy.Travel) Variant {
		return Variant{Name: name, Does: does, Allowed: []string{"FRAME-1"}, travel: &t}
	}
	return []Variant{
		both("frames-alone", "sends each frame in a message of its own", proxy.Travel{Alone: true}),
		both("frames-together", "collects frames for a few milliseconds and sends them in one message", proxy.Travel{Together: true}),
		both("fragments", "sends WebSocket messages in fragments of 11 bytes", proxy.Travel{Fragment: 11}),
		both("chunks", "writes to its socket 7 bytes at a time", proxy.Travel{Chunk: 7}),
		both("jitter", "takes up to 8 ms for each message, and keeps their order", proxy.Travel{Jitter: true}),
		{Name: "actors-interleaved", Does: "sends what different actors say in another order", Allowed: []string{"LINK-3"}, travel: &proxy.Travel{Together: true, Interleave: true}},
	}
}
