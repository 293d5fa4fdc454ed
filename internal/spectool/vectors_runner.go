package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func newRunnerFrame() proto.Message { return new(runnerv1alpha1.Frame) }

func runnerFrameVectors() (any, error) {
	frames, err := frameVectors(newRunnerFrame, append(actorSamples(), linkSamples()...))
	if err != nil {
		return nil, err
	}
	odd, err := oddFrames(newRunnerFrame)
	if err != nil {
		return nil, err
	}
	return map[string]any{"frames": append(frames, odd...), "malformed": malformedFrames()}, nil
}

// actorSamples show the kinds that belong to an actor.
func actorSamples() []sample {
	return []sample{
		{"call", rules{"CALL-3"}, &runnerv1alpha1.Call{
			Actor: 7, Id: 300, Action: "inc", Args: []byte{0x81, 1}, Connection: 3, DeadlineMs: 60000, Trace: trace, Tracestate: "a=b",
		}},
		{"call of a schedule", rules{"ALARM-1"}, &runnerv1alpha1.Call{
			Actor: 7, Id: 1, Action: "tick", Attempt: 1, NowMs: 1700000000000,
			Alarm: &runnerv1alpha1.Alarm{Schedule: "s", Fire: 2, ScheduledAtMs: 1699999999000, Resumed: true},
		}},
		{"result", rules{"GATE-1"}, &runnerv1alpha1.CallResult{Actor: 7, Id: 300, Output: []byte{0xf6}}},
		{"result of a call that never ran", rules{"CALL-7"}, &runnerv1alpha1.CallResult{Actor: 7, Id: 300, NotRun: true}},
		{"result with an error", rules{"ERR-3"}, &runnerv1alpha1.CallResult{Actor: 7, Id: 300, Error: noFunds}},
		{"commit", rules{"COMMIT-1", "GATE-2"}, &runnerv1alpha1.Commit{Actor: 7, Version: 9, Changes: []byte{0x0a, 1, 0xf6}, Outputs: 2}},
		{"commit result", rules{"COMMIT-5"}, &runnerv1alpha1.CommitResult{Actor: 7, Version: 9}},
		{"emit to subscribers", rules{"CONN-3"}, &runnerv1alpha1.Emit{Actor: 7, Event: "tick", Args: []byte{0x80}, Except: []uint64{3}}},
		{"emit to connections", rules{"CONN-3"}, &runnerv1alpha1.Emit{Actor: 7, Event: "tick", To: []uint64{1, 300}, Args: []byte{0x80}}},
		{"part", rules{"LINK-3"}, &runnerv1alpha1.Part{Actor: 7, Data: []byte("data"), Last: true}},
		{"KV read of keys", rules{"KV-3"}, &runnerv1alpha1.KvRead{Actor: 7, Id: 1, Keys: [][]byte{[]byte("a"), []byte("b")}}},
		{"KV read of a range", rules{"KV-4"}, &runnerv1alpha1.KvRead{
			Actor: 7, Id: 2, Range: &runnerv1alpha1.KvRange{From: []byte("a"), Until: []byte("b")}, Reverse: true, Limit: 10,
		}},
		{"KV result", rules{"KV-3"}, &runnerv1alpha1.KvResult{
			Actor: 7, Id: 1, Entries: []*runnerv1alpha1.KvEntry{{Key: []byte("a"), Value: []byte{}}, {Key: []byte("b")}}, More: true,
		}},
		{"cancel", rules{"CALL-5"}, &runnerv1alpha1.CancelCall{Actor: 7, Id: 300, Reason: runnerv1alpha1.CancelReason_CANCEL_REASON_DEADLINE}},
		{"start", rules{"LIFE-2", "COMMIT-3"}, &runnerv1alpha1.StartActor{
			Actor: 7, Id: "a-1", Namespace: "default", Type: "room", Key: []string{"a", ""}, Generation: 1700000000000000,
			Nonce: []byte("0123456789abcdef"), Version: 9, State: []byte{0xf6}, DeadlineMs: 10000, RestoredConnections: 1,
			GoneConnections: []*runnerv1alpha1.GoneConnection{{ConnectionId: "c-1"}},
		}},
		{"ready", rules{"LIFE-3"}, &runnerv1alpha1.ActorReady{Actor: 7}},
		{"stop", rules{"SLEEP-2"}, &runnerv1alpha1.StopActor{Actor: 7, Reason: runnerv1alpha1.StopReason_STOP_REASON_SLEEP, GraceMs: 15000}},
		{"stopped", rules{"SLEEP-2"}, &runnerv1alpha1.ActorStopped{Actor: 7, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT}},
		{"intent", rules{"SLEEP-1"}, &runnerv1alpha1.ActorIntent{Actor: 7, Intent: runnerv1alpha1.Intent_INTENT_SLEEP}},
		{"open", rules{"CONN-6"}, &runnerv1alpha1.ConnectionOpen{
			Actor: 7, Connection: 3, Params: []byte{0xa0}, State: []byte{0xf6}, Subscriptions: []string{"tick"}, Restored: true,
			ConnectionId: "c-1",
		}},
		{"close", rules{"CONN-4"}, &runnerv1alpha1.ConnectionClose{Actor: 7, Connection: 3, Code: "connection.disconnected", Reason: "bye"}},
		{"connection state", rules{"CONN-6"}, &runnerv1alpha1.ConnectionState{Actor: 7, Connection: 3, State: []byte{0xf6}}},
		{"principal", rules{"LINK-2"}, &runnerv1alpha1.Principal{Principal: 2, Kind: "client", Subject: "ann"}},
		{"fence of an actor", rules{"LINK-8"}, &runnerv1alpha1.Fence{Nonce: 1, Actor: 7}},
		{"fence reached", rules{"LINK-8"}, &runnerv1alpha1.FenceReached{Nonce: 1, Actor: 7}},
	}
}

// linkSamples show the kinds that belong to the link.
func linkSamples() []sample {
	return []sample{
		{"hello", rules{"LINK-1", "LINK-4", "LINK-13"}, &runnerv1alpha1.Hello{
			ProtocolMin: 1, ProtocolMax: 1, Features: []string{"connections", "events", "kv"}, Token: "secret", Pool: "default",
			Instance: "i-1", RunnerVersion: 3, Labels: map[string]string{"zone": "a"}, Sdk: "go", SdkVersion: "0.1.0",
			Types: []*runnerv1alpha1.ActorType{{
				Name: "room", Durability: runnerv1alpha1.Durability_DURABILITY_DISK, Concurrency: runnerv1alpha1.Concurrency_CONCURRENCY_SERIAL,
				SleepAfterMs: 30000, Preload: []*runnerv1alpha1.KvRange{{From: []byte("a")}}, Events: []string{"tick"},
			}},
		}},
		{"resuming hello", rules{"LINK-16", "LINK-19"}, &runnerv1alpha1.Hello{
			ProtocolMin: 1, ProtocolMax: 1, Features: []string{"resume", "adopt", "credit"}, Hosting: true,
			Resume: &runnerv1alpha1.Resume{Session: []byte{1, 2, 3, 4}, Received: 300},
			Types:  []*runnerv1alpha1.ActorType{{Name: "room"}},
		}},
		{"resumed welcome", rules{"LINK-16"}, &runnerv1alpha1.Welcome{
			Protocol: 1, Features: []string{"resume", "adopt", "credit"}, Session: []byte{1, 2, 3, 4}, ResumedReceived: proto.Uint64(0),
		}},
		{"resumed", rules{"LINK-16"}, &runnerv1alpha1.Resumed{Next: 301}},
		{"ack", rules{"LINK-14"}, &runnerv1alpha1.Ack{Received: 300}},
		{"credit", rules{"LINK-18"}, &runnerv1alpha1.Credit{Actor: 7, Offset: 1 << 40}},
		{"credit of the link", rules{"LINK-18"}, &runnerv1alpha1.Credit{Offset: 1 << 40}},
		{"hosted", rules{"LINK-19", "LEASE-4"}, &runnerv1alpha1.Hosted{Last: true, Actors: []*runnerv1alpha1.HostedActor{{
			Id: "eu-1", Generation: 1 << 50, Nonce: []byte{9, 9}, Version: 3, Actor: 7, Pending: []byte{5, 5},
		}}}},
		{"adopted", rules{"LEASE-4"}, &runnerv1alpha1.Adopted{
			Old: 7, Actor: 12, Generation: 1<<50 + 1, Nonce: []byte{8, 8}, Version: 4, RestoredConnections: 1,
		}},
		{"welcome", rules{"LINK-1", "LINK-7"}, &runnerv1alpha1.Welcome{
			Protocol: 1, Features: []string{"kv"}, Session: []byte{1, 2, 3, 4}, Runner: "r-1", PingMs: 3000, LostMs: 15000,
			Limits: &runnerv1alpha1.Limits{MaxMessage: 16777216, MaxState: 8388608}, TimeoutsMs: map[string]uint32{"action": 60000},
		}},
		{"reject", rules{"LINK-4"}, &runnerv1alpha1.Reject{
			Code: "runner.protocol_unsupported", Message: "Speak 1.", ProtocolMin: 1, ProtocolMax: 1,
		}},
		{"drain", rules{"LINK-10"}, &runnerv1alpha1.Drain{DeadlineMs: 30000}},
		{"unsupported", rules{"FRAME-4"}, &commonv1alpha1.Unsupported{Kind: 107, Number: 7}},
		{"ping", rules{"LINK-8"}, &commonv1alpha1.Ping{Nonce: 1}},
		{"pong", rules{"LINK-8"}, &runnerv1alpha1.Pong{Nonce: 1, LeaseMs: 15000, NowMs: 1700000000000}},
		{"goodbye", rules{"FRAME-6", "LINK-6"}, &commonv1alpha1.Goodbye{
			Code: "runner.replaced", Message: "Another link took over.", Reconnect: commonv1alpha1.Reconnect_RECONNECT_NEVER,
		}},
	}
}

type commitID struct {
	Name    string          `json:"name"`
	Rules   rules           `json:"rules"`
	Changes hexBytes        `json:"changes"`
	Message json.RawMessage `json:"message"`
	ID      hexBytes        `json:"id"`
}

func commitIDVectors() (any, error) {
	var vectors []commitID
	for _, c := range []struct {
		name    string
		changes *runnerv1alpha1.Changes
	}{
		{"no change", &runnerv1alpha1.Changes{}},
		{"state", &runnerv1alpha1.Changes{State: []byte{0xa1, 0x61, 'n', 1}}},
		{"KV and connections", &runnerv1alpha1.Changes{
			Kv:               []*runnerv1alpha1.KvOp{{Key: []byte("a"), Value: []byte{}}, {Key: []byte("b")}, {Key: []byte("c"), DeleteUntil: []byte{}}},
			ConnectionsAdded: []string{"c-1"}, ConnectionsRemoved: []string{"c-2"},
		}},
		{"destroy", &runnerv1alpha1.Changes{Destroy: true}},
	} {
		encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(c.changes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		text, err := stableJSON(c.changes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		hash := sha256.Sum256(encoded)
		vectors = append(vectors, commitID{c.name, rules{"COMMIT-2"}, encoded, text, hash[:16]})
	}
	return map[string]any{"commits": vectors}, nil
}
