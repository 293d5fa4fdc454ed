package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/launch"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

// connect takes the runner's next socket.
func (r *run) connect(ctx context.Context, m *conformancev1alpha1.Connect) error {
	s := r.stage
	if m.Refuse != 0 {
		s.gateway.Refuse(int(m.Refuse))
	}
	if r.socket != nil && s.process != nil && !s.process.Alive() { // nobody but the case starts it anew
		code, _ := s.process.Exit(ctx)
		return fmt.Errorf("%w again: its command %s", ErrNoRunner, launch.Ending(code))
	}
	if err := s.running(); err != nil {
		return err
	}
	if m.Refuse != 0 {
		return r.refused(ctx)
	}
	socket, hello, err := s.next(ctx)
	if err != nil {
		return err
	}
	s.hello, s.socket, r.socket, r.session = hello, socket, socket, nil
	if m.Hello != nil {
		if err := r.env.Match(hello.ProtoReflect(), m.Hello.AsMap()); err != nil {
			return fmt.Errorf("hello: %w", err)
		}
	}
	switch {
	case m.Silent:
		return nil
	case m.Reject != nil:
		reject := &runnerv1alpha1.Reject{}
		if err := r.env.Fill(reject.ProtoReflect(), m.Reject.AsMap()); err != nil {
			return fmt.Errorf("%w: reject: %w", errHarness, err)
		}
		socket.Reject(reject)
		return nil
	}
	return r.welcome(socket, hello, m)
}

// refused waits until a handshake was refused. A socket that came before it could be is cut.
func (r *run) refused(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	early := make(chan struct{})
	go func() {
		defer close(early)
		for {
			socket, err := r.stage.gateway.Accept(ctx)
			if err != nil {
				return
			}
			socket.Cut("its handshake was to be refused")
		}
	}()
	var err error
	select {
	case <-r.stage.gateway.Refused():
	case <-ctx.Done():
		err = fmt.Errorf("wait for a handshake: %w", context.Cause(ctx))
	}
	cancel(nil)
	<-early
	return err
}

func (r *run) welcome(socket *vgw.Socket, hello *runnerv1alpha1.Hello, m *conformancev1alpha1.Connect) error {
	g := r.stage.gateway
	change := func(w *runnerv1alpha1.Welcome) error {
		if m.Welcome == nil {
			return nil
		}
		if err := r.env.Fill(w.ProtoReflect(), m.Welcome.AsMap()); err != nil {
			return fmt.Errorf("%w: welcome: %w", errHarness, err)
		}
		return nil
	}
	if session := g.Resumable(hello); session != nil && !m.Lost {
		var filled error
		r.session = session
		err := g.Resume(socket, hello, session, func(w *runnerv1alpha1.Welcome) { filled = change(w) })
		return errors.Join(err, filled)
	}
	w := vgw.DefaultWelcome(hello)
	w.Features = slices.DeleteFunc(w.Features, func(f string) bool { return slices.Contains(m.Without, f) })
	if m.Only != nil {
		w.Features = m.Only.Features
	}
	if err := change(w); err != nil {
		return err
	}
	r.session = g.Welcome(socket, hello, w)
	return nil
}

func (r *run) raw(m *conformancev1alpha1.Raw) error {
	if r.socket == nil {
		return fmt.Errorf("%w has no socket at this step", errHarness)
	}
	switch {
	case m.Chunk != nil || m.Fragment != nil:
		r.socket.Shape(int(m.GetChunk()), int(m.GetFragment()))
		return nil
	case m.MessageHex != "":
		return r.garbage(websocket.Binary, m.MessageHex)
	case m.Text != "":
		r.socket.Garbage(websocket.Text, []byte(m.Text))
		return nil
	}
	session, err := r.linked()
	if err != nil {
		return err
	}
	switch {
	case m.FrameHex != "":
		body, err := r.env.Bytes(map[string]any{"hex": m.FrameHex})
		if err != nil {
			return fmt.Errorf("%w: %w", errHarness, err)
		}
		return session.SendRaw(body)
	case m.UnknownFieldIn != nil:
		return r.unknownField(session, m)
	case m.Size > 0:
		return session.SendRaw(padded(int(m.Size) - frame.HeaderLen))
	}
	return fmt.Errorf("%w does not know this raw step", errHarness)
}

func (r *run) garbage(op websocket.Opcode, digits string) error {
	b, err := r.env.Bytes(map[string]any{"hex": digits})
	if err != nil {
		return fmt.Errorf("%w: %w", errHarness, err)
	}
	r.socket.Garbage(op, b)
	return nil
}

// unknownField sends a frame whose message has a field that nobody knows. One beside the message would be another kind.
func (r *run) unknownField(session *vgw.Session, m *conformancev1alpha1.Raw) error {
	f, err := r.env.Frame(m.UnknownFieldIn.AsMap())
	if err != nil {
		return fmt.Errorf("%w: %w", errHarness, err)
	}
	extra := protowire.AppendBytes(protowire.AppendTag(nil, 1000, protowire.BytesType), []byte("from the future"))
	if inner, _ := vgw.MessageOf(f); inner != nil {
		inner.SetUnknown(extra)
	}
	return session.Send(f)
}

// padded is a frame of n bytes that is legal in all but its size: Unsupported, which is not answered, and a field that nobody
// knows.
func padded(n int) []byte {
	body := protowire.AppendBytes(protowire.AppendTag(nil, 62, protowire.BytesType), nil)
	body = protowire.AppendTag(body, 1000, protowire.BytesType)
	fill := n - len(body) - protowire.SizeVarint(uint64(n))
	return protowire.AppendBytes(body, make([]byte, max(0, fill)))
}

func (r *run) link(ctx context.Context, m *conformancev1alpha1.Link) error {
	if m.QuietMs > 0 {
		return r.quiet(ctx, time.Duration(m.QuietMs)*time.Millisecond)
	}
	if r.socket == nil {
		return fmt.Errorf("%w has no socket at this step", errHarness)
	}
	switch {
	case m.Cut:
		r.socket.Cut("cut by the case")
		<-r.socket.Done()
	case m.Goodbye != nil:
		bye := &commonv1alpha1.Goodbye{}
		if err := r.env.Fill(bye.ProtoReflect(), m.Goodbye.AsMap()); err != nil {
			return fmt.Errorf("%w: goodbye: %w", errHarness, err)
		}
		if r.session != nil && bye.Code != "runner.superseded" { // which ends the socket alone [LINK-6]
			r.session.End()
		}
		r.socket.Goodbyes(bye)
		r.socket.Finish("Goodbye")
	case m.Closed:
		select {
		case <-r.socket.Done():
		case <-ctx.Done():
			return fmt.Errorf("wait for the runner to close the socket: %w", context.Cause(ctx))
		}
	case m.Stall || m.Read:
		r.socket.Stall(m.Stall)
	}
	return nil
}

// quiet says that the runner does not dial for a while.
func (r *run) quiet(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if socket, err := r.stage.gateway.Accept(ctx); err == nil {
		socket.Cut("it was not to come")
		return errors.New("the runner dialed again")
	}
	return nil
}

var signals = map[string]syscall.Signal{
	"TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL, "INT": syscall.SIGINT, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
}

func (r *run) process(ctx context.Context, m *conformancev1alpha1.Process) error {
	if m.Start {
		return r.stage.running()
	}
	p := r.stage.process
	if p == nil {
		return fmt.Errorf("%w has started no process", errHarness)
	}
	switch {
	case m.Signal != "":
		sig, known := signals[m.Signal]
		if !known {
			return fmt.Errorf("%w does not know the signal %s", errHarness, m.Signal)
		}
		return p.Signal(sig)
	case m.Exited != nil:
		code, err := p.Exit(ctx)
		switch {
		case err != nil:
			return err
		case m.Exited.Code != nil && code != int(*m.Exited.Code):
			return fmt.Errorf("the process ended with status %d, want %d", code, *m.Exited.Code)
		case m.Exited.Failure && code == 0:
			return errors.New("the process ended with status 0, want another")
		}
		r.stage.recorder.Add(&trace.Event{Happening: trace.ProcessEnded, Note: fmt.Sprintf("status %d", code)})
	case m.OutputWithout != "" && strings.Contains(p.Output(), m.OutputWithout):
		return fmt.Errorf("the process wrote %q", m.OutputWithout)
	case m.OutputWith != "":
		return r.wrote(ctx, m.OutputWith)
	case m.Alive && !p.Alive():
		code, _ := p.Exit(ctx)
		return fmt.Errorf("the process %s", launch.Ending(code))
	}
	return nil
}

// wrote waits for output, of which nobody is told.
func (r *run) wrote(ctx context.Context, text string) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !strings.Contains(r.stage.process.Output(), text) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %q in the process's output: %w", text, context.Cause(ctx))
		}
	}
	return nil
}
