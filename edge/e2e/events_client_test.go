package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing/synctest"
)

// eventStream is a client of server-sent events. It reads what the test asks for, and nothing ahead: a pipe holds nothing.
type eventStream struct {
	w      *world
	conn   net.Conn
	res    *http.Response
	from   *bufio.Reader
	id     string // of the last event
	opened struct {
		ActorID, ConnectionID string
		Resumed               bool
	}
}

// annsEvents is the path of a connection of ann's, with what stands behind in its query.
func annsEvents(query string) string {
	return "/v1/actors/lab:r/events?params=" + url.QueryEscape(`{"name":"ann"}`) + query
}

// listen asks for events; header holds pairs. The answer must be a stream.
func (w *world) listen(path, id string, header ...string) *eventStream {
	w.Helper()
	conn, err := w.Dial(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	head := "GET " + path + " HTTP/1.1\r\nHost: gateway\r\n"
	if id != "" {
		head += "Last-Event-ID: " + id + "\r\n"
	}
	for i := 0; i+1 < len(header); i += 2 {
		head += header[i] + ": " + header[i+1] + "\r\n"
	}
	if _, err := conn.Write([]byte(head + "\r\n")); err != nil {
		w.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil) // 16 bytes are the least
	if err != nil {
		w.Fatal(err)
	}
	l := &eventStream{w: w, conn: conn, res: res, from: bufio.NewReaderSize(res.Body, 16), id: id}
	if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || kind != "text/event-stream" {
		w.Fatalf("%s is answered %d %s", path, res.StatusCode, kind)
	}
	return l
}

// open is listen, and takes the first event.
func (w *world) open(path, id string, header ...string) *eventStream {
	w.Helper()
	l := w.listen(path, id, header...)
	name, data := l.next()
	if err := json.Unmarshal([]byte(data), &l.opened); err != nil || name != "stagedoor:opened" {
		w.Fatalf("the first event is %s %s (%v)", name, data, err)
	}
	return l
}

// read takes the next event, or a comment, whose name is ":".
func (l *eventStream) read() (name, data string, err error) {
	id := l.id
	for {
		line, err := l.from.ReadString('\n')
		if err != nil {
			return "", "", err
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ": ")
		switch field {
		case "":
			if line == "" {
				l.id = id
				return name, data, nil
			}
			name, data = ":", value
		case "event":
			name = value
		case "data":
			data = value
		case "id":
			id = value
		default:
			l.w.Fatalf("the line %q", line)
		}
	}
}

func (l *eventStream) next() (name, data string) {
	l.w.Helper()
	name, data, err := l.read()
	if err != nil {
		l.w.Fatalf("the next event: %v", err)
	}
	return name, data
}

// want takes events, each as its name and data.
func (l *eventStream) want(events ...string) {
	l.w.Helper()
	for _, want := range events {
		if name, data := l.next(); name+" "+data != want {
			l.w.Fatalf("got %s %s, want %s", name, data, want)
		}
	}
}

// silent checks that nothing comes until the gateway says that it lives.
func (l *eventStream) silent() { l.w.Helper(); l.want(": ping") }

// closed takes the last event, and the end of the response behind it.
func (l *eventStream) closed(code, reconnect string) {
	l.w.Helper()
	name, data := l.next()
	var closed struct {
		Error     struct{ Group, Code, Message string }
		Reconnect string
	}
	if err := json.Unmarshal([]byte(data), &closed); err != nil || name != "stagedoor:closed" {
		l.w.Fatalf("got %s %s (%v), want the end", name, data, err)
	}
	wantEqual(l.w, "code", closed.Error.Group+"."+closed.Error.Code, code)
	wantEqual(l.w, "reconnect", closed.Reconnect, reconnect)
	if _, _, err := l.read(); !errors.Is(err, io.EOF) {
		l.w.Fatalf("behind the end: %v", err)
	}
}

// cut breaks the socket.
func (l *eventStream) cut() {
	_ = l.conn.Close()
	synctest.Wait()
}
