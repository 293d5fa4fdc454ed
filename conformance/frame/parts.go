package frame

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// PartSize is the longest frame that goes whole, and the most that a Part carries [LINK-3].
const PartSize = 64 << 10

// ErrParts is wrapped by breaches of the rules for Parts.
var ErrParts = errors.New("parts")

// Cut gives the frames in which a frame of an actor is sent: itself, or its Parts.
func Cut(actor uint64, body []byte) ([][]byte, error) {
	if len(body) <= PartSize {
		return [][]byte{body}, nil
	}
	var parts [][]byte
	for len(body) > 0 {
		n := min(PartSize, len(body))
		part := &runnerv1alpha1.Part{Actor: actor, Data: body[:n], Last: n == len(body)}
		b, err := proto.Marshal(&runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_Part{Part: part}})
		if err != nil {
			return nil, fmt.Errorf("encode a part: %w", err)
		}
		parts, body = append(parts, b), body[n:]
	}
	return parts, nil
}

// Assembler puts the frames of a link together from their Parts. The zero value is ready.
type Assembler struct {
	begun map[uint64][]byte
}

// Add takes a Part; it returns the whole frame after the last one, else nil. limit bounds a whole frame with its length.
func (a *Assembler) Add(part *runnerv1alpha1.Part, limit int) ([]byte, error) {
	if len(part.Data) > PartSize {
		return nil, fmt.Errorf("%w: one of actor %d holds %d bytes", ErrParts, part.Actor, len(part.Data))
	}
	if a.begun == nil {
		a.begun = map[uint64][]byte{}
	}
	whole := append(a.begun[part.Actor], part.Data...)
	if len(whole)+HeaderLen > limit {
		return nil, fmt.Errorf("%w: those of actor %d hold %d bytes, over the limit of %d", ErrParts, part.Actor, len(whole), limit)
	}
	if !part.Last {
		a.begun[part.Actor] = whole
		return nil, nil
	}
	delete(a.begun, part.Actor)
	return whole, nil
}

// Begun says whether a frame of the actor is under way, so that no other of its frames may begin.
func (a *Assembler) Begun(actor uint64) bool { return a.begun[actor] != nil }
