package main

import (
	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

type jsonMessage struct {
	Name  string   `json:"name"`
	Rules rules    `json:"rules"`
	JSON  string   `json:"json"`
	Write *bool    `json:"write,omitempty"`
	Hex   hexBytes `json:"hex"`
}

type refusedMessage struct {
	Name  string `json:"name"`
	Rules rules  `json:"rules"`
	JSON  string `json:"json"`
	Code  string `json:"code"`
	Type  string `json:"type,omitempty"`
	ID    uint64 `json:"id,omitempty"`
}

type unknownMessage struct {
	Name   string `json:"name"`
	Rules  rules  `json:"rules"`
	JSON   string `json:"json"`
	Answer string `json:"answer"`
}

func clientJSONVectors() (any, error) {
	var messages []jsonMessage
	add := func(s clientSample, write *bool) error {
		frames, err := frameVectors(newClientFrame, []sample{s.sample})
		if err != nil {
			return err
		}
		messages = append(messages, jsonMessage{s.name, append(rules{"SESS-10"}, s.rules...), s.json, write, frames[0].Hex})
		return nil
	}
	for _, s := range clientSamples {
		if s.json == "" {
			continue
		}
		if err := add(s, nil); err != nil {
			return nil, err
		}
	}
	for _, s := range readOnlySamples() {
		if err := add(s, no); err != nil {
			return nil, err
		}
	}
	unknown := []unknownMessage{
		{"unknown type", rules{"FRAME-4"}, `{"type":"dance","id":7}`, `{"type":"unsupported","kind":"dance","number":7}`},
		{"unknown type with a connection", rules{"FRAME-4"}, `{"type":"dance","connection":8}`, `{"type":"unsupported","kind":"dance","number":8}`},
		{"unknown type without number", rules{"FRAME-4"}, `{"type":"dance"}`, `{"type":"unsupported","kind":"dance"}`},
	}
	return map[string]any{"messages": messages, "refused": refusedMessages(), "unknown": unknown}, nil
}

// readOnlySamples are spellings that no writer of ours makes.
func readOnlySamples() []clientSample {
	of := func(name string, rule string, m proto.Message, json string) clientSample {
		return clientSample{sample{name, rules{rule}, m}, json}
	}
	return []clientSample{
		of("fields in any order, with spaces", "SESS-10", &clientv1alpha1.CancelCall{Id: 1}, ` { "id" : 1 , "type" : "cancelCall" } `),
		of("unknown fields are ignored", "SESS-10", &clientv1alpha1.CancelCall{Id: 1}, `{"type":"cancelCall","id":1,"args":["$Foo",1],"x":{}}`),
		of("an address as an object", "SESS-10", &clientv1alpha1.Call{Id: 1, Action: "inc", Target: room},
			`{"type":"call","id":1,"action":"inc","target":{"type":"room","key":["a:b",""]}}`),
		of("an unknown mode is unspecified", "FRAME-4", &clientv1alpha1.Call{Id: 1, Action: "inc", Target: &commonv1alpha1.Address{Type: "room"}},
			`{"type":"call","id":1,"action":"inc","target":"room","mode":"upsert"}`),
		of("a malformed traceparent is ignored", "SESS-10", &clientv1alpha1.Call{Id: 1, Connection: 1, Action: "inc"},
			`{"type":"call","id":1,"connection":1,"action":"inc","traceparent":"00-0"}`),
		of("two arguments of which the first begins with a dollar", "JSON-3",
			&clientv1alpha1.Call{Id: 1, Connection: 1, Action: "set", Args: []byte{0x82, 0x62, '$', 'a', 1}},
			`{"type":"call","id":1,"connection":1,"action":"set","args":["$$a",1]}`),
	}
}

func refusedMessages() []refusedMessage {
	const noJSON, invalid = "request.invalid_json", "request.invalid"
	return []refusedMessage{
		{"no JSON", rules{"SESS-9"}, `hello`, noJSON, "", 0},
		{"no object", rules{"SESS-9"}, `[{"type":"ping"}]`, noJSON, "", 0},
		{"two objects", rules{"SESS-1", "SESS-9"}, `{"type":"ping"}{"type":"ping"}`, noJSON, "ping", 0},
		{"no type", rules{"SESS-9"}, `{"id":1}`, noJSON, "", 1},
		{"a field twice", rules{"JSON-1", "SESS-9"}, `{"type":"call","id":1,"id":2}`, noJSON, "call", 1},
		{"arguments that cannot be carried", rules{"JSON-3", "SESS-9"}, `{"type":"call","args":[["$Foo",1]],"id":1}`, noJSON, "call", 1},
		{"arguments of no array", rules{"PAY-1", "SESS-9"}, `{"type":"call","id":1,"args":{}}`, invalid, "call", 1},
		{"id of text", rules{"SESS-9"}, `{"type":"call","id":"1"}`, invalid, "call", 0},
		{"id with a fraction", rules{"SESS-9"}, `{"type":"call","id":1.0}`, invalid, "call", 0},
		{"null where a text belongs", rules{"SESS-9"}, `{"type":"call","id":1,"action":null}`, invalid, "call", 1},
		{"events of text", rules{"SESS-9"}, `{"type":"subscribe","id":1,"events":"a"}`, invalid, "subscribe", 1},
		{"target that is not percent-encoded", rules{"ADDR-3", "SESS-9"}, `{"type":"call","id":1,"target":"room:%"}`, "request.invalid_address", "call", 1},
	}
}
