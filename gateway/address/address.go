// Package address names actors: the (namespace, type, key) triple, its one-segment URL form, its length-prefixed key
// encoding, its partition, and actor ids.
//
// It holds no state and does no I/O; every function is safe for concurrent use. The rules are ADDR-1 to ADDR-5 of
// spec/protocol.md. The gateway's packages call it; SDKs leave validation to the gateway.
package address

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// Bounds of an address [ADDR-1]. Bytes, except MaxKeyParts.
const (
	MaxName     = 64
	MaxKeyParts = 16
	MaxKeyPart  = 128
	MaxKey      = 1024
	// Partitions is fixed at the creation of a cluster [ADDR-5].
	Partitions = 1024
	// DefaultNamespace is used where none is given.
	DefaultNamespace = "default"
)

// ErrInvalid is wrapped by every error of this package.
var ErrInvalid = errors.New("invalid address")

// Address names an actor by what the application calls it. The zero Address is not valid.
type Address struct {
	Namespace string
	Type      string
	Key       []string
}

// Validate reports why a is not a valid address, if it is not [ADDR-1].
func (a Address) Validate() error {
	if err := ValidateName("namespace", a.Namespace); err != nil {
		return err
	}
	if err := ValidateName("actor type", a.Type); err != nil {
		return err
	}
	if len(a.Key) > MaxKeyParts {
		return fmt.Errorf("%w: the key has %d parts, at most %d are allowed", ErrInvalid, len(a.Key), MaxKeyParts)
	}
	total := 0
	for i, part := range a.Key {
		if len(part) > MaxKeyPart {
			return fmt.Errorf("%w: key part %d has %d bytes, at most %d are allowed", ErrInvalid, i, len(part), MaxKeyPart)
		}
		if !utf8.ValidString(part) {
			return fmt.Errorf("%w: key part %d is not valid UTF-8", ErrInvalid, i)
		}
		total += len(part)
	}
	if total > MaxKey {
		return fmt.Errorf("%w: the key has %d bytes, at most %d are allowed", ErrInvalid, total, MaxKey)
	}
	return nil
}

// ValidateName checks a namespace or an actor type; what names it in the error.
func ValidateName(what, s string) error {
	if s == "" || len(s) > MaxName {
		return fmt.Errorf("%w: the %s has %d bytes, 1 to %d are allowed", ErrInvalid, what, len(s), MaxName)
	}
	onlyDots := true
	for i := range len(s) {
		c := s[i]
		if !isNameByte(c) {
			return fmt.Errorf("%w: the %s %q has a character outside A-Z a-z 0-9 _ . -", ErrInvalid, what, s)
		}
		onlyDots = onlyDots && c == '.'
	}
	if onlyDots {
		return fmt.Errorf("%w: the %s is only dots", ErrInvalid, what)
	}
	return nil
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-'
}

// ParseSegment reads the URL form of an address or an actor id from one still escaped path segment [ADDR-3] [ADDR-4].
// Exactly one of the results is set: an address in the given namespace, or an id.
func ParseSegment(escaped, namespace string) (Address, string, error) {
	if id, ok := strings.CutPrefix(escaped, "@"); ok {
		if _, err := ParseID(id); err != nil {
			return Address{}, "", err
		}
		return Address{}, id, nil
	}
	parts := strings.Split(escaped, ":")
	a := Address{Namespace: namespace, Type: parts[0], Key: make([]string, 0, len(parts)-1)}
	for i, part := range parts[1:] {
		decoded, err := url.PathUnescape(part)
		if err != nil {
			return Address{}, "", fmt.Errorf("%w: key part %d is not percent-encoded: %q", ErrInvalid, i, part)
		}
		a.Key = append(a.Key, decoded)
	}
	return a, "", a.Validate()
}

// Segment is the URL form of a, without its namespace [ADDR-3].
func (a Address) Segment() string {
	var b strings.Builder
	b.WriteString(a.Type)
	for _, part := range a.Key {
		b.WriteByte(':')
		appendEscaped(&b, part)
	}
	return b.String()
}

// String is the form for logs.
func (a Address) String() string { return a.Namespace + "/" + a.Segment() }

func appendEscaped(b *strings.Builder, part string) {
	const hex = "0123456789ABCDEF"
	// A segment of only dots would be taken for a relative path.
	dots := strings.Trim(part, ".") == ""
	for i := range len(part) {
		c := part[i]
		if !dots && (isNameByte(c) || c == '~') {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
}

// AppendKey appends the key encoding of a [ADDR-5]: injective, and with the (namespace, type) encoding as a prefix.
func (a Address) AppendKey(dst []byte) []byte {
	dst = AppendTypeKey(dst, a.Namespace, a.Type)
	dst = binary.AppendUvarint(dst, uint64(len(a.Key)))
	for _, part := range a.Key {
		dst = appendPrefixed(dst, part)
	}
	return dst
}

// AppendTypeKey appends the part of the key encoding that all actors of one type share.
func AppendTypeKey(dst []byte, namespace, typ string) []byte {
	return appendPrefixed(appendPrefixed(dst, namespace), typ)
}

func appendPrefixed(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// Partition is the partition that holds a [ADDR-5].
func (a Address) Partition() uint16 {
	var buf [256]byte
	return uint16(xxhash.Sum64(a.AppendKey(buf[:0])) % Partitions)
}
