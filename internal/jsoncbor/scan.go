package jsoncbor

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
)

// The major types of CBOR (RFC 8949 §3.1).
const (
	majorUint  = 0
	majorNint  = 1
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorTag   = 6
	majorOther = 7
)

// Additional information of major type 7, and the mark of indefinite length.
const (
	infoFalse      = 20
	infoTrue       = 21
	infoNull       = 22
	infoUndefined  = 23
	infoSimple     = 24
	infoHalf       = 25
	infoSingle     = 26
	infoDouble     = 27
	infoIndefinite = 31
	breakByte      = 0xff
)

// The tags that have a JSON form [JSON-2].
const (
	tagDateText  = 0
	tagDateEpoch = 1
	tagBigPos    = 2
	tagBigNeg    = 3
	tagSet       = 258
	tagMap       = 259 // a map that is not an object, whatever its keys are
)

// head is the first byte of a CBOR item and the argument that follows it.
type head struct {
	major byte
	info  byte
	arg   uint64
}

func (h head) indefinite() bool { return h.info == infoIndefinite }

// scanner checks that CBOR is one well-formed value, and notes what the writer must know before it begins a container:
// in special, ascending, stand the offsets of maps with a key that is not text and of the two-element arrays of
// [JSON-3]. After a scan, data can be read without bounds checks of one's own.
type scanner struct {
	data    []byte
	special []int
}

// scan checks all of the data.
func (s *scanner) scan() error {
	if len(s.data) == 0 {
		return invalidAt(0, "there is no value")
	}
	end, err := s.value(0, 0)
	if err != nil {
		return err
	}
	if end != len(s.data) {
		return invalidAt(end, "%d bytes follow the value", len(s.data)-end)
	}
	slices.Sort(s.special) // containers were noted at their ends
	return nil
}

func invalidAt(at int, format string, args ...any) error {
	return fmt.Errorf("%w: at byte %d: %s", payload.ErrInvalid, at, fmt.Sprintf(format, args...))
}

// head reads the head at an offset and returns the offset behind it.
func (s *scanner) head(at int) (head, int, error) {
	if at < len(s.data) && s.data[at]&31 < 24 {
		return head{major: s.data[at] >> 5, info: s.data[at] & 31, arg: uint64(s.data[at] & 31)}, at + 1, nil
	}
	return s.longHead(at)
}

func (s *scanner) longHead(at int) (head, int, error) {
	if at >= len(s.data) {
		return head{}, at, invalidAt(at, "the value is cut short")
	}
	h := head{major: s.data[at] >> 5, info: s.data[at] & 31}
	size := 0
	switch {
	case h.info <= 27:
		size = 1 << (h.info - 24)
	case h.info < infoIndefinite:
		return head{}, at, invalidAt(at, "reserved additional information %d", h.info)
	}
	rest := s.data[at+1:]
	if len(rest) < size {
		return head{}, at, invalidAt(at, "the value is cut short")
	}
	switch size {
	case 1:
		h.arg = uint64(rest[0])
	case 2:
		h.arg = uint64(binary.BigEndian.Uint16(rest))
	case 4:
		h.arg = uint64(binary.BigEndian.Uint32(rest))
	case 8:
		h.arg = binary.BigEndian.Uint64(rest)
	}
	return h, at + 1 + size, nil
}

// value checks the value at an offset and returns the offset behind it. depth counts the containers around it.
func (s *scanner) value(at, depth int) (int, error) {
	h, next, err := s.head(at)
	if err != nil {
		return at, err
	}
	switch h.major {
	case majorUint, majorNint:
		if h.indefinite() {
			return at, invalidAt(at, "an integer cannot be of indefinite length")
		}
		return next, nil
	case majorBytes, majorText:
		return s.str(h, at, next)
	case majorArray, majorMap:
		if depth++; depth > payload.MaxDepth {
			return at, invalidAt(at, "nested deeper than %d", payload.MaxDepth)
		}
		if h.major == majorArray {
			return s.array(h, at, next, depth)
		}
		return s.mapping(h, at, next, depth)
	case majorTag:
		// No known tag holds a tag, which bounds the recursion here.
		if h.indefinite() || next < len(s.data) && s.data[next]>>5 == majorTag {
			return at, invalidAt(at, "an unknown combination of tags")
		}
		return s.value(next, depth)
	}
	return next, checkOther(h, at)
}

func checkOther(h head, at int) error {
	switch {
	case h.info >= infoFalse && h.info <= infoUndefined, h.info >= infoHalf && h.info <= infoDouble:
		return nil
	case h.indefinite():
		return invalidAt(at, "a break outside of an indefinite-length value")
	}
	return invalidAt(at, "simple value %d has no meaning", h.arg)
}

// str checks a byte or text string: of known length, or chunks of the same kind up to a break.
func (s *scanner) str(h head, at, next int) (int, error) {
	if !h.indefinite() {
		return s.chunk(h, at, next)
	}
	for at = next; at < len(s.data); at = next {
		if s.data[at] == breakByte {
			return at + 1, nil
		}
		chunk, body, err := s.head(at)
		if err != nil {
			return at, err
		}
		if chunk.major != h.major || chunk.indefinite() {
			return at, invalidAt(at, "a chunk of another kind inside a string")
		}
		if next, err = s.chunk(chunk, at, body); err != nil {
			return at, err
		}
	}
	return at, invalidAt(at, "the value is cut short")
}

func (s *scanner) chunk(h head, at, next int) (int, error) {
	if h.arg > uint64(len(s.data)-next) {
		return at, invalidAt(at, "the value is cut short")
	}
	end := next + int(h.arg)
	if h.major == majorText && !utf8.Valid(s.data[next:end]) {
		return at, invalidAt(at, "text that is not valid UTF-8")
	}
	return end, nil
}

// more tells whether a container has an item at an offset, and where the container ends if not.
func (s *scanner) more(h head, done uint64, at int) (more bool, next int, err error) {
	if !h.indefinite() {
		return done < h.arg, at, nil
	}
	if at >= len(s.data) {
		return false, at, invalidAt(at, "the value is cut short")
	}
	if s.data[at] == breakByte {
		return false, at + 1, nil
	}
	return true, at, nil
}

// fits refuses a container whose announced length the remaining bytes cannot hold, before any work is done for it.
func (s *scanner) fits(h head, at, next int, each uint64) error {
	if !h.indefinite() && (h.arg > math.MaxInt32 || h.arg*each > uint64(len(s.data)-next)) {
		return invalidAt(at, "the value is cut short")
	}
	return nil
}

func (s *scanner) array(h head, start, next, depth int) (int, error) {
	if err := s.fits(h, start, next, 1); err != nil {
		return start, err
	}
	first, done := next, uint64(0)
	for {
		more, at, err := s.more(h, done, next)
		if err != nil {
			return at, err
		}
		if !more {
			if done == 2 && s.beginsWithDollar(first) {
				s.special = append(s.special, start)
			}
			return at, nil
		}
		if next, err = s.value(at, depth); err != nil {
			return at, err
		}
		done++
	}
}

func (s *scanner) mapping(h head, start, next, depth int) (int, error) {
	if err := s.fits(h, start, next, 2); err != nil {
		return start, err
	}
	onlyText := true
	for done := uint64(0); ; done++ {
		more, at, err := s.more(h, done, next)
		if err != nil {
			return at, err
		}
		if !more {
			if !onlyText {
				s.special = append(s.special, start)
			}
			return at, nil
		}
		onlyText = onlyText && s.data[min(at, len(s.data)-1)]>>5 == majorText
		if next, err = s.value(at, depth); err != nil {
			return at, err
		}
		if next, err = s.value(next, depth); err != nil {
			return at, err
		}
	}
}

// beginsWithDollar tells whether the checked value at an offset is text that begins with "$".
func (s *scanner) beginsWithDollar(at int) bool {
	if s.data[at]>>5 != majorText {
		return false
	}
	h, next, _ := s.head(at)
	for h.indefinite() { // the first chunk that is not empty decides
		if s.data[next] == breakByte {
			return false
		}
		chunk, body, _ := s.head(next)
		if chunk.arg > 0 {
			return s.data[body] == '$'
		}
		next = body
	}
	return h.arg > 0 && s.data[next] == '$'
}
