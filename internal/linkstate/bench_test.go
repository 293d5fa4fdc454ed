package linkstate

import (
	"fmt"
	"testing"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// BenchmarkFrame is what a frame costs both sides of a link: Push and Take here, Receive there, and its share of the
// acknowledgements.
func BenchmarkFrame(b *testing.B) {
	for _, size := range []int{100, 4 << 10} {
		for _, batch := range []int{1, 64} {
			for _, resume := range []bool{false, true} {
				b.Run(fmt.Sprintf("%dB/%d-in-a-write/resume=%v", size, batch, resume), func(b *testing.B) {
					benchmarkFrame(b, size, batch, resume)
				})
			}
		}
	}
}

func benchmarkFrame(b *testing.B, size, batch int, resume bool) {
	var from, to State
	if resume {
		from.Resume(16 << 20)
		to.Resume(16 << 20)
	}
	lane := wire.Lane{Actor: 1}
	m := &wire.CallResult{Actor: 1, ID: 1, Output: make([]byte, size), HasOutput: true}
	var buf, back []byte
	now := begin
	b.SetBytes(int64(size * batch))
	b.ReportAllocs()
	for b.Loop() {
		for range batch {
			from.Push(&lane, m)
		}
		buf = from.Take(buf[:0], 256<<10, now)
		deliver(b, &to, buf)
		if !to.AckAt().After(now) {
			back = to.Take(back[:0], 256<<10, now)
			deliver(b, &from, back)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/frame")
}

func deliver(b *testing.B, to *State, frames []byte) {
	for rest := frames; len(rest) > 0; {
		n := frameLen(rest)
		f, err := wire.ParseFrame(rest[wire.HeaderLen:n])
		if err != nil {
			b.Fatal(err)
		}
		if _, err := to.Receive(f, n, begin); err != nil {
			b.Fatal(err)
		}
		rest = rest[n:]
	}
}
