package clientjson

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/stagedoor-dev/stagedoor/internal/jsoncbor"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// members are what was read of one JSON object: the fields that some message knows, still as text. Its methods read a
// field by its name; a field that is missing has its default, and the first fault stays in err.
type members struct {
	list []member
	err  *wire.Error
}

// member is a field: its name, and its value as text, which aliases the message.
type member struct {
	name  string
	value []byte
}

// known is every field name of the JSON form. Others are not kept, so that a message of many fields stays cheap.
var known = func() map[string]string {
	names := map[string]string{}
	for _, name := range strings.Fields(`type id connection action args deadlineMs target targetId mode input
		idempotencyKey traceparent tracestate oneway output error event token namespace sdk sdkVersion features session
		limits pingMs nowMs gateway development params subscriptions actorId connectionId reason reconnect events kind
		number nonce code message retryAfterMs address key group metadata retryable ran maxMessage maxArgs maxInput
		maxParams maxCalls maxConnections maxSubscriptions resume resumeToken resumed received resumeMs frames`) {
		names[name] = name
	}
	return names
}()

// walker reads JSON text in place; kept for reuse.
type walker struct {
	dec    jsontext.Decoder
	source bytes.Buffer
}

var walkers = sync.Pool{New: func() any { return new(walker) }}

// readMembers reads one object. The members that stand before a fault are kept.
func (m *members) readMembers(src []byte) {
	w := walkers.Get().(*walker)
	defer walkers.Put(w)
	w.source = *bytes.NewBuffer(src)
	w.dec.Reset(&w.source)
	if err := m.walk(&w.dec, src); err != nil {
		m.fail(invalidJSON(err))
	}
	w.source = bytes.Buffer{}
	w.dec.Reset(&w.source)
}

var errNoObject = errors.New("a message is one JSON object")

func (m *members) walk(dec *jsontext.Decoder, src []byte) error {
	if kind := dec.PeekKind(); kind != '{' && kind != 0 {
		return errNoObject
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadValue()
		if err != nil {
			return err
		}
		key, keep := known[string(unquote(name))]
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if end := int(dec.InputOffset()); keep {
			m.list = append(m.list, member{key, src[end-len(value) : end : end]})
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the message")
	}
	return nil
}

// unquote is the content of a JSON string that is known to be valid.
func unquote(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	content, _ := jsontext.AppendUnquote(nil, raw)
	return content
}

func invalidJSON(err error) *wire.Error {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		what := strings.TrimPrefix(syntax.Err.Error(), "jsontext: ")
		if errors.Is(err, io.ErrUnexpectedEOF) {
			what = "the text is cut short"
		}
		within := ""
		if syntax.JSONPointer != "" {
			within = " in " + shorten(string(syntax.JSONPointer))
		}
		return wire.RequestInvalidJSON.Newf("at byte %d%s: %s", syntax.ByteOffset, within, shorten(what))
	}
	if errors.Is(err, io.EOF) {
		return wire.RequestInvalidJSON.Newf("the message is empty")
	}
	return wire.RequestInvalidJSON.Newf("%s", shorten(err.Error()))
}

// shorten cuts what came from outside to a length that an error may have.
func shorten(s string) string {
	const most = 160
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

func (m *members) fail(err *wire.Error) {
	if m.err == nil && err != nil {
		m.err = err
	}
}

func (m *members) wrong(name, wanted string) {
	m.fail(wire.RequestInvalid.Newf("%q must be %s", name, wanted))
}

// find is the text of a field, or nil.
func (m *members) find(name string) []byte {
	for i := range m.list {
		if m.list[i].name == name {
			return m.list[i].value
		}
	}
	return nil
}

// nested reads a field that is an object.
func (m *members) nested(name string) *members {
	fields := new(members)
	if raw := m.find(name); raw != nil {
		if raw[0] != '{' {
			m.wrong(name, "an object")
			return fields
		}
		fields.readMembers(raw)
	}
	return fields
}

func (m *members) uint(name string) uint64 {
	raw := m.find(name)
	if raw == nil {
		return 0
	}
	v, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		m.wrong(name, "a whole number from 0 to 18446744073709551615")
	}
	return v
}

func (m *members) uint32(name string) uint32 {
	raw := m.find(name)
	if raw == nil {
		return 0
	}
	v, err := strconv.ParseUint(string(raw), 10, 32)
	if err != nil {
		m.wrong(name, "a whole number from 0 to 4294967295")
	}
	return uint32(v)
}

func (m *members) int64(name string) int64 {
	raw := m.find(name)
	if raw == nil {
		return 0
	}
	v, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		m.wrong(name, "a whole number")
	}
	return v
}

func (m *members) bool(name string) bool {
	switch raw := m.find(name); string(raw) {
	case "", "false":
	case "true":
		return true
	default:
		m.wrong(name, "true or false")
	}
	return false
}

// textBytes is a text field; it may alias the message.
func (m *members) textBytes(name string) []byte {
	raw := m.find(name)
	if raw == nil {
		return nil
	}
	if raw[0] != '"' {
		m.wrong(name, "a string")
		return nil
	}
	return unquote(raw)
}

func (m *members) text(name string) string { return string(m.textBytes(name)) }

func (m *members) texts(name string) []string {
	raw := m.find(name)
	if raw == nil {
		return nil
	}
	list, ok := splitTexts(raw)
	if !ok {
		m.wrong(name, arrayOf+"strings")
	}
	return list
}

// maxItems bounds the arrays that are read whole: a text of three bytes, "{},", makes much more of each in memory.
const (
	maxItems = 1 << 16
	arrayOf  = "an array of at most 65536 "
)

// splitTexts reads an array of strings that is known to be valid JSON; not one of more than maxItems.
func splitTexts(raw []byte) ([]string, bool) {
	if raw[0] != '[' {
		return nil, false
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if _, err := dec.ReadToken(); err != nil {
		return nil, false
	}
	var list []string
	for dec.PeekKind() == '"' && len(list) < maxItems {
		item, err := dec.ReadValue()
		if err != nil {
			return nil, false
		}
		list = append(list, string(unquote(item)))
	}
	return list, dec.PeekKind() == ']'
}

// objects reads a field that is an array of at most maxItems objects.
func (m *members) objects(name string, read func(*members)) {
	raw := m.find(name)
	if raw == nil {
		return
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if _, err := dec.ReadToken(); err != nil || raw[0] != '[' {
		m.wrong(name, arrayOf+"objects")
		return
	}
	for items := 0; dec.PeekKind() == '{' && items < maxItems; items++ {
		item, err := dec.ReadValue()
		if err != nil {
			break
		}
		fields := new(members)
		fields.readMembers(item)
		read(fields)
		m.fail(fields.err)
	}
	if dec.PeekKind() != ']' {
		m.wrong(name, arrayOf+"objects")
	}
}

// payload translates a field to CBOR.
func (m *members) payload(name string) (cbor []byte, present bool) {
	raw := m.find(name)
	if raw == nil || m.err != nil {
		return nil, false
	}
	cbor, err := jsoncbor.FromJSON(raw)
	if err != nil {
		why := strings.TrimPrefix(err.Error(), jsoncbor.ErrInvalidJSON.Error()+": ")
		m.fail(wire.RequestInvalidJSON.Newf("%q %s", name, why))
		return nil, false
	}
	return cbor, true
}

// value is a payload whose presence says nothing: absent is empty.
func (m *members) value(name string) []byte {
	cbor, _ := m.payload(name)
	return cbor
}

// args is a payload that must be an array [PAY-1].
func (m *members) args(name string) []byte {
	const majorArray = 4
	cbor, present := m.payload(name)
	if present && cbor[0]>>5 != majorArray {
		m.wrong(name, "an array")
		return nil
	}
	return cbor
}

// failure reads the field `error`.
func (m *members) failure() *wire.Error {
	if m.find("error") == nil {
		return nil
	}
	fields := m.nested("error")
	e := &wire.Error{
		Group:        fields.text("group"),
		Code:         fields.text("code"),
		Message:      fields.text("message"),
		Metadata:     fields.value("metadata"),
		Retryable:    fields.bool("retryable"),
		Ran:          wire.ParseRan(fields.text("ran")),
		RetryAfterMs: fields.uint32("retryAfterMs"),
	}
	m.fail(fields.err)
	return e
}
