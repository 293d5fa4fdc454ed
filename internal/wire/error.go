package wire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

// Ran says whether user code ran for a request that failed [ERR-4].
type Ran uint8

// The values of Ran, as in common.proto.
const (
	RanUnspecified Ran = iota
	RanNo
	RanYes
	RanMaybe
)

// String is the JSON and HTTP form; empty for RanUnspecified.
func (r Ran) String() string {
	switch r {
	case RanNo:
		return "no"
	case RanYes:
		return "yes"
	case RanMaybe:
		return "maybe"
	case RanUnspecified:
	}
	return ""
}

// ParseRan reads what String writes; anything else is RanUnspecified [FRAME-4].
func ParseRan(s string) Ran {
	for r := RanNo; r <= RanMaybe; r++ {
		if r.String() == s {
			return r
		}
	}
	return RanUnspecified
}

// UserGroup is the one open group of error codes [ERR-3].
const UserGroup = "user"

// Error is a failure as it crosses a socket.
type Error struct {
	Group        string
	Code         string
	Message      string
	Metadata     []byte // CBOR; nil: none
	Retryable    bool
	Ran          Ran
	RetryAfterMs uint32
}

// Error implements error: "group.code: message".
func (e *Error) Error() string { return e.Name() + ": " + e.Message }

// Name is the registry's name of the error, "group.code".
func (e *Error) Name() string { return e.Group + "." + e.Code }

// Is reports whether e has the given code.
func (e *Error) Is(target error) bool {
	c, ok := target.(*Code)
	return ok && c.Group == e.Group && c.Code == e.Code
}

// With returns a copy of e with another ran, where the sender knows better than the registry's default.
func (e *Error) With(ran Ran) *Error {
	c := *e
	c.Ran = ran
	return &c
}

// Code is an entry of the registry, spec/errors.md. Codes are compared with errors.Is.
type Code struct {
	Group     string
	Code      string
	Status    int // of an HTTP answer
	Retryable bool
	Ran       Ran
	From      Sender
	Text      string // public
}

// Sender is a set of who may send a code [ERR-2].
type Sender uint8

// The members of Sender.
const (
	FromGateway Sender = 1 << iota
	FromRunner
	FromClient
)

// Error implements error, so that a bare code can be wrapped and compared.
func (c *Code) Error() string { return c.Group + "." + c.Code + ": " + c.Text }

// New makes an error of the code with its public text.
func (c *Code) New() *Error {
	return &Error{Group: c.Group, Code: c.Code, Message: c.Text, Retryable: c.Retryable, Ran: c.Ran}
}

// Newf makes an error of the code with a more exact public message.
func (c *Code) Newf(format string, args ...any) *Error {
	e := c.New()
	e.Message = fmt.Sprintf(format, args...)
	return e
}

// LookupCode finds the registry's entry, or nil.
func LookupCode(group, code string) *Code { return registry[group+"."+code] }

// HTTPStatus is the status of an answer that carries e: the registry's, 400 for the user group, else 500.
func (e *Error) HTTPStatus() int {
	if c := LookupCode(e.Group, e.Code); c != nil {
		return c.Status
	}
	if e.Group == UserGroup {
		return 400
	}
	return 500
}

// Accept is what an error received from a sender is passed on as: itself, or internal.error where the sender may not
// send it [ERR-2]. ok is false when it was replaced. A missing ran is filled in from the registry [ERR-4].
func (e *Error) Accept(from Sender) (accepted *Error, ok bool) {
	if e.Group == UserGroup && validUserCode(e.Code) {
		if e.Ran == RanUnspecified {
			return e.With(RanYes), true
		}
		return e, true
	}
	c := LookupCode(e.Group, e.Code)
	if c == nil || c.From&from == 0 {
		return InternalError.New(), false
	}
	if e.Ran == RanUnspecified {
		return e.With(c.Ran), true
	}
	return e, true
}

func validUserCode(code string) bool {
	if code == "" || len(code) > 64 {
		return false
	}
	for i := range len(code) {
		c := code[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// AsError is err as an Error: itself if it is one, the code's if it is a code, else fallback with its public text only.
func AsError(err error, fallback *Code) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if c, ok := errors.AsType[*Code](err); ok {
		return c.New()
	}
	return fallback.New()
}

// Proto is e as the generated message; nil for nil.
func (e *Error) Proto() *commonv1alpha1.Error {
	if e == nil {
		return nil
	}
	return &commonv1alpha1.Error{
		Group: e.Group, Code: e.Code, Message: e.Message, Metadata: e.Metadata,
		Retryable: e.Retryable, Ran: commonv1alpha1.Ran(e.Ran), RetryAfterMs: e.RetryAfterMs,
	}
}

// ErrorFromProto is the reverse of Proto.
func ErrorFromProto(p *commonv1alpha1.Error) *Error {
	if p == nil {
		return nil
	}
	return &Error{
		Group: p.GetGroup(), Code: p.GetCode(), Message: p.GetMessage(), Metadata: p.GetMetadata(),
		Retryable: p.GetRetryable(), Ran: ranFrom(uint64(p.GetRan())), RetryAfterMs: p.GetRetryAfterMs(),
	}
}

func ranFrom(v uint64) Ran {
	if v > uint64(RanMaybe) {
		return RanUnspecified
	}
	return Ran(v)
}

func (e *Error) size() int {
	return sizeString(1, e.Group) + sizeString(2, e.Code) + sizeString(3, e.Message) + sizeBytes(4, e.Metadata) +
		sizeBool(5, e.Retryable) + sizeUint(6, uint64(e.Ran)) + sizeUint(7, uint64(e.RetryAfterMs))
}

func (e *Error) appendTo(dst []byte) []byte {
	dst = appendString(dst, 1, e.Group)
	dst = appendString(dst, 2, e.Code)
	dst = appendString(dst, 3, e.Message)
	dst = appendBytes(dst, 4, e.Metadata)
	dst = appendBool(dst, 5, e.Retryable)
	dst = appendUint(dst, 6, uint64(e.Ran))
	return appendUint(dst, 7, uint64(e.RetryAfterMs))
}

// sizeError and appendError write an optional Error field.
func sizeError(num protowire.Number, e *Error) int {
	if e == nil {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeBytes(e.size())
}

func appendError(dst []byte, num protowire.Number, e *Error) []byte {
	if e == nil {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(e.size()))
	return e.appendTo(dst)
}

// mergeInto decodes one occurrence of an Error field over what earlier occurrences said, as protobuf merges.
func mergeInto(e *Error, b []byte) error {
	f := fields{what: "Error", rest: b}
	for f.next() {
		switch {
		case f.num == 1 && f.isBytes():
			e.Group = string(f.text("Error.group"))
		case f.num == 2 && f.isBytes():
			e.Code = string(f.text("Error.code"))
		case f.num == 3 && f.isBytes():
			e.Message = string(f.text("Error.message"))
		case f.num == 4 && f.isBytes():
			e.Metadata = f.bytes
		case f.num == 5 && f.isVarint():
			e.Retryable = f.value != 0
		case f.num == 6 && f.isVarint():
			e.Ran = ranFrom(uint64(uint32(f.value)))
		case f.num == 7 && f.isVarint():
			e.RetryAfterMs = uint32(f.value)
		}
	}
	return f.err
}
