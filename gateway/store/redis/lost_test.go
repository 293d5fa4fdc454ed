package redis

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// thief stands between the store and its server. It takes the answer of one call, and with it the connection.
type thief struct {
	listener net.Listener
	server   string
	relays   sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	fn    string // the call whose answer is taken; empty: none
	then  func() // called when it is
}

func newThief(t *testing.T, server string) *thief {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &thief{listener: l, server: server}
	p.relays.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.relays.Wait()
	})
	return p
}

func (p *thief) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.relays.Go(func() { p.ask(server, client) })
	}
}

// ask relays one connection. Questions are forwarded as they come; once one was the call in question, so is its answer awaited,
// and nothing of it given back.
func (p *thief) ask(server, client net.Conn) {
	var answers sync.WaitGroup
	answers.Go(func() { _, _ = io.Copy(client, server) })
	defer answers.Wait()
	defer server.Close()
	defer client.Close()
	page := make([]byte, 64<<10)
	for {
		n, err := client.Read(page)
		if err != nil {
			return
		}
		if then := p.takes(page[:n]); then != nil {
			_ = client.(*net.TCPConn).CloseWrite() // the answer goes nowhere
			p.deliver(page[:n])
			then()
			return
		}
		if _, err := server.Write(page[:n]); err != nil {
			return
		}
	}
}

func (p *thief) takes(question []byte) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fn == "" || !bytes.Contains(question, []byte(p.fn)) {
		return nil
	}
	p.fn = ""
	return p.then
}

// deliver asks the question on a connection of its own and waits for the beginning of the answer.
func (p *thief) deliver(question []byte) {
	conn, err := net.DialTimeout("tcp", p.server, time.Minute)
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := conn.Write(question); err == nil {
		_, _ = conn.Read(make([]byte, 1))
	}
}

// take has the answer of the next call of a function taken. then happens between that and its repetition.
func (p *thief) take(fn string, then func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fn, p.then = fn, then
}

// What a lost answer means: a repetition that finds its own work has succeeded; one that finds somebody else's cannot tell, and
// says so [COMMIT-4].
func TestLostAnswers(t *testing.T) {
	servers := redistest.Standalone(t, redistest.Options{AppendOnly: true})
	p := newThief(t, servers.Nodes[0].Addr)
	s, err := Open(t.Context(), Config{URL: "redis://" + p.listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	direct, err := Open(t.Context(), Config{URL: servers.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	nothing := func() {}
	owner := func(name string) *testOwner {
		return newOwner(t, s, address.Address{Namespace: "default", Type: "room", Key: []string{name}})
	}
	unknown := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, store.ErrFenced) {
			t.Errorf("%s: %v, want an unknown outcome", what, err)
		}
	}

	o := owner("kept")
	p.take(fnCommit, nothing)
	o.must(store.Commit{CommitID: [16]byte{1}})

	o = owner("superseded")
	p.take(fnCommit, func() {
		if _, err := direct.Acquire(t.Context(), store.Acquire{ID: o.record.ID, Runner: "other"}); err != nil {
			t.Error(err)
		}
	})
	c := o.prepare(store.Commit{CommitID: [16]byte{1}})
	unknown("a commit followed by a take-over", commitAndWait(s, c))
	if now, err := s.Describe(t.Context(), o.record.ID); err != nil || now.Version != 1 {
		t.Errorf("it was applied: version %d, %v", now.Version, err)
	}
	if err := commitAndWait(s, c); !errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrGone) {
		t.Errorf("asked again: %v", err)
	}

	o = owner("destroying")
	c = o.prepare(store.Commit{CommitID: [16]byte{1}, Destroy: true})
	p.take(fnCommit, nothing)
	unknown("a destroying commit", commitAndWait(s, c))
	if err := commitAndWait(s, c); !errors.Is(err, store.ErrGone) {
		t.Errorf("asked again: %v", err)
	}

	o = owner("destroyed")
	p.take(fnDestroy, nothing)
	if err := s.Destroy(t.Context(), o.record.ID); err != nil {
		t.Errorf("destroy: %v", err)
	}

	lease := store.Lease{ID: "r", Kind: store.RunnerLease, Session: "s"}
	p.take(fnGrant, nothing)
	if _, err := s.Grant(t.Context(), lease, time.Minute); err != nil {
		t.Errorf("grant: %v", err)
	}
	p.take(fnRevoke, nothing)
	if err := s.Revoke(t.Context(), lease.ID, lease.Session); err != nil {
		t.Errorf("revoke: %v", err)
	}
}
