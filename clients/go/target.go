package client

import (
	"slices"
	"strings"
	"unicode/utf8"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// target is whom a handle means: an address with a mode, or an id. It does not change.
type target struct {
	address  *commonv1alpha1.Address // nil: by id
	id       string
	mode     commonv1alpha1.Mode
	input    []byte
	hasInput bool
	invalid  *Error // why no request can be made; found when the handle was made, told at its use
}

// HandleOption is an option of GetOrCreate and Create.
type HandleOption func(*target)

// WithInput passes v to the actor if it is created. Presence counts: nil is an input too [PAY-3]. A value that cannot
// be encoded is request.invalid_payload at the first use.
func WithInput(v any) HandleOption {
	return func(t *target) {
		input, err := payload.Marshal(v)
		if err != nil {
			t.invalid = raise(wire.RequestInvalidPayload, wire.RanNo, "The input cannot be encoded: %v", err).because(err)
			return
		}
		t.input, t.hasInput = input, true
	}
}

func byAddress(actorType string, key []string, mode commonv1alpha1.Mode, options []HandleOption) *target {
	t := &target{address: &commonv1alpha1.Address{Type: actorType, Key: append([]string(nil), key...)}, mode: mode}
	for _, option := range options {
		option(t)
	}
	// What the wire cannot carry is refused here; all other rules about addresses are the gateway's [ADDR-1].
	invalid := func(s string) bool { return !utf8.ValidString(s) }
	if actorType == "" || invalid(actorType) || slices.ContainsFunc(key, invalid) {
		t.invalid = raise(wire.RequestInvalidAddress, wire.RanNo, "")
	}
	return t
}

func byID(id string) *target {
	t := &target{id: id}
	if id == "" || !utf8.ValidString(id) {
		t.invalid = raise(wire.RequestInvalidAddress, wire.RanNo, "The actor id is malformed.")
	}
	return t
}

// segment is the URL form [ADDR-3] [ADDR-4].
func (t *target) segment() string {
	var b strings.Builder
	if t.address == nil {
		b.WriteByte('@')
		escape(&b, t.id)
		return b.String()
	}
	escape(&b, t.address.GetType())
	for _, part := range t.address.GetKey() {
		b.WriteByte(':')
		escape(&b, part)
	}
	return b.String()
}

// escape writes a part: every byte except the unreserved ones is encoded, and a part of only dots whole [ADDR-3].
func escape(b *strings.Builder, part string) {
	const hex = "0123456789ABCDEF"
	onlyDots := strings.Trim(part, ".") == ""
	for i := range len(part) {
		c := part[i]
		if isUnreserved(c) && !onlyDots {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
}

func isUnreserved(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0
}
