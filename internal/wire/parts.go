package wire

import "fmt"

// partOverhead bounds what envelope, length prefix and the other fields add to a Part's data.
const partOverhead = 32

// appendParts appends a frame that is too long for one step as Parts of the actor [LINK-3]. frame has no length prefix.
func appendParts(dst []byte, actor uint64, frame []byte) []byte {
	for len(frame) > 0 {
		n := min(len(frame), MaxStep-partOverhead)
		part := Part{Actor: actor, Data: frame[:n], Last: n == len(frame)}
		dst = AppendMessage(dst, &part)
		frame = frame[n:]
	}
	return dst
}

// Assembler puts one actor's Parts together. The zero value is ready.
type Assembler struct {
	buf []byte
}

// Add takes the next part. When it was the last one, it returns the frame they make, which the caller then owns.
// A frame over limit is ErrFrameTooLarge; nothing of it is kept.
func (a *Assembler) Add(p *Part, limit int) (frame []byte, err error) {
	if len(a.buf)+len(p.Data) > limit {
		a.buf = nil
		return nil, fmt.Errorf("%w: parts of more than %d bytes", ErrFrameTooLarge, limit)
	}
	a.buf = append(a.buf, p.Data...)
	if !p.Last {
		return nil, nil
	}
	frame, a.buf = a.buf, nil
	return frame, nil
}

// Open tells whether a frame has begun and not ended: no other frame of the actor may come now [LINK-3].
func (a *Assembler) Open() bool { return len(a.buf) > 0 }
