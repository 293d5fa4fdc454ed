package redistest

import (
	"errors"
	"fmt"
	"strconv"
)

// CutReplica stops a replica from following its master, for good: the link is closed and the replica's next attempts are
// refused by the master. Both go on serving, and the replica still knows whose it is, so that it can be promoted.
//
// Stopping the replica with SIGSTOP would not do: what the master wrote is in the replica's socket by then, and is
// read when it goes on.
func (s *Servers) CutReplica(replica *Node) {
	s.t.Helper()
	replica.Must("CONFIG", "SET", "masteruser", "nobody", "masterauth", "cut")
	replica.Must("CLIENT", "KILL", "TYPE", "master")
	s.Await("the replica to be cut off", func() error {
		info, err := replica.Info("replication")
		if err == nil && info["master_link_status"] != "down" {
			err = errors.New("its link is up")
		}
		return err
	})
}

// JoinReplica ends what CutReplica did and waits until the replica has caught up, or is a master: then nothing keeps it from
// following when it becomes a replica again.
func (s *Servers) JoinReplica(replica *Node) {
	s.t.Helper()
	replica.Must("CONFIG", "SET", "masteruser", s.options.User, "masterauth", s.options.Password)
	s.Await("the replica to follow", func() error {
		info, err := replica.Info("replication")
		if err == nil && info["role"] != "master" && info["master_link_status"] != "up" {
			err = errors.New("its link is " + info["master_link_status"])
		}
		return err
	})
}

// AwaitCopied waits until a replica has all that its master has written so far. WAIT would not tell: it speaks of the
// writes of its own connection only.
func (s *Servers) AwaitCopied(master, replica *Node) {
	s.t.Helper()
	info, err := master.Info("replication")
	if err != nil {
		s.t.Fatal(err)
	}
	written, err := strconv.ParseInt(info["master_repl_offset"], 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Await("the replica to have everything", func() error {
		info, err := replica.Info("replication")
		if err != nil {
			return err
		}
		copied, err := strconv.ParseInt(info["slave_repl_offset"], 10, 64)
		if err == nil && copied < written {
			err = fmt.Errorf("it has %d of %d bytes", copied, written)
		}
		return err
	})
}
