package clientjson

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/stagedoor-dev/stagedoor/internal/jsoncbor"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// object writes one JSON object, member by member. Members at their proto default are left out. The first error stays.
type object struct {
	dst []byte
	err error
}

// begin opens a message of the type.
func (o *object) begin(typ string) {
	o.dst = append(o.dst, `{"type":"`...)
	o.dst = append(append(o.dst, typ...), '"')
}

func (o *object) open() { o.dst = append(o.dst, '{') }
func (o *object) end()  { o.dst = append(o.dst, '}') }

// name begins a member, with a comma unless it is the first. Names need no escaping.
func (o *object) name(name string) {
	if n := len(o.dst); n > 0 && o.dst[n-1] == '{' {
		o.dst = append(o.dst, '"')
	} else {
		o.dst = append(o.dst, `,"`...)
	}
	o.dst = append(append(o.dst, name...), `":`...)
}

func (o *object) uint(name string, v uint64) {
	if v != 0 {
		o.name(name)
		o.dst = strconv.AppendUint(o.dst, v, 10)
	}
}

func (o *object) int(name string, v int64) {
	if v != 0 {
		o.name(name)
		o.dst = strconv.AppendInt(o.dst, v, 10)
	}
}

func (o *object) bool(name string, v bool) {
	if v {
		o.name(name)
		o.dst = append(o.dst, "true"...)
	}
}

// quote writes text. What is not valid UTF-8 in it becomes U+FFFD.
func (o *object) quote(text []byte) { o.dst, _ = jsontext.AppendQuote(o.dst, text) }

func (o *object) text(name, text string) {
	if text != "" {
		o.name(name)
		o.dst, _ = jsontext.AppendQuote(o.dst, text)
	}
}

func (o *object) textBytes(name string, text []byte) {
	if len(text) > 0 {
		o.name(name)
		o.quote(text)
	}
}

func (o *object) texts(name string, list []string) {
	if len(list) > 0 {
		o.name(name)
		o.array(list)
	}
}

func (o *object) array(list []string) {
	o.dst = append(o.dst, '[')
	for i, text := range list {
		if i > 0 {
			o.dst = append(o.dst, ',')
		}
		o.dst, _ = jsontext.AppendQuote(o.dst, text)
	}
	o.dst = append(o.dst, ']')
}

// key writes bytes that the JSON form has as text.
func (o *object) key(name string, v []byte) {
	if o.err == nil && !utf8.Valid(v) {
		o.err = fmt.Errorf("%s: not valid UTF-8, which JSON cannot carry", name)
	}
	o.textBytes(name, v)
}

// payload writes CBOR as the JSON value that it stands for.
func (o *object) payload(name string, cbor []byte, present bool) {
	if !present {
		return
	}
	o.name(name)
	dst, err := jsoncbor.AppendJSON(o.dst, cbor)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("%s: %w", name, err)
	}
	o.dst = dst
}

// failure writes the member `error`. Group, code, message and retryable always stand in it.
func (o *object) failure(e *wire.Error) {
	if e == nil {
		return
	}
	o.name("error")
	o.open()
	o.name("group")
	o.dst, _ = jsontext.AppendQuote(o.dst, e.Group)
	o.name("code")
	o.dst, _ = jsontext.AppendQuote(o.dst, e.Code)
	o.name("message")
	o.dst, _ = jsontext.AppendQuote(o.dst, e.Message)
	o.payload("metadata", e.Metadata, len(e.Metadata) > 0)
	o.name("retryable")
	o.dst = strconv.AppendBool(o.dst, e.Retryable)
	o.text("ran", e.Ran.String())
	o.uint("retryAfterMs", uint64(e.RetryAfterMs))
	o.end()
}
