package nettest

import (
	"net/http"
	"testing"
)

// What a client says in a URL, a header or JSON may be no text. It is refused or left out, and does not reach a runner, which
// would take its gateway for broken, and its link with it.
func TestWhatIsNoTextBreaksNoLink(t *testing.T) {
	gateway := startGateway(t, settings{})
	transport := &http.Transport{TLSClientConfig: trust()}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, c := range []struct {
		name, path, body string
		header           http.Header
		want             int
	}{
		{"an action", "/v1/actors/tally:a/actions/add%ff", `{"args":[1]}`, nil, http.StatusBadRequest},
		{"half of an action", "/v1/actors/tally:a/actions/%c3", `{"args":[1]}`, nil, http.StatusBadRequest},
		{"a key", "/v1/actors/tally:%ff/actions/add", `{"args":[1]}`, nil, http.StatusBadRequest},
		{"a type", "/v1/actors/%ff:a/actions/add", `{"args":[1]}`, nil, http.StatusBadRequest},
		{"a namespace", "/v1/actors/tally:a/actions/add?namespace=%ff", `{"args":[1]}`, nil, http.StatusBadRequest},
		{"half a surrogate", "/v1/actors/tally:a/actions/add", `{"args":["\ud800"]}`, nil, http.StatusBadRequest},
		{"a trace state", "/v1/actors/tally:a/actions/add", `{"args":[1]}`, http.Header{"Traceparent": {trace}, "Tracestate": {"a=\xff"}}, http.StatusOK},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+gateway.address+c.path, body(c.body))
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range c.header {
			request.Header[name] = values
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != c.want {
			t.Errorf("%s: status %d, want %d", c.name, response.StatusCode, c.want)
		}
	}
	for _, c := range []struct{ name, call string }{
		{"an action", `{"type":"call","id":1,"action":"add\ud800","args":[1],"target":"tally:a"}`},
		{"a key", `{"type":"call","id":1,"action":"add","args":[1],"target":"tally:\ud800"}`},
		{"a trace state", `{"type":"call","id":1,"action":"add","args":[1],"target":"tally:a","traceparent":"` + trace + `","tracestate":"a=\ud800"}`},
		{"an event", `{"type":"connectionOpen","connection":1,"target":"tally:a","subscriptions":["\ud800"]}`},
	} {
		if answer, err := sayJSON(t.Context(), gateway.address, c.call); err != nil {
			t.Errorf("%s in JSON: %v", c.name, err)
		} else {
			t.Logf("%s in JSON: %s", c.name, answer)
		}
	}
	good, err := newCaller(t.Context(), "websocket", gateway.address)
	if err != nil {
		t.Fatal(err)
	}
	defer good.close()
	if err := good.call(t.Context()); err != nil {
		t.Error(err)
	}
}
