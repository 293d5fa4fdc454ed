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
	buf  []byte
	open bool
}

// Add takes the next part. When it was the last one, it returns the frame they make, which the caller then owns and
// which must not be a Part itself. ErrFrameTooLarge: a frame over limit. ErrMalformed: a part over MaxStep, or parts of
// nothing [LINK-3]. After an error nothing of the frame is kept.
func (a *Assembler) Add(p *Part, limit int) (frame []byte, err error) {
	switch {
	case len(p.Data) > MaxStep:
		err = fmt.Errorf("%w: a part of %d bytes, at most %d", ErrMalformed, len(p.Data), MaxStep)
	case len(p.Data) > limit-len(a.buf):
		err = fmt.Errorf("%w: parts of more than %d bytes", ErrFrameTooLarge, limit)
	case p.Last && len(a.buf)+len(p.Data) == 0:
		err = fmt.Errorf("%w: parts of nothing", ErrMalformed)
	}
	if err != nil {
		*a = Assembler{}
		return nil, err
	}
	a.buf, a.open = append(a.buf, p.Data...), true
	if !p.Last {
		return nil, nil
	}
	frame = a.buf
	*a = Assembler{}
	return frame, nil
}

// Open tells whether a frame has begun and not ended: no other frame of the actor may come now [LINK-3].
func (a *Assembler) Open() bool { return a.open }
