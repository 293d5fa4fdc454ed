package frame

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func TestFramesAreCutFromAMessage(t *testing.T) {
	message := Append(Append(nil, []byte{1}), []byte{2, 3})
	frames, err := Split(message, 100)
	if err != nil || len(frames) != 2 || !bytes.Equal(frames[1], []byte{2, 3}) {
		t.Errorf("frames %v, error %v", frames, err)
	}
	for name, bad := range map[string][]byte{
		"empty":           {},
		"short length":    {0, 0},
		"length 0":        {0, 0, 0, 0},
		"cut off":         {0, 0, 0, 2, 1},
		"over the limit":  Append(nil, make([]byte, 97)),
		"second one cuts": append(Append(nil, []byte{1}), 0, 0, 0, 1),
	} {
		if _, err := Split(bad, 100); !errors.Is(err, ErrFault) {
			t.Errorf("%s [FRAME-2]: %v", name, err)
		}
	}
	if _, err := Split(Append(nil, make([]byte, 96)), 100); err != nil {
		t.Errorf("a frame of the limit is refused: %v", err)
	}
}

func TestKindOfFrames(t *testing.T) {
	known, err := proto.Marshal(&runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_Fence{Fence: &runnerv1alpha1.Fence{Nonce: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	unknown := protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), []byte{1})
	extra := protowire.AppendBytes(protowire.AppendTag(bytes.Clone(known), 1000, protowire.BytesType), nil)
	for name, c := range map[string]struct {
		body []byte
		want Kind
	}{"known": {known, 60}, "unknown": {unknown, 99}, "known with an unknown field": {extra, 60}, "none": {nil, 0}} {
		if kind, err := KindOf(c.body); err != nil || kind != c.want {
			t.Errorf("%s: kind %d, error %v", name, kind, err)
		}
	}
	if _, err := KindOf([]byte{0xff}); err == nil {
		t.Error("garbage has a kind")
	}
	if !Kind(100).Link() || Kind(100).Counted() || Hello.Counted() || !Kind(99).Counted() || Kind(128).Link() {
		t.Error("the counted kinds are wrong [LINK-2]")
	}
}

func TestPartsArePutTogether(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 2*PartSize+1)
	parts, err := Cut(5, body)
	if err != nil || len(parts) != 3 {
		t.Fatalf("%d parts, error %v", len(parts), err)
	}
	var a Assembler
	var whole []byte
	for _, part := range parts {
		f := &runnerv1alpha1.Frame{}
		if err := proto.Unmarshal(part, f); err != nil {
			t.Fatal(err)
		}
		if whole, err = a.Add(f.GetPart(), 1<<20); err != nil {
			t.Fatal(err)
		}
		if a.Begun(5) != (whole == nil) {
			t.Error("begun is wrong")
		}
	}
	if !bytes.Equal(whole, body) {
		t.Errorf("%d bytes came together, of %d", len(whole), len(body))
	}
	if same, err := Cut(5, body[:PartSize]); err != nil || len(same) != 1 || len(same[0]) != PartSize {
		t.Errorf("a frame of 64 KiB is cut: %v", err)
	}
}

func TestPartsKeepTheirBounds(t *testing.T) {
	var a Assembler
	if _, err := a.Add(&runnerv1alpha1.Part{Data: make([]byte, PartSize+1)}, 1<<20); !errors.Is(err, ErrParts) {
		t.Errorf("a long part [LINK-3]: %v", err)
	}
	if _, err := a.Add(&runnerv1alpha1.Part{Data: make([]byte, 100)}, 100); !errors.Is(err, ErrParts) {
		t.Errorf("a long frame [LIMIT-5]: %v", err)
	}
}

func TestTheLedgerCountsAndKeeps(t *testing.T) {
	l := NewLedger()
	for i := range 3 {
		l.Keep(1, []byte{byte(i)})
		l.Take(2)
	}
	l.Keep(100, []byte("link frames do not count"))
	l.Take(101)
	if l.Sent() != 3 || l.Received() != 3 {
		t.Fatalf("sent %d, received %d", l.Sent(), l.Received())
	}
	if err := l.Ack(2); err != nil {
		t.Fatal(err)
	}
	if err := l.Ack(1); err != nil {
		t.Errorf("a smaller Ack [LINK-14]: %v", err)
	}
	next, frames := l.Unacked()
	if next != 3 || len(frames) != 1 || frames[0][0] != 2 || l.Acked() != 2 {
		t.Errorf("unacked from %d: %v", next, frames)
	}
	if err := l.Ack(4); err == nil {
		t.Error("more than was sent is acknowledged [LINK-17]")
	}
}
