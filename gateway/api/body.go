package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/internal/jsoncbor"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Media types [HTTP-3].
const (
	mediaJSON = "application/json"
	mediaCBOR = "application/cbor"
	// mediaForm is what curl -d says of any body.
	mediaForm = "application/x-www-form-urlencoded"
)

// body is what a request may carry, as CBOR.
type body struct {
	Args  cbor.RawMessage `cbor:"args"`
	Input cbor.RawMessage `cbor:"input"`
}

var noArgs = cbor.RawMessage{0x80} // the empty array

// readBody reads the body of an action or a creation. No body is an empty one.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) (body, *wire.Error) {
	b := body{Args: noArgs}
	raw, err := h.readAll(w, r)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		h.cfg.Session.Stats.Limit(stats.MaxFrame)
		return b, wire.RequestTooLarge.Newf("The body has more than %d bytes.", h.limits.MaxFrame)
	}
	if errors.Is(err, errMemory) {
		return b, wire.GatewayOverloaded.New()
	}
	if err != nil {
		return b, wire.RequestInvalid.Newf("The body could not be read.")
	}
	if len(raw) == 0 {
		return b, nil
	}
	media, e := contentType(r)
	if e != nil {
		return b, e
	}
	if media == mediaJSON {
		if raw, err = jsoncbor.FromJSON(raw); err != nil {
			return b, wire.RequestInvalidJSON.Newf("%v.", err)
		}
	}
	if err := payload.Unmarshal(raw, &b); err != nil {
		return b, wire.RequestInvalidPayload.Newf("The body is not a map with args and input: %v.", err)
	}
	return b, h.checkBody(&b)
}

// bodyDeadline gives the body of a request the time of a message. A body that nobody reads is read by the server, behind the
// answer.
func (h *Handler) bodyDeadline(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		// Not every server has deadlines; where there are none, reading ends with the client.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.sessions.MessageWait()))
	}
}

// readAll reads a body within the memory budget. After it the request may take its time.
func (h *Handler) readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	if most := int64(h.limits.MaxFrame); r.ContentLength > most {
		return nil, &http.MaxBytesError{Limit: most}
	}
	m := metered{from: http.MaxBytesReader(nil, r.Body, int64(h.limits.MaxFrame)), budget: h.cfg.Session.Budget}
	raw, err := io.ReadAll(&m)
	m.budget.Add(-m.read)
	if err == nil {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	return raw, err
}

// metered counts what was read until the reading is over.
type metered struct {
	from   io.Reader
	budget *budget.Budget
	read   int
}

// Read implements io.Reader.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	m.read += n
	m.budget.Add(n)
	if err == nil && m.budget.Level() == budget.Full {
		err = errMemory
	}
	return n, err
}

func (h *Handler) checkBody(b *body) *wire.Error {
	const arrayMajor = 4
	switch {
	case len(b.Args) == 0 || b.Args[0]>>5 != arrayMajor:
		return wire.RequestInvalid.Newf(`The arguments must be an array: {"args":[…]}.`)
	case len(b.Args) > h.limits.MaxArgs:
		h.cfg.Session.Stats.Limit(stats.MaxArgs)
		return wire.RequestTooLarge.Newf("The arguments have %d bytes, at most %d are allowed.", len(b.Args), h.limits.MaxArgs)
	case len(b.Input) > h.limits.MaxInput:
		h.cfg.Session.Stats.Limit(stats.MaxInput)
		return wire.RequestTooLarge.Newf("The input has %d bytes, at most %d are allowed.", len(b.Input), h.limits.MaxInput)
	}
	return nil
}

// contentType is how a body is to be read. What a browser would send across origins without asking must not pass for
// JSON, so the lenient cases hold only without Origin [HTTP-3].
func contentType(r *http.Request) (string, *wire.Error) {
	header := r.Header.Get("Content-Type")
	media, _, _ := mime.ParseMediaType(header)
	switch {
	case media == mediaJSON, media == mediaCBOR:
		return media, nil
	case (header == "" || media == mediaForm) && r.Header.Get("Origin") == "":
		return mediaJSON, nil
	}
	return "", wire.RequestUnsupportedMediaType.Newf("The content type %q is not supported: send application/json or application/cbor.", header)
}

// wantsCBOR tells whether the answer is to be CBOR: by Accept, else in kind [HTTP-3].
func wantsCBOR(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	switch {
	case strings.Contains(accept, mediaCBOR):
		return true
	case strings.Contains(accept, mediaJSON):
		return false
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return media == mediaCBOR
}

// answerCall writes the result of an action [HTTP-1].
func (h *Handler) answerCall(w http.ResponseWriter, r *http.Request, result route.Result) {
	if result.Error != nil {
		h.fail(w, r, result.Error)
		return
	}
	output := result.Output
	if !result.HasOutput {
		output = []byte{0xf6} // null
	}
	if wantsCBOR(r) {
		// {"output": …}
		out := append([]byte{0xa1, 0x66, 'o', 'u', 't', 'p', 'u', 't'}, output...)
		h.write(w, http.StatusOK, mediaCBOR, out)
		return
	}
	out, err := jsoncbor.AppendJSON([]byte(`{"output":`), output)
	if err != nil {
		h.fail(w, r, wire.RequestInvalidPayload.Newf("The result cannot be carried in JSON: %v.", err).With(wire.RanYes))
		return
	}
	h.write(w, http.StatusOK, mediaJSON, append(out, '}', '\n'))
}

// errorBody is an error as HTTP carries it [HTTP-4].
type errorBody struct {
	Group     string          `json:"group" cbor:"group"`
	Code      string          `json:"code" cbor:"code"`
	Message   string          `json:"message" cbor:"message"`
	Metadata  cbor.RawMessage `json:"-" cbor:"metadata,omitempty"`
	JSON      json.RawMessage `json:"metadata,omitempty" cbor:"-"`
	Retryable bool            `json:"retryable" cbor:"retryable"`
	Ran       string          `json:"ran" cbor:"ran"`
}

// fail answers with an error, with the status of the registry.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, e *wire.Error) {
	if e.RetryAfterMs > 0 {
		w.Header().Set("Retry-After", strconv.FormatUint(uint64(e.RetryAfterMs+999)/1000, 10))
	}
	b := errorBody{Group: e.Group, Code: e.Code, Message: e.Message, Retryable: e.Retryable, Ran: e.Ran.String()}
	if payload.WellFormed(e.Metadata) == nil {
		b.Metadata = e.Metadata
	}
	if b.Metadata != nil {
		if text, err := jsoncbor.AppendJSON(nil, b.Metadata); err == nil {
			b.JSON = text
		}
	}
	h.reply(w, r, e.HTTPStatus(), map[string]any{"error": b})
}

// reply writes a value as JSON or CBOR.
func (h *Handler) reply(w http.ResponseWriter, r *http.Request, status int, v any) {
	encode, media := jsonLine, mediaJSON
	if wantsCBOR(r) {
		encode, media = payload.Marshal, mediaCBOR
	}
	out, err := encode(v)
	if err != nil {
		h.cfg.Session.Logger.Error("encode an answer", "path", r.URL.Path, "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h.write(w, status, media, out)
}

// jsonLine is v as JSON with a line end. Nothing is escaped for HTML: curl users read it.
func jsonLine(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return out.Bytes(), err
}

func (h *Handler) write(w http.ResponseWriter, status int, media string, out []byte) {
	h.answerDeadline(w)
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(out) // a caller that has gone needs no answer
}

// answerDeadline gives a client the time of two messages to take its answer, for over HTTP/1.1 the rest of a body is waited for
// before it is written. Over HTTP/2 and HTTP/3 a client may leave the window shut.
func (h *Handler) answerDeadline(w http.ResponseWriter) {
	until := time.Now().Add(2 * h.sessions.MessageWait())
	_ = http.NewResponseController(w).SetWriteDeadline(until) // not every server has deadlines
}
