package session

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/jsoncbor"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	"github.com/stagedoor-dev/stagedoor/internal/wire/clientjson"
)

// SSE is the form of sessions over server-sent events [HTTP-10]. An actor's event is text, encoded once for all; the few
// other messages that such a client hears of are in the binary form, for an SSEStream to put in words.
type SSE struct{}

// sseOwn begins the names of the gateway's own events.
const sseOwn = "stagedoor:"

// ValidSSEName tells whether an event of that name can be told from what stands around it, and from the gateway's own.
func ValidSSEName(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsAny(name, "\r\n") && !strings.HasPrefix(name, sseOwn)
}

// AppendEvent implements fanout.Form. An event whose name or arguments cannot be carried is left out. What follows the text
// is the receiver's own.
func (SSE) AppendEvent(dst []byte, _ uint64, e *fanout.Event) []byte {
	if !ValidSSEName(string(e.Name)) {
		return dst
	}
	text := append(append(append(dst, "event: "...), e.Name...), "\ndata: "...)
	if len(e.Args) == 0 {
		return append(text, "[]\n"...)
	}
	text, err := jsoncbor.AppendJSON(text, e.Args)
	if err != nil {
		return dst
	}
	return append(text, '\n')
}

func (SSE) appendLoose(dst []byte, connection uint64, e *fanout.Event) []byte {
	return SSE{}.AppendEvent(dst, connection, e)
}

func (SSE) append(dst []byte, m any) []byte {
	switch m.(type) {
	case *clientv1alpha1.Welcome, *clientv1alpha1.Reject, *clientv1alpha1.ConnectionOpened, *clientv1alpha1.ConnectionClosed, *commonv1alpha1.Goodbye:
		return Proto{}.append(dst, m)
	}
	return dst // it answers what such a client cannot say
}

// decode implements Form: nothing comes.
func (SSE) decode(*Attachment, []byte) bool { return false }

// The id of an event is the session's token and, behind a dot, how many frames of the connection the client then has, or
// sseEnd; or sseNever alone.
const (
	sseEnd   = "end"   // the connection is over, and may be opened anew
	sseNever = "never" // nor may it
)

// SSEOver tells of the id of an event whether its client is not to come back.
func SSEOver(id string) bool { return id == sseNever }

// SSEStream puts the messages of a session in the form SSE in words, for one response. It is plain state.
type SSEStream struct {
	// Refusal is why there was no connection, once there is none; nil: the response has begun, or will.
	Refusal *wire.Error

	token  string
	frames uint64 // of the connection's channel
	begun  bool
	opened clientv1alpha1.ConnectionOpened
}

// Begun tells whether there is text, and so an id to come back with.
func (t *SSEStream) Begun() bool { return t.begun }

// Append appends the text of a message. last: nothing follows.
func (t *SSEStream) Append(dst, message []byte) (text []byte, last bool) {
	if message[0] == 'e' { // an event: no frame has a length that begins so
		t.frames++
		return t.end(append(dst, message...)), false
	}
	switch m := own(message).(type) {
	case *clientv1alpha1.Welcome:
		t.token = string(m.GetResumeToken())
		if m.GetResumed() {
			return t.open(dst, true), false
		}
		t.frames = 0
	case *clientv1alpha1.ConnectionOpened:
		t.frames++
		t.opened.ActorId, t.opened.ConnectionId = m.GetActorId(), m.GetConnectionId()
		return t.open(dst, false), false
	case *clientv1alpha1.ConnectionClosed:
		return t.close(dst, wire.ErrorFromProto(m.GetError()), m.GetReconnect(), t.token+"."+sseEnd), true
	}
	return dst, false
}

// Farewell is the text of what the session says last.
func (t *SSEStream) Farewell(farewell []byte, e *wire.Error) []byte {
	reconnect := commonv1alpha1.Reconnect_RECONNECT_ANY
	if m, ok := own(farewell).(*commonv1alpha1.Goodbye); ok {
		reconnect = m.GetReconnect()
	}
	return t.close(nil, e, reconnect, "")
}

// own is a message of the gateway's own.
func own(message []byte) any {
	raw, _, err := wire.NextFrame(message, len(message))
	if err != nil {
		return nil
	}
	f, err := wire.ParseFrame(raw)
	if err != nil {
		return nil
	}
	m, err := wire.DecodeClient(f)
	if err != nil {
		return nil
	}
	return m
}

func (t *SSEStream) open(dst []byte, resumed bool) []byte {
	t.begun = true
	dst = strconv.AppendBool(append(dst, "event: "+sseOwn+"opened\ndata: {\"resumed\":"...), resumed)
	return t.end(append(append(append(dst, ','), members(&t.opened)...), '\n'))
}

// close ends the response. Without an id the client keeps the one before.
func (t *SSEStream) close(dst []byte, e *wire.Error, reconnect commonv1alpha1.Reconnect, id string) []byte {
	if !t.begun {
		t.Refusal = e
		return dst
	}
	if reconnect == commonv1alpha1.Reconnect_RECONNECT_NEVER {
		id = sseNever
	}
	closed := &clientv1alpha1.ConnectionClosed{Error: e.Proto(), Reconnect: reconnect}
	data := members(closed)
	if data == nil && closed.Error != nil { // its metadata are the actor's, and JSON may not carry them
		closed.Error.Metadata = nil
		data = members(closed)
	}
	dst = append(append(append(dst, "event: "+sseOwn+"closed\ndata: {"...), data...), '\n')
	if id != "" {
		dst = append(append(append(dst, "id: "...), id...), '\n')
	}
	return append(dst, '\n')
}

// members are those of a message in the JSON form, but for its type, and the brace behind them; nil: JSON cannot carry it.
func members(m proto.Message) []byte {
	text, err := clientjson.Append(nil, m)
	if err != nil {
		return nil
	}
	_, rest, _ := bytes.Cut(text, []byte{','}) // the type comes first
	return rest
}

// end appends the id that an event has, and its end.
func (t *SSEStream) end(dst []byte) []byte {
	dst = append(append(append(dst, "id: "...), t.token...), '.')
	return append(strconv.AppendUint(dst, t.frames, 10), '\n', '\n')
}

// PingEvery is the silence behind which a client is sent a sign of life [SESS-5].
func (all *Sessions) PingEvery() time.Duration { return all.cfg.PingEvery }

// Follow is what the client of an SSEStream says: with the id of an event it goes on behind that if that can be, else it
// opens connection 1 of a session of its own [HTTP-10]. false ends the socket.
func (a *Attachment) Follow(t *SSEStream, open *clientv1alpha1.ConnectionOpen, id string) bool {
	defer a.read()
	hello := &clientv1alpha1.Hello{Features: []string{wire.FeatureClientResume}, Resume: a.resumption(t, open, id)}
	if !a.hello(hello) {
		return false
	}
	if a.graced { // it goes on
		return true
	}
	open.Connection = 1
	a.session.Load().connect(open, 0)
	return true
}

// resumption is how the client goes on behind an event of connection 1; nil: it cannot. Where the session is its own, and it
// asks for something else, or has the end, that is over.
func (a *Attachment) resumption(t *SSEStream, open *clientv1alpha1.ConnectionOpen, id string) *clientv1alpha1.Resume {
	dot := strings.LastIndexByte(id, '.')
	if dot < 0 {
		return nil
	}
	token := id[:dot]
	s := a.sessions.find(token)
	if s == nil || s.form != a.form {
		return nil
	}
	if p, refusal := a.sessions.cfg.Auth.Authenticate(a.token, auth.Client); refusal != nil || p != s.principal {
		return nil
	}
	frames, err := strconv.ParseUint(id[dot+1:], 10, 64)
	if err != nil || !s.goesOnBehind(t, open, frames) {
		s.close(wire.SessionSuperseded.New(), commonv1alpha1.Reconnect_RECONNECT_NEVER)
		return nil
	}
	t.frames = frames
	return &clientv1alpha1.Resume{Token: []byte(token), Received: []*clientv1alpha1.Received{{}, {Connection: 1, Frames: frames}}}
}

// goesOnBehind tells whether the session has what follows so many frames of connection 1, and whether that is what is asked
// for; if so, it says which connection it is.
func (s *Session) goesOnBehind(t *SSEStream, open *clientv1alpha1.ConnectionOpen, frames uint64) bool {
	s.mu.Lock()
	ch := s.channels[1]
	kept := ch != nil && !ch.lost && frames >= max(1, ch.acked) && frames+1 >= ch.first() && frames <= ch.sent && (!ch.ended || frames < ch.sent)
	s.mu.Unlock()
	if !kept || !s.asks(open, ch) {
		return false
	}
	t.opened.ActorId, t.opened.ConnectionId = ch.conn.ActorID(), ch.conn.ID
	return true
}

// asks tells whether an open is that which began the connection, but for what is the actor's to read.
func (s *Session) asks(open *clientv1alpha1.ConnectionOpen, ch *channel) bool {
	of, a := &ch.conn.Request, open.GetTarget()
	return of.ID == open.GetTargetId() && of.Address.Namespace == a.GetNamespace() && of.Address.Type == a.GetType() &&
		slices.Equal(of.Address.Key, a.GetKey()) && slices.Equal(ch.conn.Subscriptions, open.GetSubscriptions())
}
