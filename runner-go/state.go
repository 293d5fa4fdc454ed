package runner

import (
	"crypto/sha256"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// None says that there is nothing: no state, no connection state, no result, no input.
type None struct{}

// State is the actor's durable state, to read and to change. Asking for it marks the turn: at the flush the state is
// encoded, and committed if its encoding differs from the last one sent [FLUSH-3]. The pointer stays the same for the life of
// the actor in memory; use it inside turns only.
//
// The state is stored as CBOR: exported fields, named by their `cbor` or `json` tags.
func (a *Actor[S, C]) State() *S {
	a.in.mustTurn("State")
	a.in.touched = true
	return &a.state
}

// View is the state for reading only. It does not mark the turn, so a turn that only looks costs no encoding; a change
// made through it is not noticed until some turn asks for State.
func (a *Actor[S, C]) View() *S {
	a.in.mustTurn("View")
	return &a.state
}

// record is an encoded value as a commit would carry it, and what tells it from another.
type record struct {
	bytes []byte
	sum   [sha256.Size]byte
}

func newRecord(bytes []byte) record { return record{bytes: bytes, sum: sha256.Sum256(bytes)} }

func (a *Actor[S, C]) encodeState() ([]byte, error) { return payload.Marshal(&a.state) }

func (a *Actor[S, C]) decodeState(b []byte) error { return payload.Unmarshal(b, &a.state) }

// stateRecord encodes the state and checks it: the error is one that the actor cannot survive [STATE-2].
func (in *instance) stateRecord() (record, *wire.Error) {
	b, err := in.self.encodeState()
	if err != nil {
		return record{}, wire.StateInvalid.Newf("The actor's state cannot be encoded: %v.", err)
	}
	if limit := in.sess().limits.MaxState; len(b) > limit {
		return record{}, wire.StateTooLarge.Newf("The actor's state has %d bytes, at most %d are allowed; the change was not kept.", len(b), limit)
	}
	return newRecord(b), nil
}
