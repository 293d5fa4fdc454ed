package jsoncbor

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
)

// vectors is spec/vectors/payload.json; its README says what the fields mean.
type vectors struct {
	Pairs       []struct{ Name, Direction, JSON, CBOR string }
	RefusedJSON []struct{ Name, JSON, Code string }
	RefusedCBOR []struct{ Name, CBOR, Code string }
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	var v vectors
	data, err := os.ReadFile("../../spec/vectors/payload.json")
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil || len(v.Pairs) == 0 || len(v.RefusedJSON) == 0 || len(v.RefusedCBOR) == 0 {
		t.Fatalf("vectors: %v", err)
	}
	return v
}

func TestPayloadVectors(t *testing.T) {
	v := readVectors(t)
	for _, pair := range v.Pairs {
		if cbor, err := FromJSON([]byte(pair.JSON)); pair.Direction != "toJSON" && (err != nil || !bytes.Equal(cbor, unhex(t, pair.CBOR))) {
			t.Errorf("%s: %s became %x (%v), want %s", pair.Name, pair.JSON, cbor, err, pair.CBOR)
		}
		if text, err := AppendJSON(nil, unhex(t, pair.CBOR)); pair.Direction != "fromJSON" && (err != nil || string(text) != pair.JSON) {
			t.Errorf("%s: %s became %s (%v), want %s", pair.Name, pair.CBOR, text, err, pair.JSON)
		}
	}
	for _, refused := range v.RefusedJSON {
		if _, err := FromJSON([]byte(refused.JSON)); !errors.Is(err, ErrInvalidJSON) || refused.Code != "request.invalid_json" {
			t.Errorf("%s: %v, want %s", refused.Name, err, refused.Code)
		}
	}
	for _, refused := range v.RefusedCBOR {
		if _, err := AppendJSON(nil, unhex(t, refused.CBOR)); !errors.Is(err, payload.ErrInvalid) || refused.Code != "request.invalid_payload" {
			t.Errorf("%s: %v, want %s", refused.Name, err, refused.Code)
		}
	}
}
