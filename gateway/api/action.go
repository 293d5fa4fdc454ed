package api

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/gateway/quota"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	"github.com/stagedoor-dev/stagedoor/internal/wire/clientjson"
)

// action serves POST /v1/actors/{address}/actions/{action} [HTTP-1].
func (h *Handler) action(w http.ResponseWriter, r *http.Request, target route.Request, escaped string) {
	principal, ok := h.authenticate(w, r, auth.Client)
	if !ok {
		return
	}
	q := h.cfg.Session.Quotas.Of(principal, h.remote(r))
	c := &httpCall{done: make(chan route.Result, 1), quota: q}
	c.call = route.Call{Request: target, Caller: c}
	c.call.Principal = principal
	e := h.fillCall(&c.call, w, r, escaped)
	if e == nil {
		e = c.begin(h)
	}
	if e != nil {
		q.Drop()
		h.fail(w, r, e)
		return
	}
	h.cfg.Router.Call(&c.call)
	select {
	case result := <-c.done:
		h.answerCall(w, r, result)
	case <-r.Context().Done(): // the caller has gone
		h.cfg.Router.Cancel(&c.call, runnerv1alpha1.CancelReason_CANCEL_REASON_DISCONNECTED)
	}
}

func (h *Handler) fillCall(c *route.Call, w http.ResponseWriter, r *http.Request, escaped string) *wire.Error {
	if r.Header.Get("Idempotency-Key") != "" {
		return wire.RequestUnsupported.Newf("Idempotency keys are not supported yet.") // [ONCE-0]
	}
	action, err := url.PathUnescape(escaped)
	if err != nil || action == "" || len(action) > h.limits.MaxAction || !utf8.ValidString(action) {
		return wire.RequestInvalid.Newf("An action name is one path segment of 1 to %d bytes of UTF-8.", h.limits.MaxAction)
	}
	body, e := h.readBody(w, r)
	if e != nil {
		return e
	}
	mode, e := mode(r, c.ID)
	if e != nil {
		return e
	}
	wait, e := deadline(r)
	if e != nil {
		return e
	}
	c.Action, c.Args, c.Mode = []byte(action), body.Args, mode
	c.Input, c.HasInput = body.Input, body.Input != nil
	c.Deadline = h.cfg.Router.Deadline(time.Now(), wait)
	c.Trace, c.TraceState = trace(r)
	return nil
}

// mode reads what happens when the actor is missing; by id nothing is ever created [HTTP-1].
func mode(r *http.Request, id string) (commonv1alpha1.Mode, *wire.Error) {
	switch m := parameter(r, "mode", "Stagedoor-Mode"); m {
	case "", "getOrCreate":
		if id != "" {
			return commonv1alpha1.Mode_MODE_GET, nil
		}
		return commonv1alpha1.Mode_MODE_GET_OR_CREATE, nil
	case "get":
		return commonv1alpha1.Mode_MODE_GET, nil
	case "create":
		if id == "" {
			return commonv1alpha1.Mode_MODE_CREATE, nil
		}
		return 0, wire.RequestInvalid.Newf("An actor cannot be created by id.")
	default:
		return 0, wire.RequestInvalid.Newf("The mode is get, getOrCreate or create, not %q.", m)
	}
}

// deadline reads how long the caller wants to wait; 0: the default.
func deadline(r *http.Request) (time.Duration, *wire.Error) {
	text := parameter(r, "deadlineMs", "Stagedoor-Deadline-Ms")
	if text == "" {
		return 0, nil
	}
	ms, err := strconv.ParseUint(text, 10, 32)
	if err != nil || ms == 0 {
		return 0, wire.RequestInvalid.Newf("The deadline %q is not a number of milliseconds from 1 to 2^32 - 1.", text)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func trace(r *http.Request) (trace, state []byte) {
	if trace = clientjson.ParseTraceparent(r.Header.Get("traceparent")); trace != nil {
		state = []byte(r.Header.Get("tracestate"))
	}
	if !utf8.Valid(state) { // runners take no other, and tell nobody's fault from the gateway's
		state = nil
	}
	return trace, state
}

// httpCall waits for one result.
type httpCall struct {
	call   route.Call
	done   chan route.Result // capacity 1
	quota  *quota.Client
	budget *budget.Budget
	weight int
}

// begin counts the call as under way, unless there are too many, or too much memory is held [LIMIT-2] [LIMIT-4].
func (c *httpCall) begin(h *Handler) *wire.Error {
	if e := h.sessions.Overloaded(); e != nil {
		return e
	}
	if e := c.quota.Call(); e != nil {
		return e
	}
	c.budget, c.weight = h.cfg.Session.Budget, len(c.call.Args)+len(c.call.Input)
	c.budget.Add(c.weight)
	return nil
}

// Reply implements route.Caller.
func (c *httpCall) Reply(_ *route.Call, r route.Result) {
	c.budget.Add(-c.weight)
	c.quota.Done()
	c.quota.Drop()
	r.Output = bytes.Clone(r.Output)
	c.done <- r
}
