package planeg

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
)

func framingCases() []*Case {
	return []*Case{
		{ID: "GFRM-01", Title: "frames that come in one message and byte by byte are read", Requirements: needs("FRAME-1:c830ea"), run: shapes},
		{ID: "GFRM-02", Title: "a frame of length 0 ends the runner's link", Requirements: needs("FRAME-2:9beed0 FRAME-6:274312"), run: faulty([]byte{0, 0, 0, 0})},
		{ID: "GFRM-03", Title: "a frame that is cut off ends the runner's link", Requirements: needs("FRAME-2:9beed0 FRAME-6:274312"), run: faulty([]byte{0, 0, 0, 9, 1})},
		{ID: "GFRM-04", Title: "a frame that says it is of 4 GiB ends the runner's link", Requirements: needs("FRAME-2:9beed0 FRAME-6:274312"), run: faulty([]byte{255, 255, 255, 255})},
		{ID: "GFRM-05", Title: "a frame that is no message ends the runner's session", Requirements: needs("FRAME-3:3c9b4c"), run: faulty(frame.Append(nil, []byte{0xff, 0xff, 0xff}))},
		{ID: "GFRM-06", Title: "a frame of a kind that nobody knows is answered Unsupported, and the link goes on", Requirements: needs("FRAME-4:4bca7c"), run: unknownKind},
		{ID: "GFRM-07", Title: "unknown fields are ignored", Requirements: needs("FRAME-4:4bca7c"), run: unknownField},
		{ID: "GFRM-08", Title: "a link frame of more than 4 KiB ends the runner's session", Requirements: needs("LINK-2:cd16fe FRAME-3:3c9b4c"), run: longPing},
		{ID: "GFRM-09", Title: "messages for a ref that nobody holds are ignored", Requirements: needs("LINK-9:418cd6"), run: unknownRef},
		{ID: "GFRM-10", Title: "a Ping is answered at once with its number", Requirements: needs("LINK-8:8210d8"), run: ping},
	}
}

// alive checks that the link still works.
func (r *runner) alive() {
	r.fence()
	none[*commonv1alpha1.Goodbye](r, "the link goes on")
}

func shapes(p *play) {
	r := p.runner()
	r.conn.Shape(1, 3)
	r.fence()
	r.conn.Shape(0, 0)
	var message []byte
	for nonce := range uint64(3) {
		message = frame.Append(message, r.encode(&runnerv1alpha1.Fence{Nonce: 1000 + nonce}))
	}
	r.raw(message)
	for nonce := range uint64(3) {
		want(r, func(m *runnerv1alpha1.FenceReached) bool { return m.Nonce == 1000+nonce })
	}
}

func faulty(message []byte) func(*play) {
	return func(p *play) {
		r := p.runner()
		r.raw(message)
		r.invalidFrame()
	}
}

func (r *runner) invalidFrame() {
	bye := want[*commonv1alpha1.Goodbye](r)
	r.play.check(bye.Code == "runner.invalid_frame", "goodbye", "the link ends with %s", show(bye))
	r.closes()
}

func unknownKind(p *play) {
	r := p.runner()
	inner := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 42)
	r.write(protowire.AppendBytes(protowire.AppendTag(nil, 53, protowire.BytesType), inner))
	m := want[*commonv1alpha1.Unsupported](r)
	p.check(m.Kind == 53, "kind", "the answer is %s", show(m))
	r.alive()
}

func unknownField(p *play) {
	r := p.runner()
	inner := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 7)
	inner = protowire.AppendBytes(protowire.AppendTag(inner, 1234, protowire.BytesType), []byte("from the future"))
	r.write(protowire.AppendBytes(protowire.AppendTag(nil, 60, protowire.BytesType), inner))
	want(r, func(m *runnerv1alpha1.FenceReached) bool { return m.Nonce == 7 })
	r.alive()
}

func longPing(p *play) {
	r := p.runner()
	inner := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 7)
	inner = protowire.AppendBytes(protowire.AppendTag(inner, 1234, protowire.BytesType), bytes.Repeat([]byte("x"), 5000))
	r.write(protowire.AppendBytes(protowire.AppendTag(nil, 100, protowire.BytesType), inner))
	r.invalidFrame()
}

func unknownRef(p *play) {
	r := p.runner()
	r.send(
		&runnerv1alpha1.ActorReady{Actor: 1 << 40}, &runnerv1alpha1.CallResult{Actor: 1 << 40, Id: 1}, &runnerv1alpha1.Emit{Actor: 1 << 40, Event: "x", Args: []byte{0x80}},
		&runnerv1alpha1.Commit{Actor: 1 << 40, Version: 1}, &runnerv1alpha1.ActorStopped{Actor: 1 << 40},
	)
	r.alive()
}

func ping(p *play) {
	r := p.runner()
	p.client().call(1, "a", "slow")
	r.begin()
	want[*runnerv1alpha1.Call](r) // and is not answered
	r.send(&commonv1alpha1.Ping{Nonce: 77})
	want(r, func(m *runnerv1alpha1.Pong) bool { return m.Nonce == 77 })
}
