package main

import (
	"errors"
	"os"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// hello dials and says Hello as the contract app would.
func hello() (link, error) {
	l, err := dial()
	if err != nil {
		return l, err
	}
	m := &runnerv1alpha1.Hello{
		ProtocolMin: 1, ProtocolMax: 1, Features: []string{"connections", "events", "kv", "resume", "adopt", "credit"},
		Token: os.Getenv("STAGEDOOR_TOKEN"), Pool: os.Getenv("STAGEDOOR_RUNNER_NAME"), Instance: "null", Sdk: "nullrunner", SdkVersion: "0",
	}
	for _, name := range []string{"conn", "counter", "crasher", "echo", "events", "interp", "kv", "lifecycle", "manifest", "sleeper"} {
		m.Types = append(m.Types, &runnerv1alpha1.ActorType{Name: name, Concurrency: runnerv1alpha1.Concurrency_CONCURRENCY_SERIAL})
	}
	return l, l.send(&runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_Hello{Hello: m}})
}

func handshake() error {
	l, err := hello()
	if err != nil {
		return err
	}
	return l.drain()
}

func crash() error {
	l, err := hello()
	if err != nil {
		return err
	}
	return l.each(func(f *runnerv1alpha1.Frame) error {
		if f.GetStartActor() != nil {
			return errors.New("an actor, what now?")
		}
		return nil
	})
}

func flood() error {
	l, err := hello()
	if err != nil {
		return err
	}
	go func() { _ = l.drain() }()
	for nonce := uint64(1); ; nonce++ {
		if l.send(fenceReached(&runnerv1alpha1.Fence{Nonce: nonce})) != nil {
			return nil
		}
	}
}

func parrot() error {
	l, err := hello()
	if err != nil {
		return err
	}
	return l.each(l.send)
}

func alwaysOK() error { return answer(nil) }

func refusing() error {
	return answer(&commonv1alpha1.Error{Group: "internal", Code: "error", Ran: commonv1alpha1.Ran_RAN_YES})
}

// answer ends whatever begins, with that error or none.
func answer(e *commonv1alpha1.Error) error {
	l, err := hello()
	if err != nil {
		return err
	}
	return l.each(func(f *runnerv1alpha1.Frame) error {
		if reply := replyTo(f, e); reply != nil {
			return l.send(reply)
		}
		return nil
	})
}

func replyTo(f *runnerv1alpha1.Frame, e *commonv1alpha1.Error) *runnerv1alpha1.Frame {
	switch {
	case f.GetStartActor() != nil && e == nil:
		return &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_ActorReady{ActorReady: &runnerv1alpha1.ActorReady{Actor: f.GetStartActor().Actor}}}
	case f.GetStartActor() != nil:
		return stopped(f.GetStartActor().Actor, runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED, e)
	case f.GetCall() != nil:
		return result(f.GetCall().Actor, f.GetCall().Id, e)
	case f.GetConnectionOpen() != nil && !f.GetConnectionOpen().Restored:
		return result(f.GetConnectionOpen().Actor, f.GetConnectionOpen().Call, e)
	case f.GetStopActor() != nil:
		return stopped(f.GetStopActor().Actor, runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT, nil)
	case f.GetFence() != nil:
		return fenceReached(f.GetFence())
	case f.GetPing() != nil:
		return &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_Pong{Pong: &runnerv1alpha1.Pong{Nonce: f.GetPing().Nonce}}}
	}
	return nil
}

func result(actor, id uint64, e *commonv1alpha1.Error) *runnerv1alpha1.Frame {
	return &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_CallResult{CallResult: &runnerv1alpha1.CallResult{Actor: actor, Id: id, Error: e}}}
}

func stopped(actor uint64, how runnerv1alpha1.StopOutcome, e *commonv1alpha1.Error) *runnerv1alpha1.Frame {
	return &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_ActorStopped{ActorStopped: &runnerv1alpha1.ActorStopped{Actor: actor, Outcome: how, Error: e}}}
}

func fenceReached(m *runnerv1alpha1.Fence) *runnerv1alpha1.Frame {
	return &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_FenceReached{FenceReached: &runnerv1alpha1.FenceReached{Nonce: m.Nonce, Actor: m.Actor}}}
}
