package embedded

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
)

func drawActor(t *rapid.T) actor {
	key := rapid.SliceOfN(rapid.StringN(0, 20, 40), 0, 4).Draw(t, "key")
	counter := rapid.Uint64Range(0, 1<<60)
	a := actor{
		addr:      address.Address{Namespace: "default", Type: "room", Key: key}.AppendKey(nil),
		createdAt: counter.Draw(t, "created"),
		hasInput:  rapid.Bool().Draw(t, "input"),
		runner:    []byte(rapid.StringN(0, 20, 40).Draw(t, "runner")),
		hasState:  rapid.Bool().Draw(t, "state"),
	}
	if rapid.Bool().Draw(t, "acquired") {
		a.generation = 1 + counter.Draw(t, "generation")
		copy(a.nonce[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "nonce"))
	}
	if rapid.Bool().Draw(t, "committed") {
		a.version = 1 + counter.Draw(t, "version")
		copy(a.commitID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "commit id"))
	}
	if rapid.Bool().Draw(t, "holds") {
		for _, n := range []*uint64{&a.kvBytes, &a.schedules, &a.connections, &a.results, &a.resultSeq} {
			*n = counter.Draw(t, "count")
		}
	}
	if a.hasState {
		a.inline = rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "inline")
		if a.stateLen = uint64(len(a.inline)); rapid.Bool().Draw(t, "large") {
			a.inline, a.stateLen = nil, inlineState+1+counter.Draw(t, "size")
		}
	}
	return a
}

func TestRecordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawActor(t)
		encoded := a.appendTo(nil)
		got, err := decodeActor(ref{}, encoded)
		if err != nil {
			t.Fatal(err)
		}
		// Empty and absent are one for these.
		for _, p := range []*[]byte{&a.runner, &a.inline, &got.runner, &got.inline} {
			*p = append([]byte{}, *p...)
		}
		if !reflect.DeepEqual(got, a) {
			t.Fatalf("got %+v\nwant %+v", got, a)
		}
		if again := got.appendTo(nil); !slices.Equal(again, encoded) {
			t.Fatalf("encoded again as %x, not %x", again, encoded)
		}
		cut := rapid.IntRange(0, len(encoded)-1).Draw(t, "cut")
		if short, err := decodeActor(ref{}, encoded[:cut]); err == nil && len(short.inline) >= len(a.inline) {
			t.Fatalf("decoded from %d of %d bytes", cut, len(encoded))
		}
	})
}

func TestSchedulesAndResultsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64()
		s := schedule{
			id: "s", fire: n.Draw(t, "fire"), dueAt: n.Draw(t, "due"), attempt: n.Draw(t, "attempt"),
			claimed: n.Draw(t, "claimed"), inDoubt: rapid.Bool().Draw(t, "in doubt"),
			spec: rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "spec"),
		}
		if got, err := decodeSchedule("s", s.appendTo(nil)); err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("got %+v, want %+v (%v)", got, s, err)
		}
		r := result{
			finished: rapid.Bool().Draw(t, "finished"), number: n.Draw(t, "number"), keptAt: n.Draw(t, "kept"),
			bytes: rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "bytes"),
		}
		if got, err := decodeResult(r.appendTo(nil)); err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("got %+v, want %+v (%v)", got, r, err)
		}
	})
}

// FuzzDecode: whatever is on the disk, decoding ends with a record or errCorrupt.
func FuzzDecode(f *testing.F) {
	a := actor{addr: address.Address{Namespace: "n", Type: "t", Key: []string{"k"}}.AppendKey(nil), generation: 1, version: 2}
	f.Add(a.appendTo(nil))
	f.Add((&schedule{fire: 1, spec: []byte("s")}).appendTo(nil))
	f.Add((&result{number: 3}).appendTo(nil))
	f.Add([]byte{2})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeActor(ref{}, b)
		if err == nil {
			if _, err = a.record(); err == nil && len(a.appendTo(nil)) > len(b)+1 {
				t.Errorf("%x grew to %x", b, a.appendTo(nil))
			}
		}
		_, err2 := decodeSchedule("s", b)
		_, err3 := decodeResult(b)
		for _, err := range []error{err, err2, err3} {
			if err != nil && !errors.Is(err, errCorrupt) {
				t.Error(err)
			}
		}
	})
}

func TestUnknownRecordVersionIsCorrupt(t *testing.T) {
	b := (&actor{}).appendTo(nil)
	b[0] = recordVersion + 1
	if _, err := decodeActor(ref{}, b); !errors.Is(err, errCorrupt) {
		t.Errorf("got %v", err)
	}
}
