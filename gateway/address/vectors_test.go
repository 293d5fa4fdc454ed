package address_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
)

// vectors is spec/vectors/address.json; its README says what the fields mean.
type vectors struct {
	Addresses []struct {
		Name, Segment, Namespace, Type string
		Write                          *bool
		Key                            []string
		KeyEncoding                    string
		Partition                      uint16
	}
	InvalidAddresses []struct {
		Name                     string
		Segment, Namespace, Type *string
		Key                      []string
	}
	IDs []struct {
		Name, ID, Region, Bytes string
		Partition               uint16
		CreatedMs               int64
	}
	InvalidIDs []struct{ Name, ID string }
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	var v vectors
	data, err := os.ReadFile("../../spec/vectors/address.json")
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil || len(v.Addresses) == 0 || len(v.InvalidAddresses) == 0 || len(v.IDs) == 0 || len(v.InvalidIDs) == 0 {
		t.Fatalf("vectors: %v", err)
	}
	return v
}

// [ADDR-2], [ADDR-3] and [ADDR-5].
func TestAddressVectors(t *testing.T) {
	for _, v := range readVectors(t).Addresses {
		a, id, err := address.ParseSegment(v.Segment, v.Namespace)
		if err != nil || id != "" || a.Namespace != v.Namespace || a.Type != v.Type || !slices.Equal(a.Key, v.Key) {
			t.Errorf("%s: %+v, %q, %v", v.Name, a, id, err)
			continue
		}
		if got := a.Segment(); got != v.Segment && v.Write == nil {
			t.Errorf("%s: written as %s", v.Name, got)
		}
		if want, _ := hex.DecodeString(v.KeyEncoding); !bytes.Equal(a.AppendKey(nil), want) {
			t.Errorf("%s: key encoding %x", v.Name, a.AppendKey(nil))
		}
		if a.Partition() != v.Partition {
			t.Errorf("%s: partition %d", v.Name, a.Partition())
		}
	}
}

// [ADDR-1].
func TestInvalidAddressVectors(t *testing.T) {
	for _, v := range readVectors(t).InvalidAddresses {
		var err error
		if v.Segment != nil {
			_, _, err = address.ParseSegment(*v.Segment, address.DefaultNamespace)
		} else {
			err = address.Address{Namespace: *v.Namespace, Type: *v.Type, Key: v.Key}.Validate()
		}
		if !errors.Is(err, address.ErrInvalid) {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
}

// [ADDR-4].
func TestIDVectors(t *testing.T) {
	for _, v := range readVectors(t).IDs {
		partition, err := address.ParseID(v.ID)
		if err != nil || partition != v.Partition {
			t.Errorf("%s: partition %d, %v", v.Name, partition, err)
		}
		// All but the randomness is given.
		const known = 1 + 8*8/5
		made := address.NewID(v.Region, v.Partition, time.UnixMilli(v.CreatedMs))
		if len(made) != len(v.ID) || made[:len(v.Region)+known] != v.ID[:len(v.Region)+known] {
			t.Errorf("%s: made %s, want the beginning of %s", v.Name, made, v.ID)
		}
	}
	for _, v := range readVectors(t).InvalidIDs {
		if _, err := address.ParseID(v.ID); !errors.Is(err, address.ErrInvalid) {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
}
