package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// actorBody is an actor as HTTP shows it [HTTP-2].
type actorBody struct {
	ID         string   `json:"id" cbor:"id"`
	Namespace  string   `json:"namespace" cbor:"namespace"`
	Type       string   `json:"type" cbor:"type"`
	Key        []string `json:"key" cbor:"key"`
	State      string   `json:"state" cbor:"state"`
	Generation uint64   `json:"generation" cbor:"generation"`
	Version    uint64   `json:"version" cbor:"version"`
	CreatedAt  string   `json:"createdAt" cbor:"createdAt"` // RFC 3339

	// Of an actor that has failed, and has not lived for long since [LIFE-11].
	Failures    int        `json:"failures,omitempty" cbor:"failures,omitempty"` // in a row
	Cause       *causeBody `json:"cause,omitempty" cbor:"cause,omitempty"`
	NextStartAt string     `json:"nextStartAt,omitempty" cbor:"nextStartAt,omitempty"` // RFC 3339
}

// causeBody is why an actor has failed.
type causeBody struct {
	Group   string `json:"group" cbor:"group"`
	Code    string `json:"code" cbor:"code"`
	Message string `json:"message" cbor:"message"`
}

func describe(info route.Info) actorBody {
	key := info.Address.Key
	if key == nil {
		key = []string{}
	}
	body := actorBody{
		ID: info.ID, Namespace: info.Address.Namespace, Type: info.Address.Type, Key: key, State: info.State,
		Generation: info.Generation, Version: info.Version, CreatedAt: info.CreatedAt.UTC().Format(time.RFC3339Nano),
	}
	if info.Failures > 0 {
		body.Failures, body.NextStartAt = info.Failures, info.NextStartAt.UTC().Format(time.RFC3339Nano)
		body.Cause = &causeBody{Group: info.Cause.Group, Code: info.Cause.Code, Message: info.Cause.Message}
	}
	return body
}

// actor serves GET, PUT, POST and DELETE /v1/actors/{address} [HTTP-2].
func (h *Handler) actor(w http.ResponseWriter, r *http.Request, target route.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.describe(w, r, target)
	case http.MethodPut:
		h.create(w, r, target, commonv1alpha1.Mode_MODE_GET_OR_CREATE)
	case http.MethodPost:
		h.create(w, r, target, commonv1alpha1.Mode_MODE_CREATE)
	case http.MethodDelete:
		h.destroy(w, r, target)
	default:
		h.wrongMethod(w, r, "GET, PUT, POST, DELETE")
	}
}

func (h *Handler) describe(w http.ResponseWriter, r *http.Request, target route.Request) {
	if _, ok := h.authenticate(w, r, auth.Client); !ok {
		return
	}
	info, e := h.cfg.Router.Describe(r.Context(), target)
	if e != nil {
		h.fail(w, r, e)
		return
	}
	h.reply(w, r, http.StatusOK, map[string]any{"actor": describe(info)})
}

func (h *Handler) create(w http.ResponseWriter, r *http.Request, target route.Request, mode commonv1alpha1.Mode) {
	principal, ok := h.authenticate(w, r, auth.Client)
	if !ok {
		return
	}
	if target.ID != "" {
		h.fail(w, r, wire.RequestInvalid.Newf("An actor cannot be created by id."))
		return
	}
	if e := h.sessions.Overloaded(); e != nil {
		h.fail(w, r, e)
		return
	}
	body, e := h.readBody(w, r)
	if e != nil {
		h.fail(w, r, e)
		return
	}
	wait, e := deadline(r)
	if e != nil {
		h.fail(w, r, e)
		return
	}
	target.Mode, target.Principal = mode, principal
	target.Input, target.HasInput = body.Input, body.Input != nil
	target.Deadline = h.cfg.Router.Deadline(time.Now(), wait)
	target.Trace, target.TraceState = trace(r)
	info, created, e := h.cfg.Router.Create(r.Context(), target)
	if e != nil {
		h.fail(w, r, e)
		return
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	h.reply(w, r, status, map[string]any{"actor": describe(info), "created": created})
}

func (h *Handler) destroy(w http.ResponseWriter, r *http.Request, target route.Request) {
	principal, ok := h.authenticate(w, r, auth.Admin)
	if !ok {
		return
	}
	wait, e := deadline(r)
	if e != nil {
		h.fail(w, r, e)
		return
	}
	target.Principal = principal
	target.Deadline = h.cfg.Router.Deadline(time.Now(), wait)
	if e := h.cfg.Router.Destroy(r.Context(), target); e != nil {
		h.fail(w, r, e)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// The pages of a listing, in actors.
const (
	listDefault = 100
	listMax     = 1000
)

// list serves GET /v1/actors [HTTP-2]. key is the key part of an address segment: "a:b" is ["a","b"].
func (h *Handler) list(w http.ResponseWriter, r *http.Request) {
	if _, ok := h.authenticate(w, r, auth.Admin); !ok {
		return
	}
	f, limit, e := listing(r)
	if e != nil {
		h.fail(w, r, e)
		return
	}
	q := r.URL.Query()
	infos, next, e := h.cfg.Router.List(r.Context(), f, q.Get("state"), q.Get("cursor"), limit)
	if e != nil {
		h.fail(w, r, e)
		return
	}
	actors := make([]actorBody, 0, len(infos))
	for _, info := range infos {
		actors = append(actors, describe(info))
	}
	h.reply(w, r, http.StatusOK, map[string]any{"actors": actors, "cursor": next})
}

func listing(r *http.Request) (store.Filter, int, *wire.Error) {
	q := r.URL.Query()
	f := store.Filter{Namespace: q.Get("namespace"), Type: q.Get("type")}
	if q.Has("key") {
		if f.Type == "" {
			return f, 0, wire.RequestInvalid.Newf("A key is looked for within a type: give type too.")
		}
		addr, _, err := address.ParseSegment(f.Type+":"+q.Get("key"), address.DefaultNamespace)
		if err != nil {
			return f, 0, wire.RequestInvalidAddress.Newf("%v.", err)
		}
		f.Key, f.HasKey = addr.Key, true
	}
	limit := listDefault
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > listMax {
			return f, 0, wire.RequestInvalid.Newf("The limit is between 1 and %d.", listMax)
		}
		limit = n
	}
	return f, limit, nil
}
