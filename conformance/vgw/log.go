package vgw

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
)

// Entry is one frame of the runner.
type Entry struct {
	Index  int // in the Log
	Socket *Socket
	Kind   frame.Kind
	// Name of the kind, as the field of Frame in camelCase; empty for an unknown one.
	Name string
	// Frame as the gateway reads it; nil if it could not be decoded.
	Frame *Frame
	// Message inside the frame; nil for an unknown kind.
	Message protoreflect.Message
	// Raw bytes, of a frame that could not be decoded.
	Raw []byte
}

// Actor is the ref that the frame is about; 0: none.
func (e *Entry) Actor() uint64 { return ActorOf(e.Message) }

// Log holds all that came from the runner over all its sockets, in order.
type Log struct {
	mu      sync.Mutex
	entries []*Entry
	grown   chan struct{} // closed and replaced at each entry
}

func newLog() *Log { return &Log{grown: make(chan struct{})} }

func (l *Log) add(e *Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Index = len(l.entries)
	l.entries = append(l.entries, e)
	close(l.grown)
	l.grown = make(chan struct{})
}

// Len is the number of entries so far.
func (l *Log) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// From is the entries behind the first n, and a channel that is closed when there are more.
func (l *Log) From(n int) ([]*Entry, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[n:len(l.entries):len(l.entries)], l.grown
}

// Find waits for the first entry from the n-th on that fits.
func (l *Log) Find(ctx context.Context, n int, fits func(*Entry) bool) (*Entry, error) {
	for {
		entries, grown := l.From(n)
		for _, e := range entries {
			if fits(e) {
				return e, nil
			}
		}
		n += len(entries)
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a frame: %w", context.Cause(ctx))
		}
	}
}

// MessageOf is the message inside a frame, and the field of Frame that holds it; nil for an unknown kind.
func MessageOf(f *Frame) (protoreflect.Message, protoreflect.FieldDescriptor) {
	m := f.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if field == nil {
		return nil, nil
	}
	return m.Get(field).Message(), field
}

// ActorOf is the ref in a frame's message; 0: none.
func ActorOf(m protoreflect.Message) uint64 {
	if m == nil {
		return 0
	}
	field := m.Descriptor().Fields().ByName("actor")
	if field == nil || field.Kind() != protoreflect.Uint64Kind {
		return 0
	}
	return m.Get(field).Uint()
}
