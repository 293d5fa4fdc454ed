package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// frameVectors is spec/vectors/frames-*.json; the README there says what the fields mean.
type frameVectors struct {
	Frames []struct {
		Name, Hex string
		Encode    *bool
		Message   json.RawMessage
	}
	Malformed []struct {
		Name, Hex, Failure string
		Limit              int
		Kind               Kind
	}
}

func readVectors(t testing.TB, name string, v any) {
	t.Helper()
	data, err := os.ReadFile("../../spec/vectors/" + name)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatalf("vectors: %v", err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

// [FRAME-1] and [FRAME-4], for each kind of both protocols.
func TestFrameVectors(t *testing.T) {
	for i, p := range protocols {
		var v frameVectors
		readVectors(t, "frames-"+p.name+".json", &v)
		wrap := []func(proto.Message) Message{Client, Runner}[i]
		seen := map[Kind]bool{}
		for _, vector := range v.Frames {
			frame, rest, err := NextFrame(unhex(t, vector.Hex), 1<<20)
			if err != nil || len(rest) > 0 {
				t.Fatalf("%s: %v, rest %x", vector.Name, err, rest)
			}
			f, err := ParseFrame(frame)
			if err != nil {
				t.Fatalf("%s: %v", vector.Name, err)
			}
			m, err := p.decode(f)
			if err != nil || m == nil {
				t.Fatalf("%s: %v, %v", vector.Name, m, err)
			}
			seen[f.Kind] = true
			want := p.frame()
			if err := protojson.Unmarshal(vector.Message, want); err != nil {
				t.Fatalf("%s: %v", vector.Name, err)
			}
			field := want.ProtoReflect().WhichOneof(want.ProtoReflect().Descriptor().Oneofs().Get(0))
			inner := want.ProtoReflect().Get(field).Message().Interface()
			if Kind(field.Number()) != f.Kind || !bytes.Equal(encode(t, m), encode(t, inner)) {
				t.Errorf("%s %s: kind %d, %+v", p.name, vector.Name, f.Kind, m)
			}
			own, ok := m.(Message)
			if !ok {
				own = wrap(m.(proto.Message))
			}
			if got := AppendMessage(nil, own); vector.Encode == nil && !bytes.Equal(got, unhex(t, vector.Hex)) {
				t.Errorf("%s %s: encoded as %x", p.name, vector.Name, got)
			}
		}
		fields := p.frame().ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if !seen[Kind(fields.Get(i).Number())] {
				t.Errorf("%s: no vector for %s", p.name, fields.Get(i).Name())
			}
		}
	}
}

// [FRAME-2] to [FRAME-5].
func TestMalformedFrameVectors(t *testing.T) {
	for _, p := range protocols {
		var v frameVectors
		readVectors(t, "frames-"+p.name+".json", &v)
		for _, vector := range v.Malformed {
			kind, failure := failureOf(unhex(t, vector.Hex), vector.Limit, p.decode)
			if kind != vector.Kind || failure != vector.Failure {
				t.Errorf("%s %s: %s in kind %d, want %s in %d", p.name, vector.Name, failure, kind, vector.Failure, vector.Kind)
			}
		}
	}
}

// failureOf reads what a WebSocket message holds, and says where it fails.
func failureOf(b []byte, limit int, decode func(Frame) (any, error)) (Kind, string) {
	frame, _, err := NextFrame(b, limit)
	if err != nil {
		return 0, "framing"
	}
	f, err := ParseFrame(frame)
	if err != nil {
		return 0, "frame"
	}
	switch m, err := decode(f); {
	case err != nil:
		return f.Kind, "message"
	case m == nil:
		return f.Kind, "unknown"
	}
	return f.Kind, "none"
}

func TestCommitIDVectors(t *testing.T) {
	var v struct {
		Commits []struct {
			Name, Changes, ID string
			Message           json.RawMessage
		}
	}
	readVectors(t, "commit-id.json", &v)
	if len(v.Commits) == 0 {
		t.Fatal("there are no vectors")
	}
	for _, vector := range v.Commits {
		changes, err := DecodeChanges(unhex(t, vector.Changes))
		want := new(runnerv1alpha1.Changes)
		if err != nil || protojson.Unmarshal(vector.Message, want) != nil || !proto.Equal(changes, want) {
			t.Errorf("%s: %v, %v", vector.Name, changes, err)
		}
		if id := sha256.Sum256(unhex(t, vector.Changes)); !bytes.Equal(id[:16], unhex(t, vector.ID)) {
			t.Errorf("%s: id %x", vector.Name, id[:16])
		}
	}
}
