package e2e

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a process and a server and can cut what goes through it.
type proxy struct {
	t        *testing.T
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu    sync.Mutex
	pipes []*pipe
}

// pipe is one connection through a proxy.
type pipe struct {
	near, far net.Conn
	up, down  atomic.Int64 // bytes from near to far, and back
	over      atomic.Bool
}

// cut ends the connection; false: it has ended before.
func (p *pipe) cut() bool {
	first := !p.over.Swap(true)
	_ = p.near.Close()
	_ = p.far.Close()
	return first
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, listener: l, to: to}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.cutAll()
		p.running.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = near.Close()
			continue
		}
		link := &pipe{near: near, far: far}
		p.mu.Lock()
		p.pipes = append(p.pipes, link)
		p.mu.Unlock()
		p.running.Go(func() { link.carry(far, near, &link.up) })
		p.running.Go(func() { link.carry(near, far, &link.down) })
	}
}

func (p *pipe) carry(to, from net.Conn, bytes *atomic.Int64) {
	defer p.cut()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		bytes.Add(int64(n))
		if _, werr := to.Write(buf[:n]); werr != nil || err != nil {
			return
		}
	}
}

// all are the connections so far, those that have ended among them.
func (p *proxy) all() []*pipe {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*pipe(nil), p.pipes...)
}

func (p *proxy) cutAll() {
	for _, link := range p.all() {
		link.cut()
	}
}
