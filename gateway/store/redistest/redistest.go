// Package redistest starts real Redis servers for tests: one alone, a master watched by Sentinels, a Cluster.
//
// Tests of several packages use it; nothing else may. Every server is a process of its own on a free loopback port, with a
// temporary directory. It is ended when the test is over, however that ends, and by the kernel if the test's process dies
// first. Faults are real ones: SIGKILL, SIGSTOP, a replica that can no longer reach its master. Whatever waits, waits by
// asking the servers. Where there is no redis-server to start, the test fails.
//
// Methods fail the test instead of returning errors, so call them from the test's goroutine. Node.Do may be called
// from any.
package redistest

import (
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Program is the server that is started; found in the PATH.
const Program = "redis-server"

// Options say how the servers run. The zero value: no persistence, no password, no TLS.
type Options struct {
	AppendOnly bool
	// Fsync is no (default), everysec or always. Whatever is answered survives Kill but with everysec, where the log is written behind
	// a sync that is under way.
	Fsync string
	// Password is required of clients: of User, which is made with all rights, or of the default user.
	User, Password string
	TLS            bool
	Config         []string // further directives, "name value"
	// OneHeir: only the last replica may ever be promoted; not the others, and not a master that comes back without what was written
	// meanwhile.
	OneHeir bool
}

// Servers are the processes of one test.
type Servers struct {
	t         testing.TB
	options   Options
	files     *tlsFiles // nil: no TLS
	Nodes     []*Node   // data nodes: masters first
	Sentinels []*Node
	master    string // the name that the Sentinels know; empty: none
	cluster   bool
}

// Standalone starts one server.
func Standalone(t testing.TB, o Options) *Servers {
	t.Helper()
	s := prepare(t, o)
	s.Nodes = []*Node{s.start(nil)}
	return s
}

// Replicated starts a master and replicas that nobody watches.
func Replicated(t testing.TB, o Options, replicas int) *Servers {
	t.Helper()
	s := prepare(t, o)
	for i := range 1 + replicas {
		var config []string
		if i > 0 {
			config = append(config, "replicaof "+s.Nodes[0].hostPort())
		}
		if o.OneHeir && i < replicas {
			config = append(config, "replica-priority 0")
		}
		s.Nodes = append(s.Nodes, s.start(config))
	}
	s.awaitReplicas(s.Nodes[0], replicas)
	return s
}

func prepare(t testing.TB, o Options) *Servers {
	t.Helper()
	if _, err := exec.LookPath(Program); err != nil {
		t.Fatalf("the tests start real Redis servers, and there is no %s in the PATH (Debian: apt-get install redis-server)", Program)
	}
	s := &Servers{t: t, options: o}
	if o.TLS {
		s.files = makeTLS(t)
	}
	return s
}

// URL is what a gateway is given to reach them.
func (s *Servers) URL() string {
	u := url.URL{Scheme: "redis", Path: "/"}
	query := url.Values{}
	if s.files != nil {
		u.Scheme = "rediss"
		query.Set("ca", s.files.ca)
		query.Set("cert", s.files.cert)
		query.Set("key", s.files.key)
	}
	if s.options.Password != "" {
		u.User = url.UserPassword(s.options.User, s.options.Password)
	}
	seeds := s.Nodes
	if s.master != "" {
		seeds = s.Sentinels
		query.Set("master", s.master)
	}
	var hosts []string
	for _, n := range seeds {
		hosts = append(hosts, n.Addr)
	}
	u.Host = strings.Join(hosts, ",")
	u.RawQuery = query.Encode()
	return u.String()
}

// Masters are the nodes that say they are masters and answer.
func (s *Servers) Masters() []*Node {
	var masters []*Node
	for _, n := range s.Nodes {
		if role, err := n.role(); err == nil && role == "master" {
			masters = append(masters, n)
		}
	}
	return masters
}

// MasterOf is the node that serves the key by its own account; in a Cluster with slots nobody serves, the test fails.
func (s *Servers) MasterOf(key string) *Node {
	s.t.Helper()
	for _, n := range s.Masters() {
		if !s.cluster {
			return n
		}
		// GET answers MOVED, or CLUSTERDOWN, where the key does not live; any other answer is one of the owner.
		_, err := n.Do("EXISTS", key)
		if err == nil {
			return n
		}
	}
	s.t.Fatalf("no master serves %q", key)
	return nil
}

// ReplicasOf are the nodes that follow the master and answer.
func (s *Servers) ReplicasOf(master *Node) []*Node {
	var replicas []*Node
	for _, n := range s.Nodes {
		if of, err := n.follows(); err == nil && of == master.Addr {
			replicas = append(replicas, n)
		}
	}
	return replicas
}

// patience bounds every wait. It is far more than anything here takes on a loaded machine.
const patience = 30 * time.Second

// Await asks until it gets nil, and fails the test with the last answer after half a minute.
func (s *Servers) Await(what string, ask func() error) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("waited for %s: %v", what, err)
		}
		<-tick.C
	}
}

// awaitReplicas waits until n replicas are in step with the master.
func (s *Servers) awaitReplicas(master *Node, n int) {
	s.t.Helper()
	s.Await(fmt.Sprintf("%d replicas of %s", n, master.Addr), func() error {
		info, err := master.Info("replication")
		if err != nil {
			return err
		}
		online := 0
		for name, value := range info {
			if strings.HasPrefix(name, "slave") && strings.Contains(value, "state=online") {
				online++
			}
		}
		if online < n {
			return fmt.Errorf("%d are online", online)
		}
		return nil
	})
}
