package client

import (
	"fmt"
	"slices"
	"testing"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
)

// What the scripted gateway says about sessions that can be resumed. Counts are pairs: channel, frames.

// grant is the Welcome of a new session that outlives its socket for 30 s.
func grant(token string) *clientv1alpha1.Welcome {
	return &clientv1alpha1.Welcome{
		Session: "s", PingMs: 600_000, Features: []string{"resume"}, ResumeToken: []byte(token), ResumeMs: 30_000,
	}
}

// resumed is the Welcome of a session that goes on.
func resumed(token string, received ...uint64) *clientv1alpha1.Welcome {
	m := grant(token)
	m.Resumed, m.Received = true, counts(received...)
	return m
}

func counts(pairs ...uint64) (list []*clientv1alpha1.Received) {
	for pair := range slices.Chunk(pairs, 2) {
		list = append(list, &clientv1alpha1.Received{Connection: pair[0], Frames: pair[1]})
	}
	return list
}

// pairs is the reverse of counts, ordered by channel.
func pairs(list []*clientv1alpha1.Received) (flat []uint64) {
	byNumber := map[uint64]uint64{}
	for _, r := range list {
		byNumber[r.GetConnection()] = r.GetFrames()
	}
	for n := range uint64(1000) {
		if frames, ok := byNumber[n]; ok {
			flat = append(flat, n, frames)
		}
	}
	return flat
}

// grants accepts the next socket, which has to begin a new session, and gives it resume.
func (g *gateway) grants(token string) *peer {
	g.t.Helper()
	p := g.accept()
	hello := next1[*clientv1alpha1.Hello](p)
	if !slices.Equal(hello.GetFeatures(), []string{"resume", "unreliable"}) || hello.GetResume() != nil {
		g.t.Fatalf("%v is not the beginning of a session", hello)
	}
	p.send(grant(token))
	return p
}

// resumes accepts the next socket, which has to ask for the session of the token, with these counts, and nothing else.
func (g *gateway) resumes(token string, received ...uint64) *peer {
	g.t.Helper()
	p := g.accept()
	hello := next1[*clientv1alpha1.Hello](p)
	if got := pairs(hello.GetResume().GetReceived()); string(hello.GetResume().GetToken()) != token || !slices.Equal(got, received) {
		g.t.Fatalf("resumes %q with %v, want %q with %v", hello.GetResume().GetToken(), got, token, received)
	}
	p.silent()
	return p
}

// wantAck checks the next Ack.
func (p *peer) wantAck(received ...uint64) {
	p.t.Helper()
	p.settle()
	select {
	case m := <-p.acks:
		if got := pairs(m.GetReceived()); !slices.Equal(got, received) {
			p.t.Fatalf("Ack of %v, want %v", got, received)
		}
	default:
		p.t.Fatalf("no Ack of %v", received)
	}
}

// noAck checks that none is there.
func (p *peer) noAck() {
	p.t.Helper()
	p.settle()
	if len(p.acks) > 0 {
		p.t.Fatalf("an Ack of %v", pairs((<-p.acks).GetReceived()))
	}
}

// attached is a client with a connection to an actor, open in a session with token "t1". The connection has number 1 and
// has heard nothing yet but ConnectionOpened.
func attached(t *testing.T, g *gateway, setup func(*Connection)) (*Client, *Connection, *peer) {
	t.Helper()
	c := g.client(Options{})
	conn := c.Get("room", nil).Connect(ConnectOptions{Setup: setup})
	p := g.grants("t1")
	p.wantAck(0, 0)
	if n := p.accepts().GetConnection(); n != 1 {
		t.Fatalf("the connection has number %d", n)
	}
	noError(t, conn.Ready(t.Context()))
	return c, conn, p
}

// told writes the events "n" of a connection into the diary, and its resets.
func (d *diary) hear(c *Connection) {
	d.keep(c)
	On(c, "n", func(n int) { d.lines = append(d.lines, fmt.Sprint(n)) })
	c.OnReset(func(err error) { d.lines = append(d.lines, "reset "+CodeOf(err)) })
}
