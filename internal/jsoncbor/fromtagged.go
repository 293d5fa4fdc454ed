package jsoncbor

import (
	"bytes"
	"encoding/base64"
	"math"
	"math/big"
	"strconv"
)

// dollarText is the content of an encoded item if it is text that begins with "$".
func dollarText(item []byte) ([]byte, bool) {
	if item[0]>>5 != majorText {
		return nil, false
	}
	text := content(item)
	return text, len(text) > 0 && text[0] == '$'
}

// content is what follows the head of an encoded string of definite length.
func content(item []byte) []byte {
	h, next, _ := (&scanner{data: item}).head(0)
	return item[next : next+int(h.arg)]
}

// tagged replaces the array of two elements that begins at start by what it stands for [JSON-2], or takes one "$" off
// its first element [JSON-3]. The first element begins at start+1 with the text name.
func (r *jsonReader) tagged(start, second int, name []byte) error {
	item := r.dst[second:]
	major := item[0] >> 5
	switch string(name) {
	case "$BigInt":
		return r.bigInt(start, item)
	case "$Uint8Array":
		return r.byteString(start, item)
	case "$Undefined":
		if !bytes.Equal(item, []byte{0}) {
			return problem("$Undefined is written with 0")
		}
		r.dst = append(r.dst[:start], majorOther<<5|infoUndefined)
		return nil
	case "$Date":
		return r.date(start, item)
	case "$Number":
		return r.number(start, item)
	case "$Set":
		if major != majorArray {
			return problem("$Set is written with an array")
		}
		r.dst = append(appendHead(r.dst[:start], majorTag, tagSet), item...)
		return nil
	case "$Map":
		if major != majorArray {
			return problem("$Map is written with an array of pairs")
		}
		return r.pairs(start, item)
	}
	if len(name) < 2 || name[1] != '$' {
		return problemf("%q is not a known tag; a plain string is written with one more $", shorten(name))
	}
	r.dst = append(r.dst[:start], majorArray<<5|2)
	r.dst = append(appendHead(r.dst, majorText, uint64(len(name)-1)), name[1:]...)
	r.dst = append(r.dst, item...)
	return nil
}

func (r *jsonReader) bigInt(start int, item []byte) error {
	if item[0]>>5 != majorText || !isDecimal(content(item)) {
		return problem("$BigInt is written with a decimal text")
	}
	text := content(item)
	n, ok := new(big.Int), len(text) <= maxBigInt*5/2 // digits per byte, rounded up
	if ok {
		_, ok = n.SetString(string(text), 10)
	}
	negative := n.Sign() < 0
	if negative {
		n.Not(n) // what CBOR holds is -1 - n
	}
	if !ok || n.BitLen() > maxBigInt*8 {
		return problemf("a $BigInt of more than %d bytes", maxBigInt)
	}
	r.dst = appendBigInt(r.dst[:start], n, negative)
	return nil
}

// isDecimal tells whether text is an integer as JSON and BigInt.toString write it.
func isDecimal(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	if len(digits) == 0 || digits[0] == '0' && len(text) > 1 {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// appendBigInt appends n, or -1-n if negative: as a bignum, unless it is an integer that JSON could only carry as a
// big one. So a small bignum stays one.
func appendBigInt(dst []byte, n *big.Int, negative bool) []byte {
	major, tag, safe := byte(majorUint), uint64(tagBigPos), uint64(maxSafe)
	if negative {
		major, tag, safe = majorNint, tagBigNeg, maxSafe-1
	}
	if n.IsUint64() && n.Uint64() > safe {
		return appendHead(dst, major, n.Uint64())
	}
	magnitude := n.Bytes()
	return append(appendHead(appendHead(dst, majorTag, tag), majorBytes, uint64(len(magnitude))), magnitude...)
}

func (r *jsonReader) byteString(start int, item []byte) error {
	const wanted = problem("$Uint8Array is written with base64, padded")
	if item[0]>>5 != majorText || bytes.ContainsAny(content(item), "\r\n") {
		return wanted
	}
	end := len(r.dst)
	dst, err := base64.StdEncoding.Strict().AppendDecode(r.dst, content(item))
	if err != nil {
		return wanted
	}
	raw := dst[end:]
	r.dst = append(appendHead(dst[:start], majorBytes, uint64(len(raw))), raw...)
	return nil
}

func (r *jsonReader) date(start int, item []byte) error {
	h, _, _ := (&scanner{data: item}).head(0)
	ms := int64(min(h.arg, maxDateMs+1))
	if h.major == majorNint {
		ms = -1 - ms
	}
	if h.major > majorNint || ms > maxDateMs || ms < -maxDateMs {
		return problem("$Date is written with whole milliseconds since 1970, at most 8640000000000000 from it")
	}
	r.dst = appendHead(r.dst[:start], majorTag, tagDateEpoch)
	switch {
	case ms%1000 != 0:
		r.dst = appendCBORFloat(r.dst, float64(ms)/1000)
	case ms < 0:
		r.dst = appendHead(r.dst, majorNint, uint64(-ms/1000-1))
	default:
		r.dst = appendHead(r.dst, majorUint, uint64(ms/1000))
	}
	return nil
}

func (r *jsonReader) number(start int, item []byte) error {
	var text string
	if item[0]>>5 == majorText {
		text = string(content(item))
	}
	var f float64
	switch text {
	case "NaN":
		f = math.NaN()
	case "Infinity":
		f = math.Inf(1)
	case "-Infinity":
		f = math.Inf(-1)
	default:
		return problem("$Number is written with NaN, Infinity or -Infinity")
	}
	r.dst = appendCBORFloat(r.dst[:start], f)
	return nil
}

// pairs turns an array of two-element arrays into a map, which gets a tag if it would be an object without. It moves every
// byte to the left only: the tag takes less than "$Map" did.
func (r *jsonReader) pairs(start int, item []byte) error {
	h, at, _ := (&scanner{data: item}).head(0)
	out := r.dst[:start]
	if !hasOtherKey(item, at, h.arg) {
		out = appendHead(out, majorTag, tagMap)
	}
	out = appendHead(out, majorMap, h.arg)
	keys := make([]span, 0, min(h.arg, 64))
	for i := range h.arg {
		if item[at] != majorArray<<5|2 {
			return problemf("pair %s of $Map is not an array of two", strconv.FormatUint(i, 10))
		}
		value := skip(item, at+1)
		end := skip(item, value)
		from := len(out)
		out = append(out, item[at+1:end]...)
		keys = append(keys, span{from, from + value - at - 1})
		at = end
	}
	if _, twice := duplicate(out, keys); twice {
		return problem("$Map has a key twice")
	}
	r.dst = out
	return nil
}

// hasOtherKey tells whether the first element of one of n pairs is not text.
func hasOtherKey(item []byte, at int, n uint64) bool {
	for range n {
		if item[at] == majorArray<<5|2 && item[at+1]>>5 != majorText {
			return true
		}
		at = skip(item, at)
	}
	return false
}

// skip is the offset behind the item at an offset of CBOR that this package wrote.
func skip(data []byte, at int) int {
	s := scanner{data: data}
	for left := uint64(1); left > 0; left-- {
		h, next, _ := s.head(at)
		at = next
		switch h.major {
		case majorBytes, majorText:
			at += int(h.arg)
		case majorArray:
			left += h.arg
		case majorMap:
			left += 2 * h.arg
		case majorTag:
			left++
		}
	}
	return at
}
