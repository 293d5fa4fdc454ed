package client

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Ran says whether user code ran on behalf of a request that failed [ERR-4].
type Ran string

// The values of Ran.
const (
	// RanUnknown: the error is not about a request.
	RanUnknown Ran = ""
	// RanNo: certainly not. Repeating the request is safe.
	RanNo Ran = "no"
	// RanYes: certainly.
	RanYes Ran = "yes"
	// RanMaybe: nobody knows any more.
	RanMaybe Ran = "maybe"
)

// Error is every failure that this package returns: what the gateway or an actor answered, and what went wrong on the
// way. Find it with errors.As, or compare CodeOf(err) with the Code constants. Errors that end with a context wrap the
// context's error, so errors.Is(err, context.Canceled) holds.
type Error struct {
	// Group and Code come from the registry, spec/errors.md; an application's own errors have group "user" [ERR-1].
	Group string
	Code  string
	// Message is for people.
	Message string
	// Metadata is one CBOR value, nil where there is none; see DecodeMetadata.
	Metadata []byte
	// Retryable: the same request may succeed later, unchanged.
	Retryable bool
	Ran       Ran
	// RetryAfter is a hint for when; 0: none.
	RetryAfter time.Duration

	cause error
}

// Error implements error: "group.code: message".
func (e *Error) Error() string { return e.Name() + ": " + e.Message }

// Name is "group.code", as in the Code constants.
func (e *Error) Name() string { return e.Group + "." + e.Code }

// Unwrap is the cause on this side, such as a context's error or that of the network; often nil.
func (e *Error) Unwrap() error { return e.cause }

// DecodeMetadata decodes the metadata into the pointer v. Without metadata it leaves v alone.
func (e *Error) DecodeMetadata(v any) error {
	if len(e.Metadata) == 0 {
		return nil
	}
	if err := payload.Unmarshal(e.Metadata, v); err != nil {
		return fmt.Errorf("metadata of %s: %w", e.Name(), err)
	}
	return nil
}

// CodeOf is the name, "group.code", of the first Error that err wraps; empty if there is none.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Name()
	}
	return ""
}

// raise makes an error of the registry on this side.
func raise(code *wire.Code, ran wire.Ran, format string, args ...any) *Error {
	e := fromWire(code.New().With(ran))
	if format != "" {
		e.Message = fmt.Sprintf(format, args...)
	}
	return e
}

// because adds a cause, which the caller finds with errors.Is and errors.As.
func (e *Error) because(cause error) *Error {
	e.cause = cause
	return e
}

// with returns a copy that says ran.
func (e *Error) with(ran Ran) *Error {
	c := *e
	c.Ran = ran
	return &c
}

// fromWire is a received error. It keeps nothing of the frame. Codes that are newer than this code pass through.
func fromWire(e *wire.Error) *Error {
	out := &Error{
		Group: e.Group, Code: e.Code, Message: e.Message, Metadata: append([]byte(nil), e.Metadata...),
		Retryable: e.Retryable, Ran: Ran(e.Ran.String()), RetryAfter: millis(e.RetryAfterMs),
	}
	known := wire.LookupCode(e.Group, e.Code)
	if out.Ran == RanUnknown && known != nil {
		out.Ran = Ran(known.Ran.String())
	}
	if out.Message == "" && known != nil {
		out.Message = known.Text
	}
	return out
}

// named makes an error of a name that came without the rest, as in a Goodbye.
func named(name, message string) *Error {
	group, code, _ := strings.Cut(name, ".")
	e := &wire.Error{Group: group, Code: code, Message: message}
	if known := wire.LookupCode(group, code); known != nil {
		e.Retryable = known.Retryable
	}
	return fromWire(e)
}

func millis(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }
