package address

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// MaxRegion bounds a region's name in bytes.
const MaxRegion = 32

// idLen is the length of the encoded 16 bytes of an id.
const idLen = 26

var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// NewID makes a fresh actor id [ADDR-4]. Randomness comes from crypto/rand.
func NewID(region string, partition uint16, now time.Time) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[0:8], uint64(now.UnixMilli())&(1<<48-1))
	binary.BigEndian.PutUint16(raw[0:2], partition)
	_, _ = rand.Read(raw[8:]) // never fails: crypto/rand ends the process instead
	return region + "-" + idEncoding.EncodeToString(raw[:])
}

// ParseID checks an actor id and returns the partition that holds it.
func ParseID(id string) (partition uint16, err error) {
	cut := len(id) - idLen - 1
	if cut < 1 || id[cut] != '-' || ValidateRegion(id[:cut]) != nil {
		return 0, fmt.Errorf("%w: %q is not an actor id", ErrInvalid, id)
	}
	raw, err := idEncoding.DecodeString(id[cut+1:])
	if err != nil || idEncoding.EncodeToString(raw) != id[cut+1:] { // one spelling each: ids are compared as text
		return 0, fmt.Errorf("%w: %q is not an actor id", ErrInvalid, id)
	}
	partition = binary.BigEndian.Uint16(raw)
	if partition >= Partitions {
		return 0, fmt.Errorf("%w: actor id %q names partition %d", ErrInvalid, id, partition)
	}
	return partition, nil
}

// ValidateRegion checks a region's name: 1 to 32 of a-z, 0-9 and inner hyphens.
func ValidateRegion(region string) error {
	if region == "" || len(region) > MaxRegion || strings.HasPrefix(region, "-") || strings.HasSuffix(region, "-") {
		return fmt.Errorf("%w: region %q: 1 to %d of a-z 0-9 and inner hyphens are allowed", ErrInvalid, region, MaxRegion)
	}
	for i := range len(region) {
		if c := region[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("%w: region %q: 1 to %d of a-z 0-9 and inner hyphens are allowed", ErrInvalid, region, MaxRegion)
		}
	}
	return nil
}
