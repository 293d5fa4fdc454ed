package mutant

import (
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// session is a long talk between a gateway and a runner with frames of all kinds. Lines of the runner begin with >.
func session() []line {
	var lines []line
	for _, text := range []string{
		`>hello {protocol_min: 1 protocol_max: 1 features: "kv" features: "events" token: "t" instance: "i" types {name: "counter"}}`,
		`<welcome {protocol: 1 features: "kv" session: "s" lease_ms: 15000 limits {max_state: 10 event_window: 1000}}`,
		`>ping {nonce: 1}`, `<pong {nonce: 1 lease_ms: 15000}`,
		`<ping {nonce: 2}`, `>pong {nonce: 2}`,
		// A life.
		`<start_actor {actor: 1 id: "a" key: "k" input: "\005" create: true generation: 7 gone_connections {connection_id: "c"}}`,
		`>commit {actor: 1 version: 1 changes: "\n\001\005"}`, `<commit_result {actor: 1 version: 1}`, `>actor_ready {actor: 1}`,
		`<call {actor: 1 id: 10 action: "add" args: "\201\001" connection: 3 deadline_ms: 5}`,
		`<call {actor: 1 id: 11 action: "add" oneway: true}`,
		`<fence {actor: 1 nonce: 5}`, `<cancel_call {actor: 1 id: 11}`,
		`>commit {actor: 1 version: 2 outputs: 2 changes: "` + changesText + `"}`,
		`>emit {actor: 1 event: "tick" args: "\201\001" to: 3}`,
		`>call_result {actor: 1 id: 10 output: "\006"}`,
		`<commit_result {actor: 1 version: 2 error {group: "kv" code: "quota_exceeded"}}`,
		`>call_result {actor: 1 id: 11 error {group: "user" code: "no" metadata: "\001" ran: RAN_YES} not_run: true}`,
		`>emit {actor: 1 event: "tick" args: "\201\001"}`, `>emit {actor: 1 event: "tock" args: "\201\002" unreliable: true}`,
		`>call_result {actor: 1 id: 12}`, `>call_result {actor: 1 id: 13 error {group: "internal" code: "error"}}`,
		`>fence_reached {actor: 1 nonce: 5}`,
		// Reads.
		`>kv_read {actor: 1 id: 1 keys: "a"}`, `>kv_read {actor: 1 id: 2 range {from: "a" until: "b"} reverse: true}`,
		`<kv_result {actor: 1 id: 2 entries {key: "a" value: "v"} entries {key: "b"} entries {key: "c" value: ""} more: true}`,
		`>kv_read {actor: 1 id: 3 range {from: "b" until: "c"}}`,
		`<kv_result {actor: 1 id: 1 error {group: "store" code: "unavailable"}}`, `<kv_result {actor: 1 id: 3}`,
		`>call_result {actor: 1 id: 14 error {group: "internal" code: "error" ran: RAN_YES}}`, `>call_result {actor: 1 id: 15 error {group: "action" code: "canceled" ran: RAN_NO}}`,
		// Connections.
		`<connection_open {actor: 1 call: 20 connection: 4 params: "\240"}`,
		`>call_result {actor: 1 id: 20 error {group: "user" code: "private" ran: RAN_YES}}`,
		`<connection_open {actor: 1 call: 21 connection: 5 restored: true state: "\001"}`,
		`>connection_state {actor: 1 connection: 5 state: "\002"}`, `>connection_close {actor: 1 connection: 5 code: "connection.disconnected" reason: "go"}`,
		`<connection_close {actor: 1 connection: 6}`,
		// Ends.
		`>actor_intent {actor: 1 intent: INTENT_SLEEP}`, `<stop_actor {actor: 1 reason: STOP_REASON_SLEEP}`,
		`<call {actor: 1 id: 30}`, `>call_result {actor: 1 id: 30}`, `>commit {actor: 1 version: 3 changes: "\n\001\007"}`, `>actor_stopped {actor: 1 outcome: STOP_OUTCOME_SLEPT}`,
		`<start_actor {actor: 2 id: "a" version: 3 state: "\006"}`, `<stop_actor {actor: 2 reason: STOP_REASON_DESTROY}`, `>commit {actor: 2 version: 4 changes: "@\001"}`,
		`>actor_stopped {actor: 2 outcome: STOP_OUTCOME_DESTROYED}`,
		`<stop_actor {actor: 3 reason: STOP_REASON_FENCED}`, `>actor_stopped {actor: 3 outcome: STOP_OUTCOME_FENCED}`,
		`>actor_stopped {actor: 4 outcome: STOP_OUTCOME_START_FAILED error {group: "user" code: "no"}}`,
		// The link.
		`>unsupported {kind: 99 number: 7}`, `<fence {nonce: 6}`, `>fence_reached {nonce: 6}`, `>ack {received: 9}`,
		`>hello {instance: "i" resume {session: "s" received: 5} hosting: true}`, `<welcome {resumed_received: 3}`, `>resumed {next: 4}`,
		`>hosted {actors {id: "a" generation: 7 version: 3 actor: 1 pending: "p"} last: true}`,
		`<adopted {old: 1 actor: 9 error {group: "actor" code: "fenced"}}`, `>commit {actor: 9 version: 3 changes: "\n\001\006"}`,
		`<reject {code: "auth.unauthenticated"}`,
		`>drain {deadline_ms: 5}`, `<goodbye {code: "gateway.draining"}`, `>goodbye {code: "runner.draining"}`,
	} {
		f := new(tap.Frame)
		if err := prototext.Unmarshal([]byte(text[1:]), f); err != nil {
			lines = append(lines, line{frame: unreadable(text, err)})
			continue
		}
		lines = append(lines, line{up: text[0] == '>', frame: f})
	}
	return append(lines, line{frame: withUnknownField()})
}

// changesText is {state: 6, kv: [put a 1, put b "", delete c to d], connections_added: c, connections_removed: d}.
const changesText = `\n\001\006\022\006\n\001a\022\0011\022\005\n\001b\022\000\022\006\n\001c\032\001d2\001c:\001d`

// unreadable is a line whose text is wrong: the test of this file says so.
func unreadable(text string, err error) *tap.Frame {
	return &tap.Frame{Kind: &runnerv1alpha1.Frame_Reject{Reject: &runnerv1alpha1.Reject{Code: "unreadable", Message: text + ": " + err.Error()}}}
}

func withUnknownField() *tap.Frame {
	m := &runnerv1alpha1.StopActor{Actor: 99}
	m.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 1))
	return &tap.Frame{Kind: &runnerv1alpha1.Frame_StopActor{StopActor: m}}
}

func TestTheSessionIsReadable(t *testing.T) {
	for _, l := range session() {
		if m := l.frame.GetReject(); m.GetCode() == "unreadable" {
			t.Error(m.Message)
		}
		if m := l.frame.GetCommit(); m != nil {
			if err := proto.Unmarshal(m.Changes, new(runnerv1alpha1.Changes)); err != nil {
				t.Errorf("changes of %v: %v", m, err)
			}
		}
	}
}
