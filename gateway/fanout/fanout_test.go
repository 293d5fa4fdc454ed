package fanout

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type member struct {
	name  string
	heard int
}

func (m *member) Deliver(*Event) { m.heard++ }

// [CONN-3] [CONN-5]: an audience is a set of members for each event, whatever the order of changes.
func TestABroadcastReachesExactlyTheSubscribers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a Audience
		members := make([]*member, 6)
		for i := range members {
			members[i] = &member{name: fmt.Sprint(i)}
		}
		model := map[string]map[*member]bool{"x": {}, "y": {}}
		event := rapid.SampledFrom([]string{"x", "y"})
		who := rapid.SampledFrom(members)
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": func(t *rapid.T) {
				e, m := event.Draw(t, "event"), who.Draw(t, "member")
				a.Subscribe(m, e)
				model[e][m] = true
			},
			"unsubscribe": func(t *rapid.T) {
				e, m := event.Draw(t, "event"), who.Draw(t, "member")
				a.Unsubscribe(m, e)
				delete(model[e], m)
			},
			"broadcast": func(t *rapid.T) {
				e, except := event.Draw(t, "event"), who.Draw(t, "except")
				for _, m := range members {
					m.heard = 0
				}
				want := 0
				n := a.Broadcast(&Event{Name: []byte(e)}, func(m Member) bool { return m == Member(except) })
				for _, m := range members {
					expect := 0
					if model[e][m] && m != except {
						expect = 1
						want++
					}
					if m.heard != expect {
						t.Fatalf("member %s heard %d, want %d", m.name, m.heard, expect)
					}
				}
				if n != want {
					t.Fatalf("Broadcast = %d, want %d", n, want)
				}
			},
		})
	})
}

type form struct{ encoded *int }

func (f form) AppendEvent(dst []byte, connection uint64, e *Event) []byte {
	*f.encoded++
	return fmt.Appendf(dst, "%d:%s", connection, e.Name)
}

// [CONN-10]
func TestAnEventIsEncodedOnceForEachFormAndNumber(t *testing.T) {
	var one, two int
	e := &Event{Name: []byte("x")}
	for range 1000 {
		for connection := range uint64(3) {
			for _, f := range []form{{&one}, {&two}} {
				if got, want := string(e.Frame(f, connection).Bytes), fmt.Sprintf("%d:x", connection); got != want {
					t.Fatalf("Frame = %q, want %q", got, want)
				}
			}
		}
	}
	if one != 3 || two != 3 {
		t.Errorf("encoded %d and %d times, want 3 each", one, two)
	}
}

// [LIMIT-4]: the first and the last holder of a frame are told, so that its memory counts once.
func TestTheHoldersOfAFrame(t *testing.T) {
	var f Frame
	if !f.Hold() || f.Hold() || f.Release() || !f.Release() || !f.Hold() {
		t.Error("the holders are not counted")
	}
}

func TestACloneOutlivesItsOriginal(t *testing.T) {
	name := []byte("name")
	c := (&Event{Name: name, Args: []byte{0x80}, Unreliable: true}).Clone()
	name[0] = 'X'
	if string(c.Name) != "name" || !slices.Equal(c.Args, []byte{0x80}) || !c.Unreliable {
		t.Errorf("clone = %q %x, unreliable %t", c.Name, c.Args, c.Unreliable)
	}
}

func BenchmarkBroadcast(b *testing.B) {
	var a Audience
	for range 5000 {
		a.Subscribe(new(member), "x")
	}
	b.ReportAllocs()
	for b.Loop() {
		a.Broadcast(&Event{Name: []byte("x")}, nil)
	}
}
