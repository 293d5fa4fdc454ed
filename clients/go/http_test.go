package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// reply answers with CBOR.
func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/cbor")
	w.WriteHeader(status)
	_, _ = w.Write(must(payload.Marshal(body)))
}

func refuseWith(w http.ResponseWriter, e *wire.Error) {
	m := map[string]any{"group": e.Group, "code": e.Code, "message": e.Message, "retryable": e.Retryable, "ran": e.Ran.String()}
	if e.Metadata != nil {
		m["metadata"] = cbor.RawMessage(e.Metadata)
	}
	reply(w, e.HTTPStatus(), map[string]any{"error": m})
}

func actorBody(id string) map[string]any {
	return map[string]any{"actor": map[string]any{"id": id}, "created": true}
}

func TestCreateResolveDestroy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var seen []string
		g.handler = func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			seen = append(seen, r.Method+" "+r.URL.EscapedPath()+" "+string(body))
			h := r.Header
			if h.Get("Authorization") != "Bearer secret" || h.Get("Stagedoor-Namespace") != "ns" || h.Get("Accept") != "application/cbor" {
				t.Errorf("headers: %v", h)
			}
			if r.Method == http.MethodDelete {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			if h.Get("Stagedoor-Deadline-Ms") != "9000" {
				t.Errorf("deadline %q", h.Get("Stagedoor-Deadline-Ms"))
			}
			reply(w, http.StatusCreated, actorBody("id-1"))
		}
		c := g.client(Options{Token: "secret", Namespace: "ns"})
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		h, err := c.Create(ctx, "room", []string{"a:b", "", "..", "ü/"}, WithInput(0))
		noError(t, err)
		id, err := c.GetOrCreate("room", nil, WithInput(false)).Resolve(ctx)
		noError(t, err)
		other, err := h.Resolve(ctx)
		noError(t, err)
		noError(t, c.Get("room", []string{"x"}).Destroy(ctx))
		if id != "id-1" || other != "id-1" {
			t.Errorf("ids %q %q", id, other)
		}
		want := []string{
			"POST /v1/actors/room:a%3Ab::%2E%2E:%C3%BC%2F \xa1einput\x00",
			"PUT /v1/actors/room \xa1einput\xf4",
			"GET /v1/actors/@id-1 ",
			"DELETE /v1/actors/room:x ",
		}
		if strings.Join(seen, "\n") != strings.Join(want, "\n") {
			t.Errorf("requests\n%q, want\n%q", seen, want)
		}
	})
}

func TestCreateOfATakenKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.handler = func(w http.ResponseWriter, _ *http.Request) {
			e := wire.ActorDuplicateKey.New()
			e.Metadata = must(payload.Marshal(map[string]string{"id": "id-0"}))
			refuseWith(w, e)
		}
		_, err := g.client(Options{}).Create(t.Context(), "room", nil)
		e := theError(t, err, CodeActorDuplicateKey, RanNo)
		var metadata struct{ ID string }
		if err := e.DecodeMetadata(&metadata); err != nil || metadata.ID != "id-0" {
			t.Errorf("%v %+v", err, metadata)
		}
	})
}

func TestStrangeAnswers(t *testing.T) {
	cases := map[string]struct {
		handler http.HandlerFunc
		name    string
		ran     Ran
	}{
		"a proxy's page": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
		}, CodeClientInvalidResponse, RanMaybe},
		"a redirect": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://elsewhere/")
			w.WriteHeader(http.StatusFound)
		}, CodeClientInvalidResponse, RanMaybe},
		"no id":    {func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, map[string]any{}) }, CodeClientInvalidResponse, RanYes},
		"not CBOR": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}}")) }, CodeClientInvalidResponse, RanYes},
		"retry after": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			refuseWith(w, wire.RunnerUnavailable.New())
		}, CodeRunnerUnavailable, RanNo},
		"cut off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, CodeSessionLost, RanMaybe},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				g.handler = c.handler
				_, err := g.client(Options{}).Create(t.Context(), "room", nil)
				e := theError(t, err, c.name, c.ran)
				if name == "retry after" && e.RetryAfter != 7*time.Second {
					t.Errorf("retry after %v", e.RetryAfter)
				}
			})
		})
	}
}

func TestHTTPThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		release := make(chan struct{})
		g.handler = func(http.ResponseWriter, *http.Request) { <-release }
		c := g.client(Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Create(ctx, "room", nil)
		if wantError(t, err, CodeActionTimedOut, RanMaybe); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v does not wrap the context's error", err)
		}
		begun := time.Now()
		_, err = c.Create(t.Context(), "room", nil) // without deadline
		wantError(t, err, CodeSessionLost, RanMaybe)
		if passed := time.Since(begun); passed != time.Minute {
			t.Errorf("waited %v", passed)
		}
		underWay := background(func() error { return c.Get("room", nil).Destroy(t.Context()) })
		synctest.Wait()
		noError(t, c.Close())
		wantError(t, <-underWay, CodeClientClosed, RanMaybe)
		close(release)
	})
}

func TestHTTPUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.refuse.Store(true)
		c := g.client(Options{})
		_, err := c.Create(t.Context(), "room", nil)
		if wantError(t, err, CodeClientUnreachable, RanNo); !errors.Is(err, errNoGateway) {
			t.Errorf("%v does not wrap its cause", err)
		}
		_, err = c.Create(t.Context(), "", nil)
		wantError(t, err, CodeRequestInvalidAddress, RanNo)
		_, err = c.GetForID("").Resolve(t.Context())
		wantError(t, err, CodeRequestInvalidAddress, RanNo)
	})
}
