// Package tap changes what a runner and the virtual gateway hear of each other, frame by frame: what mutants (package mutant)
// and odd but legal variants (package variant) are made of.
//
// A tap stands above the counting of frames: the virtual gateway counts and acknowledges what was really on the socket, so a
// frame that a tap drops is one that the other side overlooked. It does no I/O. Each side of a Tap is called by one goroutine
// at a time; Into keeps the two apart.
package tap

import (
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
)

// Frame is one frame, put together from its parts.
type Frame = runnerv1alpha1.Frame

// Tap is for one session with all its sockets, or for several. Each side takes a frame and returns what goes on in its place; a nil side lets
// everything through. The frame given is not changed.
type Tap struct {
	FromRunner, ToRunner func(*Frame) Out
}

// Out is what a Tap makes of one frame: what the gateway reads, and what the runner reads, in order. What is for the side that
// sent the frame waits for the next frame that goes there.
type Out struct {
	Gateway, Runner []*Frame
}

// Into sets the taps of a virtual gateway, which makes them in pairs: that from the runner first. What belongs to no session, such as
// the handshake, does not pass there: see package proxy.
func Into(cfg *vgw.Config, fresh func() Tap) {
	var mu sync.Mutex
	var latest *session
	cfg.FromRunner = func() vgw.Tap {
		mu.Lock()
		defer mu.Unlock()
		latest = &session{tap: fresh()}
		return latest.fromRunner
	}
	cfg.ToRunner = func() vgw.Tap {
		mu.Lock()
		defer mu.Unlock()
		return latest.toRunner
	}
}

// Locked is a Tap that goroutines may call at the same time: one for several sessions, or for a session and its handshake.
func Locked(t Tap) Tap {
	var mu sync.Mutex
	locked := func(side func(*Frame) Out) func(*Frame) Out {
		if side == nil {
			return nil
		}
		return func(f *Frame) Out {
			mu.Lock()
			defer mu.Unlock()
			return side(f)
		}
	}
	return Tap{FromRunner: locked(t.FromRunner), ToRunner: locked(t.ToRunner)}
}

// session is a Tap in use.
type session struct {
	mu              sync.Mutex
	tap             Tap
	gateway, runner []*Frame // wait for the next frame of that direction
}

func (s *session) fromRunner(f *Frame) []*Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := append(s.gateway, f)
	if s.tap.FromRunner != nil && f.GetHello() == nil {
		made := s.tap.FromRunner(f)
		out = append(s.gateway, made.Gateway...)
		s.runner = append(s.runner, made.Runner...)
	}
	s.gateway = nil
	return out
}

func (s *session) toRunner(f *Frame) []*Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := append(s.runner, f)
	if s.tap.ToRunner != nil {
		made := s.tap.ToRunner(f)
		out = append(s.runner, made.Runner...)
		s.gateway = append(s.gateway, made.Gateway...)
	}
	s.runner = nil
	return out
}

// Kind is the message inside a frame; nil for a frame of no known kind.
func Kind(f *Frame) protoreflect.Message {
	m, _ := vgw.MessageOf(f)
	return m
}

// Actor is the ref that a frame is about; 0: no actor.
func Actor(f *Frame) uint64 { return vgw.ActorOf(Kind(f)) }

// Number is the field number of a frame's kind; 0: it is not known.
func Number(f *Frame) int32 {
	if _, field := vgw.MessageOf(f); field != nil {
		return int32(field.Number())
	}
	return 0
}

// IsLink tells the frames that are sent first and not counted [LINK-2].
func IsLink(f *Frame) bool { return Number(f) >= 100 && Number(f) <= 127 }

// Clone is a copy to change.
func Clone(f *Frame) *Frame { return proto.CloneOf(f) }
