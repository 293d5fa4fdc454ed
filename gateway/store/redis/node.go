package redis

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// node is a server, by its address. Which process answers there, and as what, may change with each connection.
type node struct {
	addr   string
	client rueidis.Client
	dials  atomic.Uint64 // connections opened so far
	health atomic.Pointer[health]
}

// health is what a check found out about a node. It holds for the connections that were open by then: a call counts as
// answered only if there has been none since [RDS-9].
type health struct {
	dials   uint64
	history string // names the line of writes that the server's data comes from; another process or master has another
	err     error  // why the node is given nothing; nil: it serves
	classes classes
}

// current tells whether the check speaks of all connections.
func (n *node) current(h *health) bool { return h != nil && h.dials == n.dials.Load() }

const (
	dialTime  = time.Second
	replyTime = 3 * time.Second // without any reply for so long a connection is closed
	// bufferBytes, per direction and connection.
	bufferBytes = 128 << 10
	// maxWaiting bounds the connections on which batches wait for replicas or the disk [RDS-7].
	maxWaiting = 32
)

// newNode makes a node. It connects at once if it can, and by itself whenever something is sent.
func (e *endpoint) newNode(addr string, sentinel bool) *node {
	n := &node{addr: addr}
	o := rueidis.ClientOption{
		InitAddress: []string{addr}, ForceSingleClient: true,
		Username: e.user, Password: e.password, SelectDB: e.db, ClientName: "stagedoor",
		DisableRetry: true, DisableCache: true, AlwaysPipelining: true,
		PipelineMultiplex: -1, BlockingPoolSize: maxWaiting, BlockingPipeline: 1 << 20,
		Dialer:             net.Dialer{Timeout: dialTime, KeepAlive: time.Second},
		ConnWriteTimeout:   replyTime,
		ReadBufferEachConn: bufferBytes, WriteBufferEachConn: bufferBytes,
		TLSConfig: e.tls, DialCtxFn: n.dial,
	}
	if sentinel {
		o.Username, o.Password, o.SelectDB = e.sentinelUser, e.sentinelPassword, 0
	}
	// An error is that of the first connection only; the next command finds out for itself.
	n.client, _ = rueidis.NewClient(o)
	return n
}

func (n *node) dial(ctx context.Context, addr string, d *net.Dialer, c *tls.Config) (net.Conn, error) {
	// Counted first: whoever compares must not miss a connection that already carries something.
	n.dials.Add(1)
	if c == nil {
		return d.DialContext(ctx, "tcp", addr)
	}
	return (&tls.Dialer{NetDialer: d, Config: c}).DialContext(ctx, "tcp", addr)
}
