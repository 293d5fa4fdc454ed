package api

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"time"
)

// pieces is a stream that brings one piece for each read, as much of it as there is room for.
type pieces struct{ left [][]byte }

func (*pieces) SetReadDeadline(time.Time) error { return nil }

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	return n, nil
}

// aFrame has so many bytes with its length.
func aFrame(n int) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(n-4)), bytes.Repeat([]byte{byte(n)}, n-4)...)
}

// Whatever the pieces are, the same frames come.
func TestFramesComeWhole(t *testing.T) {
	var all []byte
	for i := range 400 {
		all = append(all, aFrame(5+i*i%997*(1+i%7))...)
	}
	for _, size := range []int{1, 3, 89, 256, 4096, 10_000, len(all)} {
		f := &frames{from: &pieces{left: slices.Collect(slices.Chunk(all, size))}, limit: 1 << 20, wait: time.Second}
		var got []byte
		b, err := f.next()
		for ; err == nil; b, err = f.next() {
			got = append(got, b...)
		}
		f.ended()
		if !errors.Is(err, io.EOF) || !bytes.Equal(got, all) {
			t.Errorf("pieces of %d: %d bytes of %d, %v", size, len(got), len(all), err)
		}
	}
}
