package jsoncbor

import (
	"bytes"
	"encoding/base64"
	"math"
	"math/big"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxSafe is the largest integer that a JSON number carries as it is [JSON-2].
	maxSafe = 1<<53 - 1
	// maxDateMs bounds dates, in milliseconds around 1970: what ECMAScript's Date can hold.
	maxDateMs = 8_640_000_000_000_000
	// maxBigInt bounds bignums, in bytes: the change of base takes quadratic time.
	maxBigInt = 1 << 10
)

// AppendJSON appends the JSON form of one CBOR value [JSON-2] [JSON-3]. Errors wrap payload.ErrInvalid, and dst is returned as
// it was.
func AppendJSON(dst, cbor []byte) ([]byte, error) {
	w := writers.Get().(*jsonWriter)
	defer w.release()
	w.scanner, w.at, w.dst = scanner{data: cbor}, 0, dst
	if err := w.scan(); err != nil {
		return dst, err
	}
	if err := w.value(); err != nil {
		return dst, err
	}
	return w.dst, nil
}

// writers are kept for reuse, for the sake of their keys.
var writers = sync.Pool{New: func() any { return new(jsonWriter) }}

func (w *jsonWriter) release() {
	const most = 1 << 10
	w.scanner, w.dst, w.keys = scanner{}, nil, w.keys[:0]
	if cap(w.keys) <= most {
		writers.Put(w)
	}
}

// jsonWriter translates checked CBOR.
type jsonWriter struct {
	scanner
	at   int // in data
	dst  []byte
	keys []span // in dst: the keys of the maps that are open
}

// span is a range of bytes of a buffer.
type span struct{ from, to int }

func (w *jsonWriter) next() head {
	h, next, _ := w.head(w.at)
	w.at = next
	return h
}

// takeSpecial tells whether the container that begins at an offset was noted by the scan. Containers come in order.
func (w *jsonWriter) takeSpecial(start int) bool {
	if len(w.special) == 0 || w.special[0] != start {
		return false
	}
	w.special = w.special[1:]
	return true
}

func (w *jsonWriter) value() error {
	start := w.at
	h := w.next()
	switch h.major {
	case majorUint:
		w.integer(h.arg, false)
	case majorNint:
		w.integer(h.arg, true)
	case majorBytes:
		w.dst = append(w.dst, `["$Uint8Array","`...)
		w.dst = base64.StdEncoding.AppendEncode(w.dst, w.str(h))
		w.dst = append(w.dst, `"]`...)
	case majorText:
		w.text(w.str(h))
	case majorArray:
		return w.array(h, w.takeSpecial(start))
	case majorMap:
		return w.mapping(h, start, w.takeSpecial(start))
	case majorTag:
		return w.tag(h.arg, start)
	case majorOther:
		w.other(h)
	}
	return nil
}

// integer writes arg, or -1-arg if negative.
func (w *jsonWriter) integer(arg uint64, negative bool) {
	big := arg > maxSafe || negative && arg >= maxSafe
	if big {
		w.dst = append(w.dst, `["$BigInt","`...)
	}
	switch {
	case negative && arg == math.MaxUint64:
		w.dst = append(w.dst, "-18446744073709551616"...)
	case negative:
		w.dst = strconv.AppendUint(append(w.dst, '-'), arg+1, 10)
	default:
		w.dst = strconv.AppendUint(w.dst, arg, 10)
	}
	if big {
		w.dst = append(w.dst, `"]`...)
	}
}

// str takes the content of a string. It aliases data, unless it came in chunks.
func (w *jsonWriter) str(h head) []byte {
	if !h.indefinite() {
		from := w.at
		w.at += int(h.arg)
		return w.data[from:w.at]
	}
	var whole []byte
	for w.data[w.at] != breakByte {
		whole = append(whole, w.str(w.next())...)
	}
	w.at++
	return whole
}

func (w *jsonWriter) text(s []byte) {
	w.dst, _ = jsontext.AppendQuote(w.dst, s) // the scan has checked the UTF-8
}

// more tells whether a container has another item, and passes over the break if not.
func (w *jsonWriter) more(h head, done uint64) bool {
	more, next, _ := w.scanner.more(h, done, w.at)
	w.at = next
	return more
}

func (w *jsonWriter) array(h head, escaped bool) error {
	w.dst = append(w.dst, '[')
	for done := uint64(0); w.more(h, done); done++ {
		if done > 0 {
			w.dst = append(w.dst, ',')
		}
		from := len(w.dst)
		if err := w.value(); err != nil {
			return err
		}
		if escaped && done == 0 { // "$x" becomes "$$x" [JSON-3]
			w.dst = slices.Insert(w.dst, from+1, '$')
		}
	}
	w.dst = append(w.dst, ']')
	return nil
}

// mapping writes a map as an object, or as pairs.
func (w *jsonWriter) mapping(h head, start int, pairs bool) error {
	open, between, end, closing := "", ":", "", "}"
	if pairs {
		w.dst = append(w.dst, `["$Map",[`...)
		open, between, end, closing = "[", ",", "]", "]]"
	} else {
		w.dst = append(w.dst, '{')
	}
	base := len(w.keys)
	for done := uint64(0); w.more(h, done); done++ {
		if done > 0 {
			w.dst = append(w.dst, ',')
		}
		if err := w.pair(open, between); err != nil {
			return err
		}
		w.dst = append(w.dst, end...)
	}
	if dup, ok := duplicate(w.dst, w.keys[base:]); ok {
		return invalidAt(start, "the map has the key %s twice", shorten(w.dst[dup.from:dup.to]))
	}
	w.keys = w.keys[:base]
	w.dst = append(w.dst, closing...)
	return nil
}

func (w *jsonWriter) pair(open, between string) error {
	dollar := open != "" && w.beginsWithDollar(w.at)
	w.dst = append(w.dst, open...)
	from := len(w.dst)
	if err := w.value(); err != nil {
		return err
	}
	if dollar { // in JSON the pair is a two-element array like any other [JSON-3]
		w.dst = slices.Insert(w.dst, from+1, '$')
	}
	w.keys = append(w.keys, span{from, len(w.dst)})
	w.dst = append(w.dst, between...)
	return w.value()
}

// duplicate finds two equal spans. Equal keys have equal text in dst, however they were encoded.
func duplicate(buf []byte, keys []span) (span, bool) {
	if len(keys) > 12 {
		slices.SortFunc(keys, func(a, b span) int { return bytes.Compare(buf[a.from:a.to], buf[b.from:b.to]) })
	}
	for i, a := range keys {
		earlier := keys[:i]
		if len(keys) > 12 && i > 0 {
			earlier = keys[i-1 : i]
		}
		for _, b := range earlier {
			if bytes.Equal(buf[a.from:a.to], buf[b.from:b.to]) {
				return a, true
			}
		}
	}
	return span{}, false
}

func (w *jsonWriter) other(h head) {
	switch h.info {
	case infoFalse:
		w.dst = append(w.dst, "false"...)
	case infoTrue:
		w.dst = append(w.dst, "true"...)
	case infoNull:
		w.dst = append(w.dst, "null"...)
	case infoUndefined:
		w.dst = append(w.dst, `["$Undefined",0]`...)
	default:
		w.dst = appendJSONFloat(w.dst, h.float())
	}
}

// tag writes a tagged value; the content follows at w.at.
func (w *jsonWriter) tag(number uint64, start int) error {
	content := w.at
	switch number {
	case tagDateText, tagDateEpoch:
		return w.date(number, start)
	case tagBigPos, tagBigNeg:
		h := w.next()
		if h.major != majorBytes {
			return invalidAt(content, "a bignum must be a byte string")
		}
		return w.bignum(w.str(h), number == tagBigNeg, start)
	case tagSet:
		h := w.next()
		if h.major != majorArray {
			return invalidAt(content, "a set must be an array")
		}
		w.dst = append(w.dst, `["$Set",`...)
		if err := w.array(h, w.takeSpecial(content)); err != nil {
			return err
		}
		w.dst = append(w.dst, ']')
		return nil
	case tagMap:
		h := w.next()
		if h.major != majorMap {
			return invalidAt(content, "tag 259 is for maps")
		}
		w.takeSpecial(content)
		return w.mapping(h, content, true)
	}
	return invalidAt(start, "tag %d has no JSON form", number)
}

func (w *jsonWriter) bignum(magnitude []byte, negative bool, start int) error {
	if magnitude = bytes.TrimLeft(magnitude, "\x00"); len(magnitude) > maxBigInt {
		return invalidAt(start, "a bignum of %d bytes, at most %d are carried", len(magnitude), maxBigInt)
	}
	n := new(big.Int).SetBytes(magnitude)
	if negative {
		n.Not(n) // -1 - n
	}
	w.dst = append(w.dst, `["$BigInt","`...)
	w.dst = n.Append(w.dst, 10)
	w.dst = append(w.dst, `"]`...)
	return nil
}

func (w *jsonWriter) date(number uint64, start int) error {
	h := w.next()
	var ms float64
	switch {
	case number == tagDateText && h.major == majorText:
		var t time.Time
		if t.UnmarshalText(w.str(h)) != nil {
			return invalidAt(start, "a date that is not in the form of RFC 3339")
		}
		ms = float64(t.UnixMilli())
	case number == tagDateEpoch && h.major == majorUint:
		ms = float64(h.arg) * 1000
	case number == tagDateEpoch && h.major == majorNint:
		ms = -1000 - float64(h.arg)*1000
	case number == tagDateEpoch && h.major == majorOther && h.info >= infoHalf:
		ms = math.Round(h.float() * 1000) // JSON's dates are milliseconds
	default:
		return invalidAt(start, "a date must be text (tag 0) or a number (tag 1)")
	}
	if !(math.Abs(ms) <= maxDateMs) { // also for NaN
		return invalidAt(start, "a date outside of the range of dates")
	}
	w.dst = append(w.dst, `["$Date",`...)
	w.dst = strconv.AppendInt(w.dst, int64(ms), 10)
	w.dst = append(w.dst, ']')
	return nil
}
