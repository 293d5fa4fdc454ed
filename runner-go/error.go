package runner

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// maxMessage bounds the text of an error, in bytes (common.proto, Error.message).
const maxMessage = 4 << 10

// ErrStopped is returned by operations on an actor that has stopped, or is past its last turn.
var ErrStopped = errors.New("runner: the actor has stopped")

// ErrInTurn is returned by Do when it is called with the context of a running turn of the same actor: it would wait for
// itself. Code inside a turn needs no Do.
var ErrInTurn = errors.New("runner: Do called inside a turn of the same actor")

// UserError is a failure of the application's own: it passes to the caller as it stands, as user.<Code> [ERR-3]. Return
// it, or wrap it, from actions and hooks. Any other error reaches the caller as internal.error without its text.
type UserError struct {
	// Code names the failure: 1 to 64 of [A-Za-z0-9_.-].
	Code string
	// Message is for people, at most 4 KiB.
	Message string
	// Metadata is encoded as CBOR, at most 16 KiB encoded by default; beyond the limit it is left out.
	Metadata any
	// Retryable says that the same request may succeed later.
	Retryable bool
}

// Error implements error.
func (e UserError) Error() string { return "user." + e.Code + ": " + e.Message }

// Error is a failure that the SDK or the gateway reports: of a KV operation, an emission, a rejected link. Returned from an
// action it reaches the caller under its own code if a runner may send that, else, as store.unavailable does, as
// internal.error [ERR-6].
type Error struct {
	// Code is the registry's name, such as "kv.value_too_large" (spec/errors.md).
	Code string
	// Message is for people.
	Message string
	// Retryable says that the same request may succeed later.
	Retryable bool

	wire *wire.Error
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Is makes errors.Is compare by code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Reject is the error with which BeforeConnect, CreateConnState or OnConnect refuses a connection under the code
// connection.rejected. A UserError refuses it under a code of its own [CONN-2].
func Reject(message string) error { return sdkError(wire.ConnectionRejected.Newf("%s", message)) }

// Forbidden is the error auth.forbidden: the caller may not do this.
func Forbidden(message string) error { return sdkError(wire.AuthForbidden.Newf("%s", message)) }

// tellable tells an error that callers may see under its own code: one that a runner may send, unlike what the gateway says of
// the store [ERR-6], and whose text was made to leave [ERR-3].
func (e *Error) tellable() bool {
	if e.wire == nil || errors.Is(e.wire, wire.InternalError) {
		return false
	}
	_, may := e.wire.Accept(wire.FromRunner)
	return may
}

func sdkError(e *wire.Error) *Error {
	return &Error{Code: e.Name(), Message: e.Message, Retryable: e.Retryable, wire: e}
}

// panicError is what user code panicked with, and where [TURN-7].
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// faults turns what user code returned into what may leave the runner.
type faults struct {
	development bool // Welcome.development: texts of internal errors may leave [ERR-3]
	maxMetadata int
}

// wire makes the error for the caller. hidden is true where the text stayed behind and belongs in the log.
func (f faults) wire(err error, ran wire.Ran) (e *wire.Error, hidden bool) {
	if known, ok := errors.AsType[*Error](err); ok && known.tellable() {
		return f.trim(known.wire.With(ran)), false
	}
	if user, ok := asUserError(err); ok {
		if e = f.user(user, ran); e != nil {
			return e, false
		}
	}
	e = wire.InternalError.New().With(ran)
	if f.development {
		e.Message = err.Error()
	}
	return f.trim(e), true
}

func asUserError(err error) (UserError, bool) {
	if e, ok := errors.AsType[UserError](err); ok {
		return e, true
	}
	if e, ok := errors.AsType[*UserError](err); ok && e != nil {
		return *e, true
	}
	return UserError{}, false
}

// user is nil for a code that no gateway would pass on.
func (f faults) user(u UserError, ran wire.Ran) *wire.Error {
	e := &wire.Error{Group: wire.UserGroup, Code: u.Code, Message: u.Message, Retryable: u.Retryable, Ran: ran}
	if _, ok := e.Accept(wire.FromRunner); !ok {
		return nil
	}
	if u.Metadata != nil {
		if b, err := payload.Marshal(u.Metadata); err == nil {
			e.Metadata = b
		}
	}
	return f.trim(e)
}

// trim keeps an error within what may be sent: valid UTF-8 [FRAME-5], and its limits.
func (f faults) trim(e *wire.Error) *wire.Error {
	if len(e.Metadata) > f.maxMetadata {
		e.Metadata = nil
	}
	e.Message = clip(e.Message, maxMessage)
	return e
}

// clip is s as valid UTF-8 of at most limit bytes.
func clip(s string, limit int) string {
	valid := make([]byte, 0, min(len(s), limit))
	for _, r := range s { // invalid bytes come as U+FFFD
		if len(valid)+utf8.RuneLen(r) > limit {
			break
		}
		valid = utf8.AppendRune(valid, r)
	}
	return string(valid)
}

func asPanic(err error) (*panicError, bool) { return errors.AsType[*panicError](err) }
