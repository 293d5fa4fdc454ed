package replay

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// readID is what a read was called when it was recorded.
type readID struct{ actor, id uint64 }

// skipped are frames that are not compared: those of the link layer and the handshake, and parts, whose content follows.
func skipped(f *tap.Frame) bool {
	return tap.IsLink(f) || f.GetHello() != nil || f.GetPart() != nil || f.GetDrain() != nil
}

// same compares a recorded frame with the one that came, and binds what the runner chose.
func (p *player) same(want, got *tap.Frame) bool {
	want, got = tap.Clone(want), tap.Clone(got)
	if w, g := want.GetKvRead(), got.GetKvRead(); w != nil && g != nil {
		p.reads[readID{w.Actor, w.Id}] = g.Id
		w.Id = g.Id
	}
	for _, f := range []*tap.Frame{want, got} {
		for _, e := range []*commonv1alpha1.Error{f.GetCallResult().GetError(), f.GetActorStopped().GetError()} {
			if e != nil && e.Group != "user" {
				e.Message = ""
			}
		}
	}
	return proto.Equal(want, got)
}

// rebound gives the answer to a read the id that the read has now.
func (p *player) rebound(f *tap.Frame, body []byte) []byte {
	m := f.GetKvResult()
	if m == nil {
		return body
	}
	id, known := p.reads[readID{m.Actor, m.Id}]
	if !known || id == m.Id {
		return body
	}
	f = tap.Clone(f)
	f.GetKvResult().Id = id
	again, err := proto.Marshal(f)
	if err != nil {
		return body
	}
	return again
}

// text is a frame for people, cut short.
func text(f *tap.Frame) string {
	s := fmt.Sprint(f)
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}
