package session

import (
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// [HTTP-10] [JSON-2]
func TestWhichEventsAreText(t *testing.T) {
	for _, tt := range []struct{ name, args, want string }{
		{"tick", "\x81\x01", "event: tick\ndata: [1]\n"},
		{"tick", "", "event: tick\ndata: []\n"},
		{" a: b ", "\x80", "event:  a: b \ndata: []\n"},
		{"lines", "\x81\x63a\r\n", "event: lines\ndata: [\"a\\r\\n\"]\n"},
		{"stage", "\x80", "event: stage\ndata: []\n"},
		{"stagedoor:opened", "\x80", ""},
		{"a\nb", "\x80", ""},
		{"a\r", "\x80", ""},
		{"\xff", "\x80", ""},
		{"tagged", "\x81\xd8\x2a\x00", ""}, // what JSON cannot carry
	} {
		e := &fanout.Event{Name: []byte(tt.name), Args: []byte(tt.args)}
		if got := string(SSE{}.AppendEvent(nil, 1, e)); got != tt.want {
			t.Errorf("%q of %x: %q, want %q", tt.name, tt.args, got, tt.want)
		}
		if first, second := e.Frame(SSE{}, 1), e.Frame(SSE{}, 1); first != second {
			t.Errorf("%q is encoded for each receiver", tt.name)
		}
	}
}

// told is what a stream makes of messages, and whether it ended behind the last.
func told(t *SSEStream, messages ...any) (text string, last bool) {
	for _, m := range messages {
		b := []byte("event: tick\ndata: [1]\n")
		if _, event := m.(*fanout.Event); !event {
			if b = (SSE{}).append(nil, m); len(b) == 0 {
				continue
			}
		}
		var more []byte
		more, last = t.Append(nil, b)
		text += string(more)
	}
	return text, last
}

var (
	sseWelcome = &clientv1alpha1.Welcome{ResumeToken: []byte("local-1.TOKEN")}
	sseOpened  = &clientv1alpha1.ConnectionOpened{Connection: 1, ActorId: "A", ConnectionId: "C"}
	sseTick    = &fanout.Event{}
)

// [HTTP-10]
func TestTheTextOfAStream(t *testing.T) {
	const opened = "event: stagedoor:opened\ndata: {\"resumed\":false,\"actorId\":\"A\",\"connectionId\":\"C\"}\nid: local-1.TOKEN.1\n\n"
	user := &wire.Error{Group: wire.UserGroup, Code: "x", Message: "m", Ran: wire.RanYes}
	odd := *user
	odd.Metadata = []byte{0xd8, 0x2a, 0} // JSON cannot carry it
	const failed = `{"error":{"group":"user","code":"x","message":"m","retryable":false,"ran":"yes"},"reconnect":`
	for _, tt := range []struct {
		name     string
		messages []any
		want     string
		last     bool
	}{
		{"before an answer", []any{sseWelcome}, "", false},
		{"what is not for it", []any{sseWelcome, &clientv1alpha1.Ack{}, &commonv1alpha1.Ping{}, &clientv1alpha1.ProtocolError{}}, "", false},
		{"events", []any{sseWelcome, sseOpened, sseTick, sseTick}, opened + "event: tick\ndata: [1]\nid: local-1.TOKEN.2\n\nevent: tick\ndata: [1]\nid: local-1.TOKEN.3\n\n", false},
		{
			"a close to come back from",
			[]any{sseWelcome, sseOpened, &clientv1alpha1.ConnectionClosed{Error: user.Proto(), Reconnect: commonv1alpha1.Reconnect_RECONNECT_SAME}},
			opened + "event: stagedoor:closed\ndata: " + failed + "\"same\"}\nid: local-1.TOKEN.end\n\n", true,
		},
		{
			"a close for good, and of metadata",
			[]any{sseWelcome, sseOpened, &clientv1alpha1.ConnectionClosed{Error: odd.Proto(), Reconnect: commonv1alpha1.Reconnect_RECONNECT_NEVER}},
			opened + "event: stagedoor:closed\ndata: " + failed + "\"never\"}\nid: never\n\n", true,
		},
		{"a refusal", []any{sseWelcome, &clientv1alpha1.ConnectionClosed{Error: user.Proto()}}, "", true},
	} {
		s := &SSEStream{}
		if got, last := told(s, tt.messages...); got != tt.want || last != tt.last {
			t.Errorf("%s: %q, %t; want %q", tt.name, got, last, tt.want)
		}
		if refused := tt.name == "a refusal"; (s.Refusal != nil) != refused || s.Begun() == refused && tt.want != "" {
			t.Errorf("%s: refused for %v", tt.name, s.Refusal)
		}
	}
}

// [HTTP-10] [SESS-18]: the farewell of a session has an id of its own only if there is nothing to come back for.
func TestTheFarewellOfAStream(t *testing.T) {
	for reconnect, want := range map[commonv1alpha1.Reconnect]string{
		commonv1alpha1.Reconnect_RECONNECT_SAME: "\"same\"}\n\n", commonv1alpha1.Reconnect_RECONNECT_ANY: "\"any\"}\n\n",
		commonv1alpha1.Reconnect_RECONNECT_NEVER: "\"never\"}\nid: never\n\n",
	} {
		s, e := &SSEStream{}, wire.SessionSlowReader.New()
		told(s, sseWelcome, sseOpened, sseTick)
		got := string(s.Farewell(goodbye(SSE{}, e, reconnect), e))
		if !strings.HasPrefix(got, "event: stagedoor:closed\ndata: {\"error\":{\"group\":\"session\",\"code\":\"slow_reader\"") || !strings.HasSuffix(got, want) {
			t.Errorf("%v: %q", reconnect, got)
		}
	}
	s, e := &SSEStream{}, wire.SessionTooMany.New()
	if got := s.Farewell((SSE{}).append(nil, &clientv1alpha1.Reject{Error: e.Proto()}), e); len(got) != 0 || s.Refusal != e {
		t.Errorf("a Reject: %q, %v", got, s.Refusal)
	}
}

func BenchmarkSSEEvent(b *testing.B) {
	s, buf := &SSEStream{}, make([]byte, 0, 1<<10)
	told(s, sseWelcome, sseOpened)
	event := SSE{}.AppendEvent(nil, 1, &fanout.Event{Name: []byte("tick"), Args: []byte("\x81\x01")})
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = s.Append(buf[:0], event)
	}
}
