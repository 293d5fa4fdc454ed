package fuzz

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/launch"
	"github.com/stagedoor-dev/stagedoor/conformance/tap"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
)

// target is a runner with a virtual gateway that takes whatever sockets it dials.
type target struct {
	gateway *vgw.Gateway
	process *launch.Process
	stop    context.CancelFunc
	over    chan struct{}

	mu      sync.Mutex
	session *vgw.Session
	dialed  chan struct{} // closed and replaced with each session's socket

	canary *guest
	victim *guest
	number int

	aimedAt *guest // the last victim
	aimed   []Shot // at it, so far
}

// guest is an actor in a session.
type guest struct {
	session *vgw.Session
	actor   *vgw.Actor
	ref     uint64
	kind    string
}

func launchTarget(command string, gateURL string) (*target, error) {
	gateway, err := vgw.Listen(vgw.Config{})
	if err != nil {
		return nil, err
	}
	process, err := launch.Start(command, map[string]string{
		"STAGEDOOR_ENDPOINT": gateway.Endpoint(), "STAGEDOOR_TOKEN": "fuzz", "CONFORM_GATE_URL": gateURL,
	})
	if err != nil {
		gateway.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	t := &target{gateway: gateway, process: process, stop: stop, over: make(chan struct{}), dialed: make(chan struct{})}
	go t.accept(ctx)
	return t, nil
}

func (t *target) close() {
	t.stop()
	<-t.over
	t.process.Kill()
	t.gateway.Close()
}

// accept welcomes every socket: sessions go on where they can.
func (t *target) accept(ctx context.Context) {
	defer close(t.over)
	for {
		socket, err := t.gateway.Accept(ctx)
		if err != nil {
			return
		}
		hello, err := socket.Hello(ctx)
		if err != nil {
			continue
		}
		session := t.gateway.Resumable(hello)
		if session == nil || t.gateway.Resume(socket, hello, session, nil) != nil {
			session = t.gateway.Welcome(socket, hello, vgw.DefaultWelcome(hello))
		}
		t.mu.Lock()
		t.session = session
		close(t.dialed)
		t.dialed = make(chan struct{})
		t.mu.Unlock()
	}
}

// link waits for a session with a socket that is not over.
func (t *target) link(ctx context.Context) (*vgw.Session, error) {
	for {
		t.mu.Lock()
		session, dialed := t.session, t.dialed
		t.mu.Unlock()
		if session != nil && session.Alive() && open(session.Socket()) {
			return session, nil
		}
		select {
		case <-dialed:
		case <-t.process.Done():
			return nil, t.ended()
		case <-ctx.Done():
			return nil, errors.New("the runner does not come back")
		}
	}
}

// open tells whether a socket lives. A session has it a moment longer.
func open(s *vgw.Socket) bool {
	if s == nil {
		return false
	}
	select {
	case <-s.Done():
		return false
	default:
		return true
	}
}

// ended says how the process did.
func (t *target) ended() error {
	code, _ := t.process.Exit(context.Background())
	return fmt.Errorf("the process %s", launch.Ending(code))
}

// errMoved: the session ended meanwhile, which a runner may do.
var errMoved = errors.New("the session has ended")

// enter starts an actor, or keeps the one that runs in the current session.
func (t *target) enter(ctx context.Context, g *guest, kind string) (*guest, error) {
	session, err := t.link(ctx)
	if err != nil {
		return nil, err
	}
	if g != nil && g.session == session && g.actor.Ref() == g.ref {
		return g, nil
	}
	t.number++
	id := fmt.Sprintf("local-fuzz%d", t.number)
	actor, m := session.Start(vgw.Record{ID: id, Namespace: "default", Type: kind, Key: []string{id}})
	from := t.gateway.Log.Len()
	if err := session.Send(&tap.Frame{Kind: &runnerv1alpha1.Frame_StartActor{StartActor: m}}); err != nil {
		return nil, errMoved
	}
	ready := func(e *vgw.Entry) bool { return e.Frame.GetActorReady().GetActor() == m.Actor }
	if err := t.await(ctx, session, from, ready); err != nil {
		return nil, fmt.Errorf("actor of type %s is not ready: %w", kind, err)
	}
	return &guest{session, actor, m.Actor, kind}, nil
}

// patience is how long a runner may take to come to itself.
const patience = 10 * time.Second

// await waits for a frame, for the end of the process, or of the session's socket.
func (t *target) await(ctx context.Context, session *vgw.Session, from int, fits func(*vgw.Entry) bool) error {
	socket := session.Socket()
	if socket == nil {
		return errMoved
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it does not answer"))
	defer cancel()
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-socket.Done():
			stop(errMoved)
		case <-t.process.Done():
			stop(t.ended())
		case <-inner.Done():
		}
	}()
	_, err := t.gateway.Log.Find(inner, from, func(e *vgw.Entry) bool { return e.Frame != nil && fits(e) })
	return err
}

// sing asks the canary for an echo. If its session ended meanwhile, it begins anew.
func (t *target) sing(ctx context.Context) error {
	for range 20 {
		err := t.once(ctx)
		if !errors.Is(err, errMoved) {
			return err
		}
	}
	return errors.New("the runner ends one session after another")
}

func (t *target) once(ctx context.Context) error {
	canary, err := t.enter(ctx, t.canary, "echo")
	if err != nil {
		return err
	}
	t.canary = canary
	id := t.gateway.NextRef()
	args, err := cbor.Marshal([]any{id})
	if err != nil {
		return fmt.Errorf("encode the canary's argument: %w", err)
	}
	from := t.gateway.Log.Len()
	call := &runnerv1alpha1.Call{Actor: canary.ref, Id: id, Action: "echo", Args: args}
	if canary.session.Send(&tap.Frame{Kind: &runnerv1alpha1.Frame_Call{Call: call}}) != nil {
		return errMoved
	}
	var result *runnerv1alpha1.CallResult
	if err := t.await(ctx, canary.session, from, func(e *vgw.Entry) bool {
		result = e.Frame.GetCallResult()
		return result.GetId() == id && result.GetActor() == canary.ref
	}); err != nil {
		return fmt.Errorf("the canary: %w", err)
	}
	if result.Error != nil || !bytes.Equal(result.Output, args[1:]) {
		return fmt.Errorf("the canary sings out of tune: %v", result)
	}
	return nil
}
