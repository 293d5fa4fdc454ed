package redis

import (
	"errors"
	"fmt"

	"github.com/redis/rueidis"
)

// errCorrupt is wrapped where an answer is not what the library writes. It is an unknown outcome to callers.
var errCorrupt = errors.New("corrupt data")

// reply reads an array item by item; an absent one is the zero value. After the first fault it returns zero values;
// finish reports it.
type reply struct {
	rest  []rueidis.RedisMessage
	fault bool
}

func newReply(m rueidis.RedisMessage) *reply {
	items, err := m.ToArray()
	return &reply{rest: items, fault: err != nil}
}

func (r *reply) next() (m rueidis.RedisMessage, present bool) {
	if r.fault || len(r.rest) == 0 {
		r.fault = true
		return m, false
	}
	m, r.rest = r.rest[0], r.rest[1:]
	return m, !m.IsNil()
}

func (r *reply) optionalText() (text string, present bool) {
	m, present := r.next()
	if !present {
		return "", false
	}
	text, err := m.ToString()
	r.fault = r.fault || err != nil
	return text, true
}

func (r *reply) text() string {
	text, _ := r.optionalText()
	return text
}

// bytes copies; nil only if the item is absent.
func (r *reply) bytes() (b []byte, present bool) {
	text, present := r.optionalText()
	if present {
		b = []byte(text)
	}
	return b, present
}

func (r *reply) number() uint64 {
	m, present := r.next()
	if !present {
		return 0
	}
	n, err := m.AsUint64()
	r.fault = r.fault || err != nil
	return n
}

// id reads the 16 bytes of a nonce or commit id.
func (r *reply) id() (id [16]byte) {
	text, present := r.optionalText()
	if n := copy(id[:], text); present && (n != len(text) || n != len(id)) {
		r.fault = true
	}
	return id
}

// list reads an array in the array; present is false for an absent one.
func (r *reply) list() (items *reply, present bool) {
	m, present := r.next()
	if !present {
		return &reply{}, false
	}
	items = newReply(m)
	r.fault = r.fault || items.fault
	return items, true
}

func (r *reply) more() bool { return !r.fault && len(r.rest) > 0 }

// finish reports a fault, or items left over.
func (r *reply) finish(what string) error {
	if r.fault || len(r.rest) > 0 {
		return fmt.Errorf("decode %s: %w", what, errCorrupt)
	}
	return nil
}
