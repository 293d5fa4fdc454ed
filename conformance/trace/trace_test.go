package trace

import (
	"bytes"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"
)

func TestAWrittenTraceIsReadBack(t *testing.T) {
	var seen []*Event
	r := NewRecorder(func(e *Event) { seen = append(seen, e) })
	r.Add(&Event{Socket: 1, Happening: Opened})
	r.In("HS-01")
	r.Add(&Event{Socket: 1, Direction: FromRunner, Frame: []byte{1, 2, 3}})
	r.In("")
	r.Add(&Event{Socket: 1, Happening: Ended, Note: "gone"})

	var file bytes.Buffer
	if err := Write(&file, &Header{Source: "test", Seed: 7}, r.Since(0)); err != nil {
		t.Fatal(err)
	}
	reader, err := NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	if reader.Header.Seed != 7 || reader.Header.Format != 1 {
		t.Errorf("header is %v", reader.Header)
	}
	events, err := reader.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 3 || len(seen) != 3 || events[1].CaseId != "HS-01" || events[2].CaseId != "" || events[2].Seq != 3 {
		t.Errorf("read %v, seen %v", events, seen)
	}
	for i := range events {
		if !proto.Equal(events[i], seen[i]) {
			t.Errorf("event %d: read %v, want %v", i, events[i], seen[i])
		}
	}
	if got := r.Since(2); len(got) != 1 || r.Len() != 3 {
		t.Errorf("since 2: %v", got)
	}
}

func TestWhatIsNoTraceIsRefused(t *testing.T) {
	for name, b := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "two headers": twoHeaders(t)} {
		reader, err := NewReader(bytes.NewReader(b))
		if err == nil {
			if _, err = reader.Next(); err == nil || err == io.EOF { //nolint:errorlint // a wrapped EOF is fine
				t.Errorf("%s is read", name)
			}
		}
	}
}

func twoHeaders(t *testing.T) []byte {
	t.Helper()
	var file bytes.Buffer
	for range 2 {
		if err := Write(&file, &Header{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}
