// Package jsoncbor translates payloads between CBOR and the JSON form that clients without CBOR use.
//
// Both directions are streaming and strict; what one side cannot say, tags carry. The gateway and internal/wire/clientjson
// use it; SDKs do not. All functions are safe for concurrent use. Requirements: JSON-1 to JSON-4.
package jsoncbor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
)

// ErrInvalidJSON is wrapped by every error about JSON that cannot be carried [JSON-1].
var ErrInvalidJSON = errors.New("invalid JSON")

// maxJSONDepth bounds the nesting of the JSON text. Depth is measured on the CBOR [JSON-4]: one map may take three
// levels of JSON, and what stands deepest one more.
const maxJSONDepth = 3*payload.MaxDepth + 1

// FromJSON translates one JSON value to CBOR of definite lengths, numbers in their shortest form [JSON-1]. Errors wrap
// ErrInvalidJSON and say where.
func FromJSON(src []byte) ([]byte, error) {
	r := readers.Get().(*jsonReader)
	defer r.release()
	r.source = *bytes.NewBuffer(src)
	r.dec.Reset(&r.source) // reads src itself, without a copy
	r.dst, r.depth, r.deepest = make([]byte, 0, len(src)), 0, 0

	if err := r.value(); err != nil {
		return nil, r.located(err)
	}
	end := r.dec.InputOffset()
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: at byte %d: something follows the value", ErrInvalidJSON, end)
	}
	if r.deepest > payload.MaxDepth {
		if err := (&scanner{data: r.dst}).scan(); err != nil {
			return nil, fmt.Errorf("%w: nested deeper than %d", ErrInvalidJSON, payload.MaxDepth)
		}
	}
	return r.dst, nil
}

// readers are kept for reuse: a decoder has tables that grow with the names it has seen.
var readers = sync.Pool{New: func() any { return &jsonReader{dec: new(jsontext.Decoder)} }}

// jsonReader translates JSON while it reads it. Containers are written behind one reserved byte, which becomes their
// head when their length is known.
type jsonReader struct {
	dec     *jsontext.Decoder
	source  bytes.Buffer
	dst     []byte
	depth   int // of the JSON text
	deepest int
}

func (r *jsonReader) release() {
	r.source, r.dst = bytes.Buffer{}, nil
	r.dec.Reset(&r.source)
	readers.Put(r)
}

// problem is a fault of the value, as opposed to one of the syntax, which the decoder finds.
type problem string

func (p problem) Error() string { return string(p) }

func problemf(format string, args ...any) error { return problem(fmt.Sprintf(format, args...)) }

// located says where the reader stands: the byte, and the JSON pointer if it is not the top.
func (r *jsonReader) located(err error) error {
	offset, pointer := r.dec.InputOffset(), r.dec.StackPointer()
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset, pointer, err = syntax.ByteOffset, syntax.JSONPointer, syntax.Err
	}
	what := strings.TrimPrefix(err.Error(), "jsontext: ")
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		what = "the text is cut short"
	}
	within := ""
	if pointer != "" {
		within = " in " + shorten([]byte(pointer))
	}
	return fmt.Errorf("%w: at byte %d%s: %s", ErrInvalidJSON, offset, within, shorten([]byte(what)))
}

// shorten cuts what came from outside to a length that an error may have.
func shorten(s []byte) string {
	const most = 160
	if len(s) <= most {
		return string(s)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return string(s[:cut]) + "…"
}

func (r *jsonReader) value() error {
	switch r.dec.PeekKind() {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return r.text()
	default:
		return r.scalar()
	}
}

// scalar reads a number, true, false or null, or meets the syntax error that PeekKind saw.
func (r *jsonReader) scalar() error {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return err
	}
	switch raw.Kind() {
	case 'n':
		r.dst = append(r.dst, majorOther<<5|infoNull)
	case 'f':
		r.dst = append(r.dst, majorOther<<5|infoFalse)
	case 't':
		r.dst = append(r.dst, majorOther<<5|infoTrue)
	default:
		r.dst, err = appendNumber(r.dst, raw)
	}
	return err
}

// enter reads the bracket that begins a container, leave the one that ends it.
func (r *jsonReader) enter() error {
	if r.depth++; r.depth > maxJSONDepth {
		return problemf("nested deeper than %d", payload.MaxDepth)
	}
	r.deepest = max(r.deepest, r.depth)
	_, err := r.dec.ReadToken()
	return err
}

func (r *jsonReader) leave() error {
	r.depth--
	_, err := r.dec.ReadToken()
	return err
}

func (r *jsonReader) object() error {
	if err := r.enter(); err != nil {
		return err
	}
	start, pairs := len(r.dst), 0
	r.dst = append(r.dst, 0)
	for r.dec.PeekKind() == '"' {
		if err := r.text(); err != nil {
			return err
		}
		if err := r.value(); err != nil {
			return err
		}
		pairs++
	}
	if err := r.leave(); err != nil {
		return err
	}
	r.dst = insertHead(r.dst, start, majorMap, pairs)
	return nil
}

func (r *jsonReader) array() error {
	if err := r.enter(); err != nil {
		return err
	}
	start, count, second := len(r.dst), 0, 0
	r.dst = append(r.dst, 0)
	for {
		kind := r.dec.PeekKind()
		if kind == ']' || kind == 0 {
			break
		}
		if count == 1 {
			second = len(r.dst)
		}
		if err := r.value(); err != nil {
			return err
		}
		count++
	}
	if err := r.leave(); err != nil {
		return err
	}
	if count == 2 {
		if name, ok := dollarText(r.dst[start+1 : second]); ok {
			return r.tagged(start, second, name)
		}
	}
	r.dst = insertHead(r.dst, start, majorArray, count)
	return nil
}

// text reads a string or a member's name.
func (r *jsonReader) text() error {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return err
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		raw = raw[1 : len(raw)-1]
		r.dst = append(appendHead(r.dst, majorText, uint64(len(raw))), raw...)
		return nil
	}
	start := len(r.dst)
	r.dst, err = jsontext.AppendUnquote(append(r.dst, 0), raw)
	r.dst = insertHead(r.dst, start, majorText, len(r.dst)-start-1)
	return err
}

// appendHead appends the shortest head of a major type with an argument.
func appendHead(dst []byte, major byte, arg uint64) []byte {
	major <<= 5
	switch {
	case arg < 24:
		return append(dst, major|byte(arg))
	case arg < 1<<8:
		return append(dst, major|24, byte(arg))
	case arg < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(arg))
	case arg < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), arg)
}

// insertHead turns the reserved byte at start into the head of what follows it.
func insertHead(dst []byte, start int, major byte, arg int) []byte {
	var buf [9]byte
	head := appendHead(buf[:0], major, uint64(arg))
	if extra := len(head) - 1; extra > 0 {
		dst = append(dst, buf[:extra]...) // room
		copy(dst[start+1+extra:], dst[start+1:len(dst)-extra])
	}
	copy(dst[start:], head)
	return dst
}

// appendNumber appends an integer where the text is one and fits, else a float [JSON-1].
func appendNumber(dst, text []byte) ([]byte, error) {
	if n, negative, ok := parseInteger(text); ok {
		if negative {
			return appendHead(dst, majorNint, n-1), nil
		}
		return appendHead(dst, majorUint, n), nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return dst, problemf("the number %s is too large", shorten(text))
	}
	return appendCBORFloat(dst, f), nil
}

// parseInteger reads a JSON number in [-2^63, 2^64) that has no fraction and no exponent and is not -0.
func parseInteger(text []byte) (magnitude uint64, negative, ok bool) {
	if len(text) > 0 && text[0] == '-' {
		negative, text = true, text[1:]
	}
	if len(text) > 20 || bytes.ContainsAny(text, ".eE") {
		return 0, false, false
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || negative && (n == 0 || n > 1<<63) {
		return 0, false, false
	}
	return n, negative, true
}
