package clientjson

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/stagedoor-dev/stagedoor/internal/wire"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

// target writes the member `target`: the segment text where it says everything, else the object [ADDR-3]. An id beside
// an address, which no valid message has, goes into `targetId`.
func (o *object) target(a *commonv1alpha1.Address, id string) {
	switch {
	case a == nil && id != "":
		o.text("target", "@"+id)
		return
	case a == nil:
		return
	case a.GetNamespace() == "" && isName(a.GetType()):
		o.text("target", segment(a))
	default:
		o.name("target")
		o.open()
		o.text("namespace", a.GetNamespace())
		o.name("type")
		o.quote([]byte(a.GetType()))
		o.name("key")
		o.array(a.GetKey())
		o.end()
	}
	o.text("targetId", id)
}

func isName(s string) bool {
	for i := range len(s) {
		if !isPlain(s[i]) {
			return false
		}
	}
	return s != ""
}

func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

func segment(a *commonv1alpha1.Address) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString(a.GetType())
	for _, part := range a.GetKey() {
		b.WriteByte(':')
		dots := strings.Trim(part, ".") == ""
		for i := range len(part) {
			if c := part[i]; !dots && (isPlain(c) || c == '~') {
				b.WriteByte(c)
			} else {
				b.WriteByte('%')
				b.WriteByte(hex[c>>4])
				b.WriteByte(hex[c&15])
			}
		}
	}
	return b.String()
}

// parseSegment reads the text form of a target. It does not validate the address beyond what a message can hold.
func parseSegment(text string) (*commonv1alpha1.Address, *wire.Error) {
	parts := strings.Split(text, ":")
	a := &commonv1alpha1.Address{Type: parts[0]}
	for i, part := range parts[1:] {
		decoded, err := url.PathUnescape(part)
		if err != nil || !utf8.ValidString(decoded) {
			return nil, wire.RequestInvalidAddress.Newf("target: key part %d is not percent-encoded UTF-8: %q", i, shorten(part))
		}
		a.Key = append(a.Key, decoded)
	}
	return a, nil
}

// target reads the members `target` and `targetId`.
func (m *members) target() (*commonv1alpha1.Address, string) {
	id := m.text("targetId")
	raw := m.find("target")
	switch {
	case raw == nil:
		return nil, id
	case raw[0] == '"':
		text := m.text("target")
		if byID, ok := strings.CutPrefix(text, "@"); ok {
			if id != "" || byID == "" {
				m.fail(wire.RequestInvalidAddress.Newf("target: an @ is followed by the one actor id"))
			}
			return nil, byID
		}
		a, err := parseSegment(text)
		m.fail(err)
		return a, id
	case raw[0] == '{':
		fields := m.nested("target")
		a := &commonv1alpha1.Address{Namespace: fields.text("namespace"), Type: fields.text("type"), Key: fields.texts("key")}
		m.fail(fields.err)
		return a, id
	}
	m.wrong("target", "an address segment such as \"room:lobby\", or an object with type and key")
	return nil, id
}
