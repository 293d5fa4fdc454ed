package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/edge/serve/servetest"
)

// [HTTP-9] [HTTP-10]: events over each version of HTTP: as they come, on behind a cut, and with an end when the gateway drains.
func TestEventsOverEveryVersionOfHTTP(t *testing.T) {
	s := plan(t)
	s.startDevelopment()
	s.startRunner()
	sdk := s.client()
	ways := servetest.Ways(t, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test's own gateway
	streams := make([]*wayEvents, len(ways))
	for i, way := range ways {
		l := &wayEvents{t: t, way: way, url: fmt.Sprintf("%s://%s/v1/actors/counter:events%d/events?event=count", way.Scheme, s.address, i)}
		counter := sdk.GetOrCreate("counter", []string{fmt.Sprintf("events%d", i)})
		add := func() {
			if _, err := client.Call[int](t.Context(), counter, "increment", 1); err != nil {
				t.Fatal(err)
			}
		}
		if l.open() {
			t.Errorf("%s: nothing was there to go on with", way.Version)
		}
		add()
		l.want("count", "[1]")
		add()
		add()
		l.cut() // with two events that may have arrived, and were not read
		add()
		if !l.open() {
			t.Errorf("%s: the session does not go on", way.Version)
		}
		for n := 2; n <= 4; n++ {
			l.want("count", fmt.Sprintf("[%d]", n))
		}
		streams[i] = l
	}
	if err := s.gateway.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, l := range streams {
		if name, data := l.next(); name != "stagedoor:closed" || !strings.Contains(data, `"draining"`) || !strings.HasSuffix(data, `"reconnect":"any"}`) {
			t.Errorf("%s over %s: the end is %s %s", l.way.Version, l.way.Scheme, name, data)
		}
		if l.lines.Scan() {
			t.Errorf("%s over %s: behind the end: %q", l.way.Version, l.way.Scheme, l.lines.Text())
		}
		l.cut()
	}
}

// wayEvents is a client of server-sent events over one version of HTTP.
type wayEvents struct {
	t     *testing.T
	way   servetest.Way
	url   string
	id    string
	body  interface{ Close() error }
	lines *bufio.Scanner
}

// open begins, or goes on behind the last event.
func (l *wayEvents) open() (resumed bool) {
	l.t.Helper()
	request, err := http.NewRequestWithContext(l.t.Context(), http.MethodGet, l.url, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	if l.id != "" {
		request.Header.Set("Last-Event-ID", l.id)
	}
	response, err := l.way.Do(request)
	if err != nil {
		l.t.Fatalf("%s over %s: %v", l.way.Version, l.way.Scheme, err)
	}
	l.t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Proto != l.way.Version || response.Header.Get("Content-Type") != "text/event-stream" {
		l.t.Fatalf("answered %s over %s, not %s: %v", response.Status, response.Proto, l.way.Version, response.Header)
	}
	l.body, l.lines = response.Body, bufio.NewScanner(response.Body)
	name, data := l.next()
	var opened struct{ Resumed bool }
	if err := json.Unmarshal([]byte(data), &opened); err != nil || name != "stagedoor:opened" {
		l.t.Fatalf("the first event is %s %s (%v)", name, data, err)
	}
	return opened.Resumed
}

// cut leaves.
func (l *wayEvents) cut() { _ = l.body.Close() }

func (l *wayEvents) next() (name, data string) {
	l.t.Helper()
	for l.lines.Scan() {
		line := l.lines.Text()
		field, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && name != "":
			return name, data
		case field == "event":
			name = value
		case field == "data":
			data = value
		case field == "id":
			l.id = value
		}
	}
	l.t.Fatalf("%s over %s: the stream has ended: %v", l.way.Version, l.way.Scheme, l.lines.Err())
	return "", ""
}

func (l *wayEvents) want(name, data string) {
	l.t.Helper()
	if gotName, gotData := l.next(); gotName != name || gotData != data {
		l.t.Fatalf("%s over %s: got %s %s, want %s %s", l.way.Version, l.way.Scheme, gotName, gotData, name, data)
	}
}
