package planeg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// answer is what came over HTTP.
type answer struct {
	asked  string
	status int
	header http.Header
	text   string
	body   object // of a JSON answer
	err    error
}

// asking asks over HTTP; headers are name after name and value. The answer comes on the channel, whatever it is.
func (p *play) asking(method, path, body string, headers ...string) <-chan answer {
	ctx, cancel := context.WithTimeout(p.ctx, p.patience(20*time.Second))
	answers, done := make(chan answer, 1), make(chan struct{})
	p.atEnd(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		answers <- p.exchange(ctx, method, path, body, headers)
	}()
	return answers
}

func (p *play) exchange(ctx context.Context, method, path, body string, headers []string) answer {
	a := answer{asked: method + " " + path}
	p.asked.Add(1)
	r, err := http.NewRequestWithContext(ctx, method, p.gateway.url(path), strings.NewReader(body))
	if err != nil {
		a.err = err
		return a
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.clientToken != "" {
		r.Header.Set("Authorization", "Bearer "+p.clientToken)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := p.gateway.client.Do(r)
	if err != nil {
		a.err = err
		return a
	}
	b, err := io.ReadAll(io.LimitReader(response.Body, maxFrame))
	a.err = errors.Join(err, response.Body.Close())
	a.status, a.header, a.text = response.StatusCode, response.Header, string(b)
	if a.err == nil && len(b) > 0 && strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(b, &a.body); err != nil {
			a.err = fmt.Errorf("%q is no JSON: %w", short(a.text), err)
		}
	}
	p.note("%s answers %d %s", a.asked, a.status, short(a.text))
	return a
}

// answered takes what came.
func (p *play) answered(answers <-chan answer) answer {
	a := <-answers
	if a.err != nil {
		p.failf("http", "%s: %v", a.asked, a.err)
	}
	return a
}

// ask asks over HTTP and takes the answer.
func (p *play) ask(method, path, body string, headers ...string) answer {
	return p.answered(p.asking(method, path, body, headers...))
}

// admin is the header of who may do everything, where the gateway asks for a token.
func (p *play) admin() []string {
	if p.adminToken == "" {
		return nil
	}
	return []string{"Authorization", "Bearer " + p.adminToken}
}

// says checks an answer's status and, if it is an error, its code; "" is for none.
func (p *play) says(a answer, status int, code string) {
	got := ""
	if _, is := a.body["error"]; is {
		got = codeOf(a.body)
	}
	p.check(a.status == status && got == code, "answer", "%s answers %d %s, want %d %s", a.asked, a.status, short(a.text), status, code)
}

// put makes an actor; a gateway may tell by the status that it was not there.
func (p *play) put(r *runner, key string) *runnerv1alpha1.StartActor {
	answers := p.asking("PUT", p.at(":"+key), "")
	start := r.begin(key)
	a := p.answered(answers)
	p.check(a.status/100 == 2 && a.body["created"] == true, "created", "%s answers %d %s", a.asked, a.status, a.text)
	return start
}

// at is the path of an actor of the case's type; the segment goes on as it is written in URLs [ADDR-3].
func (p *play) at(segment string) string { return "/v1/actors/" + p.kind + segment }

func (p *play) action(segment string) string { return p.at(segment) + "/actions/x" }
