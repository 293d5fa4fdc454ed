package planeg

import (
	"encoding/json"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

func TestFramesAreWrittenAsTheSpecHasThemInJSON(t *testing.T) {
	for want, f := range map[string]*clientv1alpha1.Frame{
		`{"type":"hello","token":"t","features":["resume"],"resume":{"token":"tok","received":[{"connection":2,"frames":3}]}}`: {Kind: &clientv1alpha1.Frame_Hello{Hello: &clientv1alpha1.Hello{
			Token: "t", Features: []string{"resume"}, Resume: &clientv1alpha1.Resume{Token: []byte("tok"), Received: []*clientv1alpha1.Received{{Connection: 2, Frames: 3}}},
		}}},
		`{"type":"call","id":1,"action":"x","args":[{"a":-1},null],"mode":"getOrCreate","idempotencyKey":"k","target":{"type":"c","key":["a"]}}`: {Kind: &clientv1alpha1.Frame_Call{Call: &clientv1alpha1.Call{
			Id: 1, Action: "x", Args: []byte("\x82\xa1\x61a\x20\xf6"), Mode: commonv1alpha1.Mode_MODE_GET_OR_CREATE, IdempotencyKey: []byte("k"),
			Target: &commonv1alpha1.Address{Type: "c", Key: []string{"a"}},
		}}},
		`{"type":"connectionClosed","connection":7,"reconnect":"never","error":{"group":"user","code":"no","metadata":42,"ran":"maybe","retryAfterMs":5}}`: {Kind: &clientv1alpha1.Frame_ConnectionClosed{ConnectionClosed: &clientv1alpha1.ConnectionClosed{
			Connection: 7, Reconnect: commonv1alpha1.Reconnect_RECONNECT_NEVER,
			Error: &commonv1alpha1.Error{Group: "user", Code: "no", Metadata: []byte("\x18\x2a"), Ran: commonv1alpha1.Ran_RAN_MAYBE, RetryAfterMs: 5},
		}}},
		`{"type":"pong","nonce":9007199254740991,"nowMs":1}`: {Kind: &clientv1alpha1.Frame_Pong{Pong: &clientv1alpha1.Pong{Nonce: 1<<53 - 1, NowMs: 1}}},
	} {
		body, err := proto.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		text, err := textOfFrame(body)
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		var got, expected any
		_, _ = json.Unmarshal(text, &got), json.Unmarshal([]byte(want), &expected)
		if !reflect.DeepEqual(got, expected) {
			t.Errorf("got  %s\nwant %s", text, want)
		}
		back, err := frameOfText([]byte(want))
		again := &clientv1alpha1.Frame{}
		if err != nil || proto.Unmarshal(back, again) != nil || !proto.Equal(again, f) {
			t.Errorf("%s is read as %v, %v", want, again, err)
		}
	}
}

func TestOtherMessagesAreNoFrames(t *testing.T) {
	for _, message := range []string{`[]`, `{"type":"dance"}`, `{"type":"event","connection":"one"}`, `{"type":"event","args":[1.5]}`, `{"type":"connectionClosed","reconnect":"perhaps"}`, `{"type":"ack","received":5}`} {
		if _, err := frameOfText([]byte(message)); err == nil {
			t.Errorf("%s is read", message)
		}
	}
	body, err := frameOfText([]byte(`{"type":"unsupported","kind":"dance","number":4,"more":true}`))
	m, bad := messageIn(&clientv1alpha1.Frame{}, body)
	if u, is := m.(*commonv1alpha1.Unsupported); err != nil || bad != nil || !is || u.Kind != 0 || u.Number != 4 {
		t.Errorf("unsupported is read as %v, %v", m, err)
	}
	for _, payload := range []string{"\xff", "\xf9\x3c\x00", "\xa1\x01\x02"} {
		if v, err := jsonOfCBOR([]byte(payload)); err == nil {
			t.Errorf("%x is %v", payload, v)
		}
	}
}
