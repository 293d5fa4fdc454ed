package wire

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

const lanes = 4

// outboxModel says what an Outbox must give: per lane the frames that are due, and the lanes in the order of their turns.
type outboxModel struct {
	outbox Outbox
	lanes  [lanes]Lane
	due    [lanes][][]byte // frames without length prefix
	open   [lanes]Assembler
	turns  []int
	links  [][]byte
	pushed uint64
}

func envelope(m Message) []byte { return appendEnvelope(nil, m, m.Size()) }

func (o *outboxModel) push(t *rapid.T) {
	lane := rapid.IntRange(0, lanes-1).Draw(t, "lane")
	size := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(20000, 40000), rapid.IntRange(MaxStep-40, MaxStep+40),
		rapid.IntRange(2*MaxStep, 4*MaxStep)).Draw(t, "size")
	o.pushed++
	m := &Commit{Actor: uint64(lane), Version: o.pushed, Changes: bytes.Repeat([]byte{byte(o.pushed)}, size)}
	o.outbox.Push(&o.lanes[lane], m)
	o.due[lane] = append(o.due[lane], envelope(m))
	for _, waiting := range o.turns {
		if waiting == lane {
			return
		}
	}
	o.turns = append(o.turns, lane)
}

func (o *outboxModel) pushLink(*rapid.T) {
	o.pushed++
	m := Runner(&commonv1alpha1.Ping{Nonce: o.pushed})
	o.outbox.PushLink(m)
	o.links = append(o.links, envelope(m))
}

func (o *outboxModel) take(t *rapid.T) {
	o.takeUpTo(t, rapid.SampledFrom([]int{1, 1000, 64 << 10, 200 << 10, 1 << 20}).Draw(t, "limit"))
}

func (o *outboxModel) takeUpTo(t *rapid.T, limit int) {
	before := o.outbox.Len()
	out := o.outbox.Take([]byte("x"), limit)[1:]
	if o.outbox.Len() != before-len(out) {
		t.Fatalf("Len is %d after %d of %d bytes", o.outbox.Len(), len(out), before)
	}
	if len(out) > limit+len(o.links)*32+MaxStep+HeaderLen {
		t.Fatalf("%d bytes for a limit of %d", len(out), limit)
	}
	step := 0 // bytes of the present turn
	for rest := out; len(rest) > 0; {
		frame, next, err := NextFrame(rest, MaxStep+HeaderLen)
		if err != nil {
			t.Fatalf("frame at %d: %v", len(out)-len(rest), err)
		}
		rest = next
		step = o.written(t, frame, step)
	}
	if step > 0 {
		o.endTurn()
	}
	if len(out) < limit {
		if o.outbox.Len() != 0 {
			t.Fatalf("%d bytes are left below the limit", o.outbox.Len())
		}
		o.turns = nil
	}
}

// written checks one frame that was taken, and returns the bytes of its turn so far.
func (o *outboxModel) written(t *rapid.T, frame []byte, step int) int {
	f, err := ParseFrame(frame)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	if f.Kind.IsLink() {
		if step > 0 || len(o.links) == 0 || !bytes.Equal(o.links[0], frame) {
			t.Fatalf("link frame %x out of order", frame)
		}
		o.links = o.links[1:]
		return 0
	}
	if len(o.links) > 0 {
		t.Fatalf("a counted frame overtook a link frame")
	}
	lane := int(ActorRef(f.Body))
	if size := HeaderLen + len(frame); step == 0 || step+size > MaxStep || lane != o.turns[0] {
		if step > 0 {
			o.endTurn()
		}
		o.pass()
		if len(o.turns) == 0 || lane != o.turns[0] {
			t.Fatalf("lane %d is served, but the turns are %v", lane, o.turns)
		}
		step = size
	} else {
		step += size
	}
	if f.Kind == RunnerPart {
		var p Part
		if err := p.Unmarshal(f.Body); err != nil {
			t.Fatalf("part: %v", err)
		}
		if !o.open[lane].Open() && o.underWay() {
			t.Fatalf("lane %d begins Parts among those of another", lane)
		}
		if frame, err = o.open[lane].Add(&p, 1<<30); err != nil {
			t.Fatalf("part: %v", err)
		}
	} else if o.open[lane].Open() {
		t.Fatalf("a frame of lane %d begins before the last part", lane)
	}
	if frame != nil {
		if len(o.due[lane]) == 0 || !bytes.Equal(o.due[lane][0], frame) {
			t.Fatalf("lane %d gave another frame than its oldest", lane)
		}
		o.due[lane] = o.due[lane][1:]
	}
	return step
}

// pass skips the lanes whose turn yields nothing: those that were dropped meanwhile, and those that would begin Parts while
// another lane's are under way [LIMIT-5].
func (o *outboxModel) pass() {
	for len(o.turns) > 0 {
		lane := o.turns[0]
		switch due := o.due[lane]; {
		case len(due) == 0:
			o.turns = o.turns[1:]
		case len(due[0]) > MaxStep && !o.open[lane].Open() && o.underWay():
			o.turns = append(o.turns[1:], lane)
		default:
			return
		}
	}
}

func (o *outboxModel) underWay() bool {
	for i := range o.open {
		if o.open[i].Open() {
			return true
		}
	}
	return false
}

// endTurn moves the lane whose turn it was to the end, if it has more.
func (o *outboxModel) endTurn() {
	lane := o.turns[0]
	o.turns = o.turns[1:]
	if len(o.due[lane]) > 0 {
		o.turns = append(o.turns, lane)
	}
}

func (o *outboxModel) drop(t *rapid.T) {
	lane := rapid.IntRange(0, lanes-1).Draw(t, "lane")
	kept := 0
	if o.open[lane].Open() {
		kept = 1 // half taken: neither dropped nor reported
	}
	want := o.due[lane][kept:]
	o.due[lane] = o.due[lane][:kept]
	o.outbox.Drop(&o.lanes[lane], func(f Frame) {
		var m Commit
		if err := m.Unmarshal(f.Body); err != nil || f.Kind != RunnerCommit {
			t.Fatalf("dropped %d: %v", f.Kind, err)
		}
		if len(want) == 0 || !bytes.Equal(want[0], envelope(&m)) {
			t.Fatalf("dropped commit %d of lane %d out of order", m.Version, lane)
		}
		want = want[1:]
	})
	if len(want) > 0 {
		t.Fatalf("%d dropped frames were not reported", len(want))
	}
}

func (o *outboxModel) check(t *rapid.T) {
	held := len(o.outbox.urgent)
	for i := range o.lanes {
		held += len(o.lanes[i].buf) - o.lanes[i].off
	}
	if held != o.outbox.Len() {
		t.Fatalf("Len is %d, but %d bytes are held", o.outbox.Len(), held)
	}
}

// [LINK-2] and [LINK-3] as a model, under any order of pushes, takes and drops.
func TestOutboxOrdersWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := new(outboxModel)
		for i := range o.lanes {
			o.lanes[i].Actor = uint64(i)
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": o.push, "pushLink": o.pushLink, "take": o.take, "drop": o.drop, "": o.check,
		})
		o.takeUpTo(t, 1<<30)
		for lane, due := range o.due {
			if len(due) > 0 || o.open[lane].Open() {
				t.Fatalf("%d frames of lane %d never came", len(due), lane)
			}
		}
	})
}

func TestALaneThatNeverRunsEmptyDoesNotGrow(t *testing.T) {
	var o Outbox
	var l Lane
	m := &Commit{Changes: make([]byte, MaxStep-100)}
	o.Push(&l, m)
	for range 1000 {
		o.Push(&l, m)
		o.Take(nil, 1)
	}
	if cap(l.buf) > 16*MaxStep {
		t.Errorf("a lane that holds %d bytes has a buffer of %d", o.Len(), cap(l.buf))
	}
}

// Or the next frame of the actor would begin inside the half taken one [LINK-3].
func TestDropLeavesAHalfTakenFrameToItsEnd(t *testing.T) {
	var o Outbox
	l := Lane{Actor: 7}
	large := &Call{Actor: 7, ID: 1, Args: make([]byte, 3*MaxStep)}
	o.Push(&l, large)
	o.Push(&l, &Call{Actor: 7, ID: 2})
	o.Push(&l, &Call{Actor: 7, ID: 3, Args: make([]byte, 2*MaxStep)})
	out := o.Take(nil, 1)
	var dropped []uint64
	o.Drop(&l, func(f Frame) { dropped = append(dropped, NumberAt(f.Body, 2)) })
	o.Push(&l, &Call{Actor: 7, ID: 4})
	out = o.Take(out, 1<<30)

	if fmt.Sprint(dropped) != "[2 3]" {
		t.Errorf("dropped %v", dropped)
	}
	var ids []uint64
	eachFrame(out, func(f Frame) { ids = append(ids, NumberAt(f.Body, 2)) })
	if fmt.Sprint(ids) != "[1 4]" {
		t.Errorf("the peer read %v", ids)
	}
}

// [LINK-3].
func TestAssemblerRefusesWhatItCannotHold(t *testing.T) {
	part := func(n int, last bool) *Part { return &Part{Data: make([]byte, n), Last: last} }
	for _, tt := range []struct {
		name  string
		parts []*Part
		want  error
	}{
		{"over the limit at once", []*Part{part(101, true)}, ErrFrameTooLarge},
		{"over the limit in steps", []*Part{part(60, false), part(41, true)}, ErrFrameTooLarge},
		{"over a step", []*Part{part(MaxStep+1, true)}, ErrMalformed},
		{"nothing at all", []*Part{part(0, false), part(0, true)}, ErrMalformed},
	} {
		var a Assembler
		for i, p := range tt.parts {
			frame, err := a.Add(p, 100)
			last := i == len(tt.parts)-1
			if frame != nil || last && !isError(err, tt.want) || !last && (err != nil || !a.Open()) {
				t.Errorf("%s: %x, %v", tt.name, frame, err)
			}
		}
		if frame, err := a.Add(part(100, true), 100); a.Open() || err != nil || len(frame) != 100 {
			t.Errorf("%s: it does not begin afresh: %d, %v", tt.name, len(frame), err)
		}
	}
}

func BenchmarkOutbox(b *testing.B) {
	for _, bench := range []struct {
		name  string
		lanes int
	}{{"one actor", 1}, {"thousand actors", 1000}} {
		b.Run(bench.name, func(b *testing.B) {
			var o Outbox
			ls := make([]Lane, bench.lanes)
			m := &Call{Actor: 1234, ID: 56789, Action: []byte("increment"), Args: []byte{0x81, 1}}
			var dst []byte
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				o.Push(&ls[i%len(ls)], m)
				if i++; i%64 == 0 {
					dst = o.Take(dst[:0], MaxStep)
				}
			}
		})
	}
}
