package client

import (
	"context"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

// Handle names an actor. It is local: making one does no I/O and cannot fail; an address that cannot be used is
// request.invalid_address at the first use. Safe for concurrent use.
type Handle struct {
	client *Client
	target *target
}

// Call calls an action, without a connection, and decodes its result into the pointer result; nil: it is not wanted. An
// action that returns nothing leaves it alone. Arguments and result are CBOR (github.com/fxamacker/cbor).
//
// The deadline of ctx is the call's [CALL-4]; without one the gateway's default holds (60 s). When ctx ends, Call returns
// at once with action.canceled, action.timed_out, or client.unreachable if there was no session so long; each wraps the
// context's error, and the gateway is told to stop. A call outlives its socket: it waits for the next one, where the session
// goes on.
//
// Errors are *Error: those of the actor and the gateway as they come; besides session.lost (the session was lost after the
// call was written, at least in part: it may have run), client.unreachable and request.too_large (it was not sent),
// client.invalid_response (it ran, its result does not fit), client.closed. A Reject or Goodbye that is final fails all
// calls with its error; the next use tries again.
func (h *Handle) Call(ctx context.Context, action string, result any, args ...any) error {
	return h.client.session.do(ctx, request{target: h.target, action: action, args: args}, result)
}

// Send calls an action whose outcome nobody wants. It returns nil when the call was written to the socket; whether the
// action runs is not known then. If the socket is lost, the call is sent again, once the session goes on. Errors: see Call.
func (h *Handle) Send(ctx context.Context, action string, args ...any) error {
	return h.client.session.do(ctx, request{target: h.target, action: action, args: args, oneway: true}, nil)
}

// Connect attaches to the actor. It returns at once and opens the connection in the background; see Connection.
func (h *Handle) Connect(options ConnectOptions) *Connection {
	return newConnection(h.client.session, h.target, options)
}

// Resolve is the id of the actor, which it creates if the handle is one of GetOrCreate. It is not remembered. It goes by
// HTTP [HTTP-2]. Errors: those of the gateway, client.unreachable (not sent), session.lost (the answer did not come),
// client.invalid_response, client.closed, and those of a context that ended, as with Call.
func (h *Handle) Resolve(ctx context.Context) (string, error) {
	if h.target.mode == commonv1alpha1.Mode_MODE_GET_OR_CREATE {
		return h.client.http.getOrCreate(ctx, h.target)
	}
	return h.client.http.describe(ctx, h.target)
}

// Destroy removes the actor with all it has [LIFE-6]; the token has to be an admin's [AUTH-1]. An actor that does not
// exist is actor.not_found. Other errors: see Resolve.
func (h *Handle) Destroy(ctx context.Context) error { return h.client.http.destroy(ctx, h.target) }
