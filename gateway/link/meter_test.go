package link

import (
	"math/rand/v2"
	"testing"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// [LINK-18]: the meter says what decoding would, however the frame is cut.
func TestTheMeter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	for range 2000 {
		m := &wire.Emit{
			Actor: rng.Uint64() >> rng.IntN(64), Event: make([]byte, rng.IntN(129)), Args: make([]byte, rng.IntN(400)),
			To: make([]uint64, rng.IntN(100)), All: rng.IntN(2) == 0,
		}
		for i := range m.To {
			m.To[i] = rng.Uint64() >> rng.IntN(64)
		}
		if got := metered(rng, wire.AppendMessage(nil, m)[wire.HeaderLen:]); got != m.Cost() {
			t.Fatalf("%d, want %d for %v", got, m.Cost(), m)
		}
		other := &wire.Commit{Actor: 1, Version: 2, Changes: make([]byte, rng.IntN(400))}
		if got := metered(rng, wire.AppendMessage(nil, other)[wire.HeaderLen:]); got != 0 {
			t.Fatalf("a commit costs %d", got)
		}
	}
}

func metered(rng *rand.Rand, frame []byte) uint64 {
	var t meter
	for len(frame) > 0 {
		n := 1 + rng.IntN(len(frame))
		t.add(frame[:n])
		frame = frame[n:]
	}
	return t.cost()
}

// [LINK-9]: nonsense costs nothing, and ends.
func FuzzMeter(f *testing.F) {
	f.Add([]byte{0x2a, 5, 0x08, 1, 0x12, 0xff, 0xff}, uint64(1))
	f.Add([]byte{0x2b, 0x2c, 0x2a}, uint64(2))
	f.Fuzz(func(t *testing.T, frame []byte, seed uint64) {
		whole, pieces := new(meter), metered(rand.New(rand.NewPCG(seed, 6)), frame)
		whole.add(frame)
		if whole.cost() != pieces {
			t.Errorf("%d whole, %d in pieces", whole.cost(), pieces)
		}
	})
}
