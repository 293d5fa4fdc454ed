package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/edge/bench/session"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// peer is the gateway's side of a session.
type peer struct {
	*testing.T
	*session.Session
	answers []string // "slot" or "slot: fault"
}

// message makes a WebSocket message of frames: wire messages, generated ones, or bytes.
func message(frames ...any) []byte {
	var b []byte
	for _, f := range frames {
		switch f := f.(type) {
		case wire.Message:
			b = wire.AppendMessage(b, f)
		case proto.Message:
			b = wire.AppendMessage(b, wire.Client(f))
		case []byte:
			b = append(b, f...)
		}
	}
	return b
}

// frames decodes what the session says, into text.
func (p *peer) frames(b []byte) (said []string) {
	p.Helper()
	for len(b) > 0 {
		raw, rest, err := wire.NextFrame(b, 1<<20)
		if err != nil {
			p.Fatal(err)
		}
		b = rest
		f, err := wire.ParseFrame(raw)
		if err != nil {
			p.Fatal(err)
		}
		m, err := wire.DecodeClient(f)
		if err != nil {
			p.Fatal(err)
		}
		switch m := m.(type) {
		case *wire.ClientCall:
			said = append(said, fmt.Sprintf("call %d on %d: %s %s", m.ID, m.Connection, m.Action, m.Args))
		case *clientv1alpha1.Ack:
			for _, r := range m.GetReceived() {
				said = append(said, fmt.Sprintf("ack %d of %d", r.GetFrames(), r.GetConnection()))
			}
		case *clientv1alpha1.Pong:
			said = append(said, fmt.Sprintf("pong %d", m.GetNonce()))
		case *clientv1alpha1.Hello:
			said = append(said, fmt.Sprint("hello ", m.GetFeatures()))
		case *clientv1alpha1.ConnectionOpen:
			said = append(said, fmt.Sprintf("open %d %s %s %v", m.GetConnection(), m.GetTarget().GetType(), m.GetTarget().GetKey(), m.GetMode()))
		default:
			said = append(said, fmt.Sprintf("%T", m))
		}
	}
	return said
}

// send gives the session a message, and returns what it says to it.
func (p *peer) send(frames ...any) ([]string, error) {
	p.Helper()
	reply, err := p.Take(message(frames...), func(slot uint64, err error) {
		text := fmt.Sprint(slot)
		if err != nil {
			text += ": " + err.Error()
		}
		p.answers = append(p.answers, text)
	})
	return p.frames(reply), err
}

// gets is send, which has to make it say this.
func (p *peer) gets(frames []any, want ...string) {
	p.Helper()
	said, err := p.send(frames...)
	if err != nil || !slices.Equal(said, want) {
		p.Errorf("it says %q (%v), not %q", said, err, want)
	}
}

func (p *peer) wantAnswers(want ...string) {
	p.Helper()
	if !slices.Equal(p.answers, want) {
		p.Errorf("it was answered %q, not %q", p.answers, want)
	}
	p.answers = nil
}

func resumable() *clientv1alpha1.Welcome {
	return &clientv1alpha1.Welcome{Features: []string{"resume"}, ResumeToken: []byte("token")}
}

func opened() *clientv1alpha1.ConnectionOpened {
	return &clientv1alpha1.ConnectionOpened{Connection: 1}
}

func result(slot int, output string) *wire.ClientCallResult {
	return &wire.ClientCallResult{ID: uint64(slot) + 1, Connection: 1, Output: []byte(output), HasOutput: true}
}

func begin(t *testing.T, output []byte) *peer {
	t.Helper()
	return &peer{T: t, Session: session.New(session.Options{
		Type: "bench", Key: []string{"a", "b"}, Action: "echo", Args: []byte("args"), Output: output,
	})}
}

// open is a session that is open.
func open(t *testing.T, output []byte) *peer {
	t.Helper()
	p := begin(t, output)
	p.Open()
	p.gets([]any{resumable(), opened()}, "ack 0 of 0")
	p.wantAnswers("0")
	return p
}

// Hello and the open go in one message; a token is acknowledged at once; the actor's consent is the answer. [SESS-2]
// [SESS-13] [SESS-14].
func TestASessionOpens(t *testing.T) {
	p := begin(t, nil)
	if said := p.frames(append(p.Hello(), p.Open()...)); !slices.Equal(said, []string{"hello [resume]", "open 1 bench [a b] MODE_GET_OR_CREATE"}) {
		t.Errorf("it says %q", said)
	}
	p.gets([]any{resumable()}, "ack 0 of 0")
	p.wantAnswers()
	p.gets([]any{opened()})
	p.wantAnswers("0")
}

func TestCallsAreAnsweredInAnyOrder(t *testing.T) {
	p := open(t, []byte("out"))
	said := p.frames(p.Call(p.Call(nil, 0), 7))
	if !slices.Equal(said, []string{"call 1 on 1: echo args", "call 8 on 1: echo args"}) {
		t.Errorf("it says %q", said)
	}
	p.gets([]any{result(7, "out"), result(0, "out")})
	p.wantAnswers("7", "0")
	if p.Asked != 2 || p.Answered != 2 {
		t.Errorf("asked %d, answered %d", p.Asked, p.Answered)
	}
}

func TestCallsThatFail(t *testing.T) {
	p := open(t, []byte("out"))
	p.gets([]any{
		&wire.ClientCallResult{ID: 1, Connection: 1, Error: wire.ActorOverloaded.New()},
		&wire.ClientCallResult{ID: 2, Connection: 1},
		result(2, "other"),
	})
	if len(p.answers) != 3 || !strings.HasPrefix(p.answers[0], "0: actor.overloaded") ||
		!strings.HasPrefix(p.answers[1], "1: ") || !strings.HasPrefix(p.answers[2], "2: ") || p.Answered != 0 {
		t.Errorf("it was answered %q, %d of them well", p.answers, p.Answered)
	}
}

func TestAnyOutputCanBeWellEnough(t *testing.T) {
	p := open(t, nil)
	p.gets([]any{result(0, "one"), result(1, "")})
	p.wantAnswers("0", "1")
}

// ConnectionOpened is the first counted frame. [SESS-12] [SESS-14].
func TestFramesAreAcknowledged(t *testing.T) {
	p := open(t, nil)
	for range 62 {
		p.gets([]any{result(0, "out")})
	}
	p.gets([]any{&commonv1alpha1.Ping{}, &clientv1alpha1.Ack{}}, "pong 0") // which do not count
	p.gets([]any{result(0, "out")}, "ack 64 of 1")
	many := make([]any, 129)
	for i := range many {
		many[i] = result(i, "out")
	}
	p.gets(many, "ack 128 of 1", "ack 192 of 1")
	p.gets([]any{result(0, strings.Repeat("x", 256<<10))}, "ack 194 of 1")
}

// [SESS-5].
func TestPingsAreAnswered(t *testing.T) {
	p := open(t, nil)
	p.gets([]any{&commonv1alpha1.Ping{Nonce: 7}, result(0, "out"), &commonv1alpha1.Ping{Nonce: 8}}, "pong 7", "pong 8")
}

func ack(channel, frames uint64) *clientv1alpha1.Ack {
	return &clientv1alpha1.Ack{Received: []*clientv1alpha1.Received{{Connection: channel, Frames: frames}}}
}

// [SESS-14].
func TestTheGatewayAcknowledges(t *testing.T) {
	p := open(t, nil)
	p.Call(nil, 0)
	p.gets([]any{ack(1, 2), ack(0, 0), ack(1, 1)})
	for _, wrong := range []*clientv1alpha1.Ack{ack(1, 3), ack(0, 1), ack(2, 0)} {
		if _, err := p.send(wrong); err == nil {
			t.Errorf("%v is believed", wrong)
		}
	}
}

func TestWhatIsNotExpectedEndsTheSocket(t *testing.T) {
	closed := &clientv1alpha1.ConnectionClosed{Connection: 1, Error: wire.ActorDestroyed.New().Proto()}
	for name, c := range map[string]struct {
		frame any
		want  string
	}{
		"half a frame":               {[]byte{0, 0, 0, 9, 1}, "incomplete"},
		"an empty frame":             {[]byte{0, 0, 0, 0}, "length 0"},
		"a frame that is too long":   {[]byte{0xff, 0, 0, 0}, "exceeds"},
		"a frame that names no kind": {[]byte{0, 0, 0, 2, 8, 1}, "malformed"},
		"a result that is none":      {[]byte{0, 0, 0, 3, 0x12, 1, 0xff}, "malformed"},
		"a welcome that is none":     {[]byte{0, 0, 0, 4, 0x8a, 1, 1, 0xff}, "malformed"},
		"an unknown kind":            {[]byte{0, 0, 0, 3, 0x92, 6, 0}, "kind 98"},
		"an event":                   {&wire.ClientEvent{Connection: 1, Event: []byte("tick")}, "kind 3"},
		"another's result":           {&wire.ClientCallResult{ID: 1, Connection: 2}, "kind 2"},
		"a second welcome":           {resumable(), "kind 17"},
		"a second opening":           {opened(), "kind 21"},
		"the end of the connection":  {closed, "actor.destroyed"},
		"a protocol error":           {&clientv1alpha1.ProtocolError{Error: wire.RequestInvalid.New().Proto()}, "request.invalid"},
		"a reject":                   {&clientv1alpha1.Reject{Error: wire.SessionTooMany.New().Proto()}, "session.too_many"},
		"a goodbye":                  {&commonv1alpha1.Goodbye{Code: "session.slow_reader"}, "session.slow_reader"},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, nil)
			if _, err := p.send(c.frame); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v does not say %q", err, c.want)
			}
			p.wantAnswers()
		})
	}
}

// The streams of WebTransport have no order among them [SESS-20].
func TestAnOpeningMayComeBeforeTheWelcome(t *testing.T) {
	p := begin(t, nil)
	p.Open()
	p.gets([]any{opened()})
	p.wantAnswers()
	p.gets([]any{resumable()}, "ack 0 of 0")
	p.wantAnswers("0")
}

// Nothing stands for the answer to the open but the answer to the open.
func TestWhatComesTooEarlyEndsTheSocket(t *testing.T) {
	for name, frames := range map[string][]any{
		"a result before the opening":       {resumable(), result(0, "out")},
		"another connection's opening":      {resumable(), &clientv1alpha1.ConnectionOpened{Connection: 2}},
		"a welcome without resume":          {&clientv1alpha1.Welcome{ResumeToken: []byte("token")}},
		"a welcome without token":           {&clientv1alpha1.Welcome{Features: []string{"resume"}}},
		"the end of the connection at once": {resumable(), &clientv1alpha1.ConnectionClosed{Connection: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			p := begin(t, nil)
			p.Open()
			if _, err := p.send(frames...); err == nil || errors.Is(err, wire.ErrMalformed) {
				t.Errorf("got %v", err)
			}
			p.wantAnswers()
		})
	}
}
