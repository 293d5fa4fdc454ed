package clientjson

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// vectors is spec/vectors/client-json.json; its README says what the fields mean.
type vectors struct {
	Messages []struct {
		Name, JSON, Hex string
		Write           *bool
	}
	Refused []struct {
		Name, JSON, Code, Type string
		ID                     uint64
	}
	Unknown []struct{ Name, JSON, Answer string }
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	var v vectors
	data, err := os.ReadFile("../../../spec/vectors/client-json.json")
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil || len(v.Messages) == 0 || len(v.Refused) == 0 || len(v.Unknown) == 0 {
		t.Fatalf("vectors: %v", err)
	}
	return v
}

func TestClientJSONVectors(t *testing.T) {
	v := readVectors(t)
	for _, vector := range v.Messages {
		frame, err := hex.DecodeString(vector.Hex)
		if err != nil {
			t.Fatalf("%s: %v", vector.Name, err)
		}
		m, err := Decode([]byte(vector.JSON))
		if err != nil {
			t.Errorf("%s: %v", vector.Name, err)
			continue
		}
		own, ok := m.(wire.Message)
		if !ok {
			own = wire.Client(m.(proto.Message))
		}
		if got := wire.AppendMessage(nil, own); !bytes.Equal(got, frame) {
			t.Errorf("%s: became %x", vector.Name, got)
		}
		if text := textOf(t, frame); vector.Write == nil && text != vector.JSON {
			t.Errorf("%s: written as %s", vector.Name, text)
		}
	}
	for _, vector := range v.Refused {
		_, err := Decode([]byte(vector.JSON))
		got, ok := errors.AsType[*DecodeError](err)
		if !ok || got.Err.Name() != vector.Code || got.Type != vector.Type || got.ID != vector.ID {
			t.Errorf("%s: %v, want %s of %s %d", vector.Name, err, vector.Code, vector.Type, vector.ID)
		}
	}
	for _, vector := range v.Unknown {
		m, err := Decode([]byte(vector.JSON))
		if _, ok := m.(*Unknown); !ok || err != nil {
			t.Errorf("%s: %v, %v", vector.Name, m, err)
			continue
		}
		if answer, err := Append(nil, m); err != nil || string(answer) != vector.Answer {
			t.Errorf("%s: answered %s (%v)", vector.Name, answer, err)
		}
	}
}

// textOf is the JSON form of a frame.
func textOf(t *testing.T, frame []byte) string {
	t.Helper()
	body, _, err := wire.NextFrame(frame, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	f, err := wire.ParseFrame(body)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.DecodeClient(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
