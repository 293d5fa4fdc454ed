package session

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
)

// modelKept is what kept must do, in plain lists.
type modelKept struct {
	frames [][]byte
	owed   int
}

func (m *modelKept) check(t *rapid.T, k *kept) {
	size := 0
	for i, e := 0, k.base; i < len(m.frames); i++ {
		if len(m.frames)-i == m.owed && e != k.next {
			t.Fatalf("the first of %d owed frames stands at %v, not at %v", m.owed, e, k.next)
		}
		var frame []byte
		if frame, e = k.read(e); !bytes.Equal(frame, m.frames[i]) {
			t.Fatalf("frame %d of %d is %d bytes, want %d", i, len(m.frames), len(frame), len(m.frames[i]))
		}
		size += len(frame)
	}
	if k.frames != len(m.frames) || k.owed != m.owed || k.bytes != size {
		t.Fatalf("%d frames, %d owed, %d bytes; want %d, %d, %d", k.frames, k.owed, k.bytes, len(m.frames), m.owed, size)
	}
}

// [SESS-14]: what is kept comes out as it went in, copied or shared, whatever is dropped and given again meanwhile, and all
// memory is given back.
func TestKeptIsAQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := budget.New(1 << 40)
		var k kept
		var m modelKept
		serial := byte(0)
		frame := func(t *rapid.T) []byte {
			serial++
			return bytes.Repeat([]byte{serial}, rapid.OneOf(rapid.IntRange(1, 200), rapid.IntRange(1, 100_000)).Draw(t, "size"))
		}
		shared := []*fanout.Frame{{Bytes: frame(t)}, {Bytes: frame(t)}}
		add := func(f []byte) {
			m.frames = append(m.frames, f)
			m.owed++
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "times") {
					f := frame(t)
					k.add(f)
					add(f)
				}
			},
			"addShared": func(t *rapid.T) {
				f := rapid.SampledFrom(shared).Draw(t, "frame")
				k.addShared(f, b)
				add(f.Bytes)
			},
			"drop": func(t *rapid.T) {
				for range min(rapid.IntRange(0, 40).Draw(t, "times"), len(m.frames)) {
					k.drop(b)
					m.frames = m.frames[1:]
					m.owed = min(m.owed, len(m.frames))
				}
			},
			"give": func(t *rapid.T) {
				if m.owed > 0 {
					k.give(func(f []byte) bool { return bytes.Equal(f, m.frames[len(m.frames)-m.owed]) })
					m.owed--
				}
			},
			"refuse": func(*rapid.T) {
				if m.owed > 0 && k.give(func([]byte) bool { return false }) {
					t.Fatal("given to nobody")
				}
			},
			"given":  func(*rapid.T) { k.given(); m.owed = 0 },
			"rewind": func(*rapid.T) { k.rewind(); m.owed = len(m.frames) },
			"clear":  func(*rapid.T) { k.clear(b); m = modelKept{} },
			"":       func(t *rapid.T) { m.check(t, &k) },
		})
		k.free(b)
		if k.memory() != 0 || b.Used() != 0 {
			t.Fatalf("%d and %d bytes are left", k.memory(), b.Used())
		}
	})
}

// [SESS-14]: an idle channel holds little, whatever went through it.
func TestKeptGivesItsMemoryBack(t *testing.T) {
	var k kept
	k.add(make([]byte, 900_000))
	k.add(make([]byte, 100))
	k.drop(nil)
	if got := k.memory(); got > 1024 {
		t.Errorf("%d bytes for one small frame", got)
	}
	for range 1000 {
		k.add(make([]byte, 100))
	}
	for k.frames > 0 {
		k.drop(nil)
	}
	if got := k.memory(); got > idleKept {
		t.Errorf("%d bytes for nothing", got)
	}
}

// [SESS-14]: in the steady state keeping allocates nothing.
func TestKeepingAllocatesNothing(t *testing.T) {
	var k kept
	small, large := make([]byte, 90), &fanout.Frame{Bytes: make([]byte, 4096)}
	round := func() {
		for range ackFrames {
			k.add(small)
			k.addShared(large, nil)
			k.given()
		}
		for range ackFrames * 3 / 2 {
			k.drop(nil)
		}
		for range ackFrames / 2 {
			k.drop(nil)
		}
	}
	round()
	// Pools are emptied by garbage collections, and are leaky under the race detector.
	if got := testing.AllocsPerRun(200, round); got > ackFrames/8 {
		t.Errorf("%v allocations for %d frames", got, 2*ackFrames)
	}
}

func BenchmarkKeep(b *testing.B) {
	var k kept
	frame := make([]byte, 90)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k.add(frame)
		k.given()
		if i%ackFrames == 0 {
			for k.frames > 16 {
				k.drop(nil)
			}
		}
	}
}

func BenchmarkKeepShared(b *testing.B) {
	var k kept
	frame := &fanout.Frame{Bytes: make([]byte, 1024)}
	budget := budget.New(1 << 30)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k.addShared(frame, budget)
		k.given()
		if i%ackFrames == 0 {
			for k.frames > 16 {
				k.drop(budget)
			}
		}
	}
}
