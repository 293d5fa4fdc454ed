package main

import (
	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

func newClientFrame() proto.Message { return new(clientv1alpha1.Frame) }

func clientFrameVectors() (any, error) {
	samples := make([]sample, 0, len(clientSamples))
	for _, s := range clientSamples {
		samples = append(samples, s.sample)
	}
	frames, err := frameVectors(newClientFrame, samples)
	if err != nil {
		return nil, err
	}
	odd, err := oddFrames(newClientFrame)
	if err != nil {
		return nil, err
	}
	return map[string]any{"frames": append(frames, odd...), "malformed": malformedFrames()}, nil
}

var (
	noFunds = &commonv1alpha1.Error{
		Group: "user", Code: "no_funds", Message: "Not enough.", Metadata: []byte{0xa1, 0x61, 'n', 5}, Retryable: true,
		Ran: commonv1alpha1.Ran_RAN_YES, RetryAfterMs: 250,
	}
	notFound = &commonv1alpha1.Error{
		Group: "actor", Code: "not_found", Message: "The actor does not exist.", Ran: commonv1alpha1.Ran_RAN_NO,
	}
	trace = []byte("\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c\xb7\xad\x6b\x71\x69\x20\x33\x31\x01")
	room  = &commonv1alpha1.Address{Type: "room", Key: []string{"a:b", ""}}
)

// clientSample is a message of the client protocol and its JSON form.
type clientSample struct {
	sample
	json string
}

// clientSamples show each kind, in ascending order.
var clientSamples = []clientSample{
	{
		sample{"call on a connection", rules{"CALL-2"}, &clientv1alpha1.Call{Id: 1, Connection: 1, Action: "inc", Args: []byte{0x81, 1}}},
		`{"type":"call","id":1,"connection":1,"action":"inc","args":[1]}`,
	},
	{
		sample{"call of an address", rules{"CALL-2", "ADDR-3"}, &clientv1alpha1.Call{
			Id: 9007199254740991, Action: "inc", Target: room, Mode: commonv1alpha1.Mode_MODE_GET, DeadlineMs: 500, Oneway: true,
		}},
		`{"type":"call","id":9007199254740991,"action":"inc","deadlineMs":500,"target":"room:a%3Ab:","mode":"get","oneway":true}`,
	},
	{
		sample{"call of an address in a namespace", rules{"CALL-2"}, &clientv1alpha1.Call{
			Id: 1, Action: "inc", Target: &commonv1alpha1.Address{Namespace: "team-1", Type: "room", Key: []string{"a"}},
			Mode: commonv1alpha1.Mode_MODE_CREATE,
		}},
		`{"type":"call","id":1,"action":"inc","target":{"namespace":"team-1","type":"room","key":["a"]},"mode":"create"}`,
	},
	{
		sample{"call of an id, with everything", rules{"CALL-2", "ADDR-4"}, &clientv1alpha1.Call{
			Id: 1, Action: "inc", Args: []byte{0x80}, TargetId: "local-000002bt59a01000000000000", Mode: commonv1alpha1.Mode_MODE_GET_OR_CREATE,
			Input: []byte{0xf6}, IdempotencyKey: []byte("key"), Trace: trace, Tracestate: "a=b",
		}},
		`{"type":"call","id":1,"action":"inc","args":[],"target":"@local-000002bt59a01000000000000","mode":"getOrCreate",` +
			`"input":null,"idempotencyKey":"key","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"a=b"}`,
	},
	{
		sample{"result", rules{"CALL-1"}, &clientv1alpha1.CallResult{Id: 1, Connection: 1, Output: []byte{0x18, 42}}},
		`{"type":"callResult","id":1,"connection":1,"output":42}`,
	},
	{
		sample{"result null", rules{"PAY-3"}, &clientv1alpha1.CallResult{Id: 1, Output: []byte{0xf6}}},
		`{"type":"callResult","id":1,"output":null}`,
	},
	{sample{"result without value", rules{"PAY-3"}, &clientv1alpha1.CallResult{Id: 1}}, `{"type":"callResult","id":1}`},
	{
		sample{"result with an error", rules{"ERR-3"}, &clientv1alpha1.CallResult{Id: 1, Error: noFunds}},
		`{"type":"callResult","id":1,"error":{"group":"user","code":"no_funds","message":"Not enough.","metadata":{"n":5},` +
			`"retryable":true,"ran":"yes","retryAfterMs":250}}`,
	},
	{
		sample{"event", rules{"CONN-3"}, &clientv1alpha1.Event{Connection: 1, Event: "tick", Args: []byte{0x82, 1, 0x61, 'x'}}},
		`{"type":"event","connection":1,"event":"tick","args":[1,"x"]}`,
	},
	{sample{"cancel", rules{"CALL-5"}, &clientv1alpha1.CancelCall{Id: 1}}, `{"type":"cancelCall","id":1}`},
	{sample{"cancel on a connection", rules{"CALL-5", "SESS-12"}, &clientv1alpha1.CancelCall{Id: 1, Connection: 2}}, `{"type":"cancelCall","id":1,"connection":2}`},
	{
		sample{"hello", rules{"SESS-2"}, &clientv1alpha1.Hello{
			Token: "secret", Namespace: "team-1", Sdk: "go", SdkVersion: "0.1.0", Features: []string{"a"},
		}},
		`{"type":"hello","token":"secret","namespace":"team-1","sdk":"go","sdkVersion":"0.1.0","features":["a"]}`,
	},
	{sample{"empty hello", rules{"SESS-2"}, &clientv1alpha1.Hello{}}, `{"type":"hello"}`},
	{
		sample{"welcome", rules{"SESS-2", "SESS-5"}, &clientv1alpha1.Welcome{
			Session: "s1", PingMs: 15000, NowMs: 1700000000000, Gateway: "g1", Development: true,
			Limits: &clientv1alpha1.Limits{
				MaxMessage: 16777216, MaxArgs: 1048576, MaxInput: 1048576, MaxParams: 65536, MaxCalls: 1024, MaxConnections: 256,
				MaxSubscriptions: 256,
			},
		}},
		`{"type":"welcome","session":"s1","limits":{"maxMessage":16777216,"maxArgs":1048576,"maxInput":1048576,"maxParams":65536,` +
			`"maxCalls":1024,"maxConnections":256,"maxSubscriptions":256},"pingMs":15000,"nowMs":1700000000000,"gateway":"g1","development":true}`,
	},
	{
		sample{"resuming hello", rules{"SESS-15"}, &clientv1alpha1.Hello{
			Features: []string{"resume"},
			Resume:   &clientv1alpha1.Resume{Token: []byte("g1.abc"), Received: []*clientv1alpha1.Received{{Frames: 3}, {Connection: 2, Frames: 1}}},
		}},
		`{"type":"hello","features":["resume"],"resume":{"token":"g1.abc","received":[{"frames":3},{"connection":2,"frames":1}]}}`,
	},
	{
		sample{"resumed welcome", rules{"SESS-13", "SESS-15"}, &clientv1alpha1.Welcome{
			Session: "s1", Features: []string{"resume"}, ResumeToken: []byte("g1.def"), Resumed: true, ResumeMs: 30000,
			Received: []*clientv1alpha1.Received{{Frames: 4}, {Connection: 2, Frames: 2}},
		}},
		`{"type":"welcome","session":"s1","features":["resume"],"resumeToken":"g1.def","resumed":true,` +
			`"received":[{"frames":4},{"connection":2,"frames":2}],"resumeMs":30000}`,
	},
	{
		sample{"ack", rules{"SESS-14"}, &clientv1alpha1.Ack{Received: []*clientv1alpha1.Received{{Connection: 2, Frames: 64}}}},
		`{"type":"ack","received":[{"connection":2,"frames":64}]}`,
	},
	{sample{"connection resume", rules{"SESS-20"}, &clientv1alpha1.ConnectionResume{Connection: 2, Frames: 70}}, ""},
	{sample{"connection resumed", rules{"SESS-20"}, &clientv1alpha1.ConnectionResumed{Connection: 2, Frames: 9}}, ""},
	{
		sample{"unreliable event", rules{"CONN-11"}, &clientv1alpha1.UnreliableEvent{Connection: 1, Event: "at", Args: []byte{0x81, 1}}},
		`{"type":"unreliableEvent","connection":1,"event":"at","args":[1]}`,
	},
	{
		sample{"reject", rules{"SESS-2"}, &clientv1alpha1.Reject{Error: notFound}},
		`{"type":"reject","error":{"group":"actor","code":"not_found","message":"The actor does not exist.","retryable":false,"ran":"no"}}`,
	},
	{
		sample{"open", rules{"CONN-1"}, &clientv1alpha1.ConnectionOpen{
			Connection: 1, Target: room, Mode: commonv1alpha1.Mode_MODE_GET, Params: []byte{0xa0}, Subscriptions: []string{"tick"},
		}},
		`{"type":"connectionOpen","connection":1,"target":"room:a%3Ab:","mode":"get","params":{},"subscriptions":["tick"]}`,
	},
	{
		sample{"opened", rules{"CONN-1"}, &clientv1alpha1.ConnectionOpened{Connection: 1, ActorId: "a-1", ConnectionId: "c-1"}},
		`{"type":"connectionOpened","connection":1,"actorId":"a-1","connectionId":"c-1"}`,
	},
	{
		sample{"close", rules{"CONN-4"}, &clientv1alpha1.ConnectionClose{Connection: 1, Reason: "bye"}},
		`{"type":"connectionClose","connection":1,"reason":"bye"}`,
	},
	{
		sample{"closed", rules{"CONN-2"}, &clientv1alpha1.ConnectionClosed{
			Connection: 1, Error: notFound, Reconnect: commonv1alpha1.Reconnect_RECONNECT_NEVER,
		}},
		`{"type":"connectionClosed","connection":1,"error":{"group":"actor","code":"not_found","message":"The actor does not exist.",` +
			`"retryable":false,"ran":"no"},"reconnect":"never"}`,
	},
	{
		sample{"subscribe", rules{"CONN-5"}, &clientv1alpha1.Subscribe{Id: 2, Connection: 1, Events: []string{"a", "b"}}},
		`{"type":"subscribe","id":2,"connection":1,"events":["a","b"]}`,
	},
	{
		sample{"unsubscribe", rules{"CONN-5"}, &clientv1alpha1.Unsubscribe{Id: 3, Connection: 1, Events: []string{"a"}}},
		`{"type":"unsubscribe","id":3,"connection":1,"events":["a"]}`,
	},
	{
		sample{"subscription result", rules{"CONN-5"}, &clientv1alpha1.SubscriptionResult{Id: 2, Connection: 1}},
		`{"type":"subscriptionResult","id":2,"connection":1}`,
	},
	// In JSON a kind is a text; see client-json.json, `unknown`.
	{sample{"unsupported", rules{"FRAME-4"}, &commonv1alpha1.Unsupported{Kind: 107, Number: 7}}, ""},
	{
		sample{"protocol error", rules{"FRAME-3"}, &clientv1alpha1.ProtocolError{Error: notFound}},
		`{"type":"protocolError","error":{"group":"actor","code":"not_found","message":"The actor does not exist.","retryable":false,"ran":"no"}}`,
	},
	{sample{"ping", rules{"SESS-5"}, &commonv1alpha1.Ping{Nonce: 1}}, `{"type":"ping","nonce":1}`},
	{
		sample{"pong", rules{"SESS-5"}, &clientv1alpha1.Pong{Nonce: 1, NowMs: 1700000000000}},
		`{"type":"pong","nonce":1,"nowMs":1700000000000}`,
	},
	{
		sample{"goodbye", rules{"FRAME-6"}, &commonv1alpha1.Goodbye{
			Code: "gateway.draining", Message: "Come back.", RetryAfterMs: 100, Reconnect: commonv1alpha1.Reconnect_RECONNECT_SAME,
		}},
		`{"type":"goodbye","code":"gateway.draining","message":"Come back.","retryAfterMs":100,"reconnect":"same"}`,
	},
}
