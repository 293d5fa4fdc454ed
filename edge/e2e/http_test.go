package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// [HTTP-1]
func TestAnActionOverHTTP(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		for want, n := range []string{`{"output":1}`, `{"output":2}`, `{"output":3}`} {
			r := w.act("lab:a", "add", "[1]")
			wantEqual(w, "body", strings.TrimSpace(r.raw), n)
			wantEqual(w, "status", r.status, 200)
			_ = want
		}
		wantEqual(w, "an action without result", strings.TrimSpace(w.act("lab:a", "nothing", "[]").raw), `{"output":null}`)
		wantEqual(w, "another actor", strings.TrimSpace(w.act("lab:b", "get", "[]").raw), `{"output":0}`)
		wantEqual(w, "mode get", w.act("lab:c", "get", "[]", "Stagedoor-Mode", "get").name(), "actor.not_found")
		wantEqual(w, "mode get as a parameter", w.do("POST", "/v1/actors/lab:c/actions/get?mode=get", "").name(), "actor.not_found")
		wantEqual(w, "mode create", strings.TrimSpace(w.act("lab:n", "add", "[1]", "Stagedoor-Mode", "create").raw), `{"output":1}`)
		wantEqual(w, "mode create again", w.act("lab:n", "add", "[1]", "Stagedoor-Mode", "create").name(), "actor.duplicate_key")
		wantEqual(w, "no body", strings.TrimSpace(w.do("POST", "/v1/actors/lab:c/actions/get", "").raw), `{"output":0}`)
	})
}

// [HTTP-3]
func TestBodiesAreReadByTheirContentTypeAndAnsweredInKind(t *testing.T) {
	inWorld(t, gateway.Config{Development: true}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		path := "/v1/actors/lab/actions/add"
		cbor, err := payload.Marshal(map[string]any{"args": []int{2}})
		if err != nil {
			t.Fatal(err)
		}
		r := w.do("POST", path, string(cbor), "Content-Type", "application/cbor")
		var out struct {
			Output int `cbor:"output"`
		}
		if err := payload.Unmarshal([]byte(r.raw), &out); err != nil || out.Output != 2 {
			t.Fatalf("CBOR answer %q: %v, %v", r.raw, out, err)
		}
		wantEqual(w, "content type", r.header.Get("Content-Type"), "application/cbor")
		for _, header := range [][]string{
			{},
			{"Content-Type", "application/json; charset=utf-8"},
			{"Content-Type", "application/x-www-form-urlencoded"},
		} {
			wantEqual(w, "status", w.do("POST", path, `{"args":[1]}`, header...).status, 200)
		}
		for _, header := range [][]string{
			{"Origin", "http://elsewhere"},
			{"Origin", "http://elsewhere", "Content-Type", "application/x-www-form-urlencoded"},
			{"Content-Type", "text/plain"},
			{"Content-Type", "multipart/form-data; boundary=x"},
		} {
			r := w.do("POST", path, `{"args":[1]}`, header...)
			wantEqual(w, "code", r.name(), "request.unsupported_media_type")
			wantEqual(w, "status", r.status, 415)
		}
		r = w.do("POST", path, `{"args":[1]}`, "Content-Type", "application/json", "Accept", "application/cbor")
		wantEqual(w, "content type by Accept", r.header.Get("Content-Type"), "application/cbor")
	})
}

// [HTTP-4] [JSON-1] [CALL-2] [CALL-10] [ONCE-0]
func TestEachBadRequestHasItsOwnCode(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		long := strings.Repeat("x", 2000)
		for _, c := range []struct {
			name, method, path, body string
			header                   []string
			status                   int
			code                     string
		}{
			{"broken JSON", "POST", "/v1/actors/lab:a/actions/get", `{"args":[`, nil, 400, "request.invalid_json"},
			{"duplicate JSON key", "POST", "/v1/actors/lab:a/actions/get", `{"args":[],"args":[]}`, nil, 400, "request.invalid_json"},
			{"lone surrogate", "POST", "/v1/actors/lab:a/actions/echo", `{"args":["\ud800"]}`, nil, 400, "request.invalid_json"},
			{"invalid UTF-8", "POST", "/v1/actors/lab:a/actions/echo", "{\"args\":[\"\xff\"]}", nil, 400, "request.invalid_json"},
			{"JSON that is no object", "POST", "/v1/actors/lab:a/actions/get", `[1]`, nil, 400, "request.invalid_payload"},
			{"arguments that are no array", "POST", "/v1/actors/lab:a/actions/get", `{"args":1}`, nil, 400, "request.invalid"},
			{"broken CBOR", "POST", "/v1/actors/lab:a/actions/get", "\xa1\x64args", []string{"Content-Type", "application/cbor", "Accept", "application/json"}, 400, "request.invalid_payload"},
			{"unknown action", "POST", "/v1/actors/lab:a/actions/fly", ``, nil, 404, "actor.action_not_found"},
			{"unknown type", "POST", "/v1/actors/nobody:a/actions/get", ``, nil, 404, "actor.type_not_found"},
			{"unknown actor", "POST", "/v1/actors/lab:gone/actions/get?mode=get", ``, nil, 404, "actor.not_found"},
			{"unknown id", "POST", "/v1/actors/@local-00000000000000000000000000/actions/get", ``, nil, 404, "actor.not_found"},
			{"malformed id", "POST", "/v1/actors/@nonsense/actions/get", ``, nil, 400, "request.invalid_address"},
			{"create by id", "POST", "/v1/actors/@local-00000000000000000000000000/actions/get?mode=create", ``, nil, 400, "request.invalid"},
			{"unknown mode", "POST", "/v1/actors/lab:a/actions/get?mode=maybe", ``, nil, 400, "request.invalid"},
			{"type of only dots", "POST", "/v1/actors/%2E%2E/actions/get", ``, nil, 400, "request.invalid_address"},
			{"too many key parts", "POST", "/v1/actors/lab" + strings.Repeat(":", 17) + "/actions/get", ``, nil, 400, "request.invalid_address"},
			{"key part too long", "POST", "/v1/actors/lab:" + strings.Repeat("k", 129) + "/actions/get", ``, nil, 400, "request.invalid_address"},
			{"invalid UTF-8 in a key", "POST", "/v1/actors/lab:%ff/actions/get", ``, nil, 400, "request.invalid_address"},
			{"bad percent-encoding of an action", "POST", "/v1/actors/lab:a/actions/" + long, ``, nil, 400, "request.invalid"},
			{"too few arguments", "POST", "/v1/actors/lab:a/actions/add", `{"args":[]}`, nil, 400, "action.invalid_arguments"},
			{"too many arguments", "POST", "/v1/actors/lab:a/actions/add", `{"args":[1,2]}`, nil, 400, "action.invalid_arguments"},
			{"argument of a wrong type", "POST", "/v1/actors/lab:a/actions/add", `{"args":["one"]}`, nil, 400, "action.invalid_arguments"},
			{"idempotency key", "POST", "/v1/actors/lab:a/actions/add", `{"args":[1]}`, []string{"Idempotency-Key", "k"}, 501, "request.unsupported"},
			{"deadline that is no number", "POST", "/v1/actors/lab:a/actions/get?deadlineMs=soon", ``, nil, 400, "request.invalid"},
			{"arguments too large", "POST", "/v1/actors/lab:a/actions/echo", `{"args":["` + strings.Repeat("a", 1<<20) + `"]}`, nil, 413, "request.too_large"},
			{"result too large", "POST", "/v1/actors/lab:a/actions/result", `{"args":[1100000]}`, nil, 500, "action.result_too_large"},
			{"unknown endpoint", "GET", "/v2/actors", ``, nil, 404, "request.not_found"},
			{"unknown endpoint below an actor", "GET", "/v1/actors/lab:a/nothing", ``, nil, 404, "request.not_found"},
			{"wrong method", "GET", "/v1/actors/lab:a/actions/get", ``, nil, 405, "request.method_not_allowed"},
			{"WebSocket endpoint without upgrade", "GET", "/v1/connect", ``, nil, 400, "request.invalid"},
			{"foreign origin", "POST", "/v1/actors/lab:a/actions/get", `{}`, []string{"Origin", "http://elsewhere", "Content-Type", "application/json"}, 403, "auth.forbidden"},
			{"foreign cursor", "GET", "/v1/actors?cursor=nonsense", ``, nil, 400, "request.invalid"},
		} {
			r := w.do(c.method, c.path, c.body, c.header...)
			if r.status != c.status || r.name() != c.code {
				w.Errorf("%s: %d %s, want %d %s", c.name, r.status, r.raw, c.status, c.code)
				continue
			}
			if ran := r.err()["ran"]; ran != "no" && c.code != "action.result_too_large" {
				w.Errorf("%s: ran = %v", c.name, ran)
			}
		}
		wantEqual(w, "the neighbours", strings.TrimSpace(w.act("lab:a", "get", "[]").raw), `{"output":0}`)
	})
}

// [HTTP-4] [LIMIT-7]: the body is not read to its end.
func TestABodyOverTheLimit(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		conn, err := w.Dial(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			fmt.Fprintf(conn, "POST /v1/actors/lab:a/actions/echo HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n", 1<<30)
			_, _ = conn.Write(make([]byte, 16<<20+1)) // the gateway may be done with us before that
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			w.Fatal(err)
		}
		body, _ := io.ReadAll(io.LimitReader(res.Body, res.ContentLength))
		if res.StatusCode != 413 || !strings.Contains(string(body), `"code":"too_large"`) {
			w.Errorf("%d %s", res.StatusCode, body)
		}
		_ = conn.Close()
		<-sent
		sleep(time.Second) // net/http lingers before it closes
		wantEqual(w, "the neighbours", w.act("lab:a", "get", "[]").status, 200)
	})
}

// [ERR-2] [ERR-3] [TURN-6] [TURN-7]
func TestErrorsOfUserCode(t *testing.T) {
	for _, development := range []bool{false, true} {
		inWorld(t, gateway.Config{Development: development}, func(w *world) {
			w.host(runner.Config{}, labType(labOptions{}))
			r := w.act("lab:a", "fail", "[]")
			wantEqual(w, "status", r.status, 400)
			wantEqual(w, "a user error", r.name(), "user.nope")
			wantEqual(w, "its message", r.err()["message"], any("not today"))
			if m := r.err()["metadata"].(map[string]any); m["try"].(interface{ String() string }).String() != "1" {
				w.Errorf("metadata = %v", m)
			}
			for action, secret := range map[string]string{"addThenFail": "secret text", "panic": "secret panic"} {
				args := "[]"
				if action == "addThenFail" {
					args = "[7]"
				}
				r := w.act("lab:a", action, args)
				wantEqual(w, action, r.name(), "internal.error")
				wantEqual(w, action+" shows its text", strings.Contains(r.raw, secret), development)
			}
			wantEqual(w, "an error does not roll back", strings.TrimSpace(w.act("lab:a", "get", "[]").raw), `{"output":7}`)
		})
	}
}

// [HTTP-2] [LIFE-1] [LIFE-6] [LIST-1]
func TestActorsAreCreatedDescribedListedAndDestroyedOverHTTP(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		r := w.do("POST", "/v1/actors/lab:x", `{"input":"first"}`)
		wantEqual(w, "create", r.status, 201)
		actor := r.body["actor"].(map[string]any)
		id := actor["id"].(string)
		wantEqual(w, "created", r.body["created"], any(true))
		wantEqual(w, "state", actor["state"], any("running"))
		r = w.do("POST", "/v1/actors/lab:x", `{"input":"second"}`)
		wantEqual(w, "create again", r.name(), "actor.duplicate_key")
		wantEqual(w, "it names the actor", r.err()["metadata"].(map[string]any)["id"], any(id))
		r = w.do("PUT", "/v1/actors/lab:x", `{"input":"third"}`)
		wantEqual(w, "getOrCreate", r.status, 200)
		wantEqual(w, "not created", r.body["created"], any(false))
		wantEqual(w, "the input that counts", strings.TrimSpace(w.act("@"+id, "input", "[]").raw), `{"output":"first"}`)
		r = w.do("GET", "/v1/actors/lab:x", "")
		wantEqual(w, "describe", r.body["actor"].(map[string]any)["id"], any(id))
		w.do("PUT", "/v1/actors/lab:y", "")
		w.do("PUT", "/v1/actors/lab:z:1?namespace=other", "")
		wantEqual(w, "all", len(w.listAll("")), 3)
		wantEqual(w, "of a namespace", len(w.listAll("&namespace=other")), 1)
		wantEqual(w, "of a key", len(w.listAll("&type=lab&key=x")), 1)
		wantEqual(w, "of a state", len(w.listAll("&state=sleeping")), 0)
		wantEqual(w, "destroy", w.do("DELETE", "/v1/actors/lab:x", "").status, 204)
		wantEqual(w, "describe what is gone", w.do("GET", "/v1/actors/lab:x", "").name(), "actor.not_found")
		wantEqual(w, "destroy again", w.do("DELETE", "/v1/actors/lab:x", "").name(), "actor.not_found")
		r = w.do("PUT", "/v1/actors/lab:x", `{}`)
		wantEqual(w, "created anew", r.body["created"], any(true))
		wantEqual(w, "a new id", r.body["actor"].(map[string]any)["id"] != id, true)
		wantEqual(w, "nothing inherited", strings.TrimSpace(w.act("lab:x", "input", "[]").raw), `{"output":""}`)
		wantEqual(w, "the old id", w.act("@"+id, "get", "[]").name(), "actor.not_found")
	})
}

func (w *world) listAll(query string) []string {
	var ids []string
	cursor := ""
	for {
		r := w.do("GET", "/v1/actors?limit=1"+query+"&cursor="+cursor, "")
		if r.status != 200 {
			w.Fatalf("list: %s", r.raw)
		}
		for _, a := range r.body["actors"].([]any) {
			ids = append(ids, a.(map[string]any)["id"].(string))
		}
		if cursor = r.body["cursor"].(string); cursor == "" {
			return ids
		}
	}
}

// [HTTP-6]
func TestHealthReadinessMetadataAndMetrics(t *testing.T) {
	inWorld(t, gateway.Config{RequireRunner: true, Version: "v9"}, func(w *world) {
		wantEqual(w, "healthz", w.do("GET", "/healthz", "").status, 200)
		r := w.do("GET", "/readyz", "")
		wantEqual(w, "not ready", r.status, 503)
		wantEqual(w, "why", strings.Contains(r.raw, "no runner"), true)
		w.host(runner.Config{}, labType(labOptions{}))
		wantEqual(w, "ready", w.do("GET", "/readyz", "").status, 200)
		w.act("lab", "add", "[1]")
		metrics := w.do("GET", "/metrics", "").raw
		for _, line := range []string{"stagedoor_calls_total 1", "stagedoor_commits_total 2", "stagedoor_actors 1", "stagedoor_links 1"} {
			if !strings.Contains(metrics, "\n"+line+"\n") {
				w.Errorf("metrics lack %q", line)
			}
		}
		meta := w.do("GET", "/v1/metadata", "")
		wantEqual(w, "version", meta.body["version"], any("v9"))
	})
}

// [LIFE-5]
func TestAKnownTypeWaitsForItsRunner(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		wantEqual(w, "never announced", w.act("lab:a", "get", "[]").name(), "actor.type_not_found")
		h := w.host(runner.Config{}, labType(labOptions{}))
		w.act("lab:a", "add", "[1]")
		_ = h.stop()
		start := time.Now()
		r := w.act("lab:a", "get", "[]")
		wantEqual(w, "without runner", r.name(), "runner.unavailable")
		wantEqual(w, "status", r.status, 503)
		wantEqual(w, "ran", r.err()["ran"], any("no"))
		wantEqual(w, "waited for the start deadline", time.Since(start).Round(time.Second), 30*time.Second)
		answer := make(chan response)
		go func() { answer <- w.act("lab:a", "get", "[]") }()
		sleep(5 * time.Second)
		w.host(runner.Config{}, labType(labOptions{}))
		wantEqual(w, "with a runner in time", strings.TrimSpace((<-answer).raw), `{"output":1}`)
	})
}

// [AUTH-1]
func TestTokensDecideWhoMayDoWhat(t *testing.T) {
	cfg := gateway.Config{Tokens: auth.Tokens{Client: []string{"c"}, Runner: []string{"r"}, Admin: []string{"a"}}}
	inWorld(t, cfg, func(w *world) {
		w.host(runner.Config{Token: "r"}, labType(labOptions{}))
		for _, c := range []struct {
			method, path, token string
			status              int
		}{
			{"POST", "/v1/actors/lab:a/actions/get", "", 401},
			{"POST", "/v1/actors/lab:a/actions/get", "wrong", 401},
			{"POST", "/v1/actors/lab:a/actions/get", "r", 403},
			{"POST", "/v1/actors/lab:a/actions/get", "c", 200},
			{"POST", "/v1/actors/lab:a/actions/get", "a", 200},
			{"GET", "/v1/actors", "c", 403},
			{"GET", "/v1/actors", "a", 200},
			{"GET", "/metrics", "c", 403},
			{"GET", "/metrics", "a", 200},
			{"GET", "/healthz", "", 200},
			{"GET", "/v1/metadata", "", 200},
			{"DELETE", "/v1/actors/lab:a", "c", 403},
			{"DELETE", "/v1/actors/lab:a", "a", 204},
		} {
			r := w.do(c.method, c.path, "", "Authorization", "Bearer "+c.token)
			if r.status != c.status {
				w.Errorf("%s %s with %q: %d %s, want %d", c.method, c.path, c.token, r.status, r.raw, c.status)
			}
		}
		wantEqual(w, "token as a parameter", w.do("POST", "/v1/actors/lab:a/actions/get?token=c", "").status, 200)
		for _, token := range []string{"", "c", "a"} {
			r, err := runner.New(runner.Config{Endpoint: "tcp://gateway:1", Token: token, Dial: w.DialRunner, Logger: quiet()}, labType(labOptions{}))
			if err != nil {
				w.Fatal(err)
			}
			if err := r.Serve(w.Context()); err == nil || !strings.Contains(err.Error(), "auth.") {
				w.Errorf("a runner with token %q: %v", token, err)
			}
		}
	})
}

// [HTTP-7]
func TestCrossOriginRequests(t *testing.T) {
	inWorld(t, gateway.Config{AllowedOrigins: []string{"https://app.example"}}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		r := w.do("OPTIONS", "/v1/actors/lab:a/actions/get", "", "Origin", "https://app.example", "Access-Control-Request-Method", "POST")
		wantEqual(w, "preflight", r.status, 204)
		wantEqual(w, "allowed origin", r.header.Get("Access-Control-Allow-Origin"), "https://app.example")
		for origin, status := range map[string]int{"https://app.example": 200, "http://gateway": 200, "https://evil.example": 403, "null": 403} {
			r := w.do("POST", "/v1/actors/lab:a/actions/get", "{}", "Origin", origin, "Content-Type", "application/json")
			wantEqual(w, origin, r.status, status)
		}
	})
}
