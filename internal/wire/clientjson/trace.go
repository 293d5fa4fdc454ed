package clientjson

import (
	"bytes"
	"encoding/hex"
)

// The W3C header `traceparent`: version, trace id, parent id and flags in lower-case hex. Our messages carry the last
// three as bytes.
const (
	traceLen       = 16 + 8 + 1
	traceparentLen = 2 + 1 + 32 + 1 + 16 + 1 + 2
)

// trace writes the member `traceparent`; what is no trace context is left out.
func (o *object) trace(t []byte) {
	if !isTrace(t) {
		return
	}
	o.name("traceparent")
	o.dst = append(o.dst, `"00-`...)
	o.dst = append(hex.AppendEncode(o.dst, t[:16]), '-')
	o.dst = append(hex.AppendEncode(o.dst, t[16:24]), '-')
	o.dst = append(hex.AppendEncode(o.dst, t[24:]), '"')
}

// ParseTraceparent is nil for anything but a valid header of version 00, as the W3C asks of a receiver.
func ParseTraceparent(text string) []byte {
	if len(text) != traceparentLen || text[:3] != "00-" || text[35] != '-' || text[52] != '-' {
		return nil
	}
	digits := text[3:35] + text[36:52] + text[53:]
	t, err := hex.DecodeString(digits)
	if err != nil || hex.EncodeToString(t) != digits || !isTrace(t) {
		return nil
	}
	return t
}

func isTrace(t []byte) bool {
	return len(t) == traceLen && !bytes.Equal(t[:16], make([]byte, 16)) && !bytes.Equal(t[16:24], make([]byte, 8))
}
