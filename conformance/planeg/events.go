package planeg

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// stream is a client of server-sent events, which reads when the case asks.
type stream struct {
	*play
	path     string
	response *http.Response // nil: there is none
	lines    *bufio.Reader
	err      error
	id       string // of the last event
}

// sent is one event, or a comment, which has no name.
type sent struct {
	name, data, comment string
	body                object // of the gateway's own
}

// events asks for an actor's events, behind the one with that id; "": from here on. The answer comes on the channel.
func (p *play) events(path, behind string) <-chan *stream {
	ctx, cancel := context.WithTimeout(p.ctx, p.patience(30*time.Second))
	streams, done := make(chan *stream, 1), make(chan struct{})
	p.asked.Add(1)
	s := &stream{play: p, path: path, id: behind}
	p.atEnd(func() {
		cancel()
		<-done
		s.leave()
	})
	go func() {
		defer close(done)
		s.ask(ctx)
		streams <- s
	}()
	return streams
}

func (s *stream) ask(ctx context.Context) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.gateway.url(s.path), nil)
	if err != nil {
		s.err = err
		return
	}
	if s.clientToken != "" {
		r.Header.Set("Authorization", "Bearer "+s.clientToken)
	}
	if s.id != "" {
		r.Header.Set("Last-Event-ID", s.id)
	}
	if s.response, s.err = s.gateway.client.Do(r); s.err == nil {
		s.lines = bufio.NewReader(s.response.Body)
	}
}

// opened takes a stream, and the first event of it.
func (p *play) opened(streams <-chan *stream) (*stream, object) {
	s := <-streams
	if s.err != nil {
		p.failf("http", "%s: %v", s.path, s.err)
	}
	kind := s.response.Header.Get("Content-Type")
	p.check(s.response.StatusCode == http.StatusOK && strings.HasPrefix(kind, "text/event-stream"), "stream", "%s is answered %d %s", s.path, s.response.StatusCode, kind)
	e := s.next()
	p.check(e.name == "stagedoor:opened", "opened", "the first event is %s %s", e.name, e.data)
	return s, e.body
}

// leave breaks the connection.
func (s *stream) leave() {
	if s.response != nil {
		_ = s.response.Body.Close()
	}
}

// read takes what comes next; io.EOF: the response is over.
func (s *stream) read() (sent, error) {
	var e sent
	id, begun := s.id, false
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" && begun {
			break
		}
		begun = begun || line != ""
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "":
			e.comment = value
		case "event":
			e.name = value
		case "data":
			e.data += value
		case "id":
			id = value
		}
	}
	s.id = id
	if strings.HasPrefix(e.name, "stagedoor:") {
		if err := json.Unmarshal([]byte(e.data), &e.body); err != nil {
			s.failf("data", "%s has the data %q: %v", e.name, short(e.data), err)
		}
	}
	s.note("event %s %s %s", e.name, short(e.data), e.comment)
	return e, nil
}

// next takes the next event, past comments.
func (s *stream) next() sent {
	for {
		e, err := s.read()
		if err != nil {
			s.failf("event", "no event comes: %v", err)
		}
		if e.name != "" {
			return e
		}
	}
}

// hears takes an event.
func (s *stream) hears(name, data string) {
	e := s.next()
	s.check(e.name == name && e.data == data, "event", "there came %s %s, want %s %s", e.name, short(e.data), name, data)
	s.check(s.id != "", "id", "the event %s has no id", name)
}

// ends takes the last event, and the end of the response.
func (s *stream) ends() object {
	e := s.next()
	s.check(e.name == "stagedoor:closed", "closed", "there came %s %s, want the end", e.name, short(e.data))
	more, err := s.read()
	s.check(errors.Is(err, io.EOF), "end", "behind the end there came %s %s, %v", more.name, more.data, err)
	return e.body
}
