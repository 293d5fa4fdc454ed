package cli_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/edge/cli"
)

// asked is one request that a fake gateway got.
type asked struct {
	line, token, body string
}

// actors runs `stagedoor actors …` against a gateway that gives the answers one after another, "status body".
func actors(t *testing.T, answers []string, args ...string) (code int, stdout, stderr string, requests []asked) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		requests = append(requests, asked{r.Method + " " + r.RequestURI, r.Header.Get("Authorization"), string(body)})
		status, text, _ := strings.Cut(answers[0], " ")
		answers = answers[1:]
		w.WriteHeader(map[string]int{"200": 200, "204": 204, "404": 404, "502": 502}[status])
		_, _ = io.WriteString(w, text)
	}))
	defer server.Close()
	var out, fault bytes.Buffer
	code = cli.Main(cli.Program{
		Args: append([]string{"actors"}, args...), Stdout: &out, Stderr: &fault,
		Env: func(name string) string {
			return map[string]string{"STAGEDOOR_ENDPOINT": server.URL, "STAGEDOOR_TOKEN": "secret"}[name]
		},
	})
	return code, out.String(), fault.String(), requests
}

func TestActorsCommands(t *testing.T) {
	for _, c := range []struct {
		name    string
		args    []string
		answers []string
		request asked
		stdout  string
	}{
		{
			"call",
			[]string{"call", "counter:a", "increment", "-1", `{"x": "y"}`},
			[]string{`200 {"output":{"n": 9007199254740993}}`},
			asked{"POST /v1/actors/counter:a/actions/increment", "Bearer secret", `{"args":[-1,{"x":"y"}]}`},
			`{"n":9007199254740993}` + "\n",
		},
		{
			"call of an existing actor",
			[]string{"call", "--existing", "room:a%3Ab:", "say it/all"},
			[]string{`200 {"output":null}`},
			asked{"POST /v1/actors/room:a%3Ab:/actions/say%20it%2Fall?mode=get", "Bearer secret", `{"args":[]}`},
			"null\n",
		},
		{
			"get",
			[]string{"--namespace", "test", "--token", "other", "get", "counter"},
			[]string{`200 {"actor":{"id":"x", "type":"counter"}}`},
			asked{"GET /v1/actors/counter?namespace=test", "Bearer other", ""},
			`{"id":"x","type":"counter"}` + "\n",
		},
		{
			"destroy",
			[]string{"destroy", "counter:.."},
			[]string{"204 "},
			asked{"DELETE /v1/actors/counter:..", "Bearer secret", ""},
			`{"destroyed":true}` + "\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr, requests := actors(t, c.answers, c.args...)
			if code != 0 || stdout != c.stdout {
				t.Errorf("exit %d, %q, %q", code, stdout, stderr)
			}
			if len(requests) != 1 || requests[0] != c.request {
				t.Errorf("asked %q", requests)
			}
		})
	}
}

func TestListFollowsTheCursor(t *testing.T) {
	pages := []string{
		`200 {"actors":[{"id":"a"}],"cursor":"1"}`, `200 {"actors":[],"cursor":"2"}`, `200 {"actors":[{"id":"b"},{"id":"c"}]}`,
	}
	code, stdout, stderr, requests := actors(t, pages, "list", "--type", "counter")
	if want := "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n"; code != 0 || stdout != want {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	if len(requests) != 3 || requests[2].line != "GET /v1/actors?cursor=2&type=counter" {
		t.Errorf("asked %q", requests)
	}
}

func TestListStopsAtItsLimit(t *testing.T) {
	code, stdout, stderr, requests := actors(t, []string{
		`200 {"actors":[{"id":"a"}],"cursor":"1"}`, `200 {"actors":[{"id":"b"},{"id":"c"}],"cursor":"2"}`,
	}, "list", "--limit", "2")
	if code != 0 || strings.Count(stdout, "\n") != 2 {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	if len(requests) != 2 || requests[1].line != "GET /v1/actors?cursor=1&limit=1" {
		t.Errorf("asked %q", requests)
	}
}

func TestErrorAnswersBecomeTextAndExitCode(t *testing.T) {
	for _, c := range []struct{ name, answer, want string }{
		{
			"an error of the gateway",
			`404 {"error":{"group":"actor","code":"not_found","message":"The actor does not exist.","metadata":{"id":1}}}`,
			"stagedoor: actor.not_found: The actor does not exist. {\"id\":1}\n",
		},
		{"an error of something else", "502 <html>", "client.invalid_response: 502 Bad Gateway"},
		{"no JSON", "200 hello", "client.invalid_response"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr, _ := actors(t, []string{c.answer}, "get", "counter:a")
			if code != 1 || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("exit %d, %q, %q", code, stdout, stderr)
			}
		})
	}
}

func TestAnUnreachableGatewayIsNamed(t *testing.T) {
	code, _, stderr, _ := actors(t, nil, "--endpoint", "ws://127.0.0.1:1", "get", "counter:a")
	if code != 1 || !strings.Contains(stderr, "client.unreachable") || !strings.Contains(stderr, "ws://127.0.0.1:1") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}
