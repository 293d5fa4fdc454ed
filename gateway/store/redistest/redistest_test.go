package redistest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKilledServerComesBackWithWhatItWrote(t *testing.T) {
	s := Standalone(t, Options{AppendOnly: true})
	n := s.Nodes[0]
	n.Must("SET", "a", "1")
	n.Kill()
	if _, err := n.Do("PING"); err == nil {
		t.Fatal("a killed server answers")
	}
	n.Restart()
	if got := n.Must("GET", "a"); got != "1" {
		t.Errorf("a is %v after the restart", got)
	}
	n.Erase()
	n.Restart()
	if got := n.Must("GET", "a"); got != nil {
		t.Errorf("a is %v after the files were removed", got)
	}
}

func TestPausedServerDoesNotAnswer(t *testing.T) {
	n := Standalone(t, Options{}).Nodes[0]
	n.Pause()
	if _, err := n.Do("PING"); err == nil {
		t.Error("a paused server answers")
	}
	n.Continue()
	n.Must("PING")
}

func TestUsersAndCertificatesAreAskedFor(t *testing.T) {
	s := Standalone(t, Options{TLS: true, User: "gate", Password: "secret"})
	n := s.Nodes[0]
	if got := n.Must("ACL", "WHOAMI"); got != "gate" {
		t.Errorf("it serves %v", got)
	}
	if !strings.HasPrefix(s.URL(), "rediss://gate:secret@127.0.0.1:") {
		t.Errorf("URL %s", s.URL())
	}
	n.s.options.Password = "other"
	if _, err := n.Do("PING"); err == nil {
		t.Error("a wrong password is taken")
	}
	n.s.options.Password = "secret"
	n.tls = n.tls.Clone()
	n.tls.Certificates = nil
	if _, err := n.Do("PING"); err == nil {
		t.Error("a client without a certificate is served")
	}
}

// The positive control of every test that cuts: what was written behind the cut is not on the replica.
func TestCutReplicaMissesWrites(t *testing.T) {
	s := Replicated(t, Options{}, 1)
	master, replica := s.Nodes[0], s.Nodes[1]
	s.CutReplica(replica)
	master.Must("SET", "a", "1")
	master.Kill()
	replica.Must("REPLICAOF", "NO", "ONE")
	if got := replica.Must("GET", "a"); got != nil {
		t.Errorf("the replica has %v", got)
	}
}

func TestSentinelsPromote(t *testing.T) {
	s := Sentinel(t, Options{})
	old := s.MasterOf("a")
	cut := s.ReplicasOf(old)[0]
	s.CutReplica(cut)
	s.JoinReplica(cut)
	old.Kill()
	s.Await("a new master", func() error {
		if masters := s.Masters(); len(masters) != 1 || masters[0] == old {
			return fmt.Errorf("masters %v", len(masters))
		}
		return nil
	})
}

func TestClusterReplacesAMaster(t *testing.T) {
	s := Cluster(t, Options{}, 3, 1)
	old := s.MasterOf("a")
	old.Must("SET", "a", "1")
	replica := s.ReplicasOf(old)[0]
	s.AwaitCopied(old, replica)
	old.Kill()
	s.Await("the replica to serve", func() error {
		if got, err := replica.Do("GET", "a"); err != nil || got != "1" {
			return errors.Join(err, fmt.Errorf("a is %v", got))
		}
		return nil
	})
	if s.MasterOf("a") != replica {
		t.Error("MasterOf names another node")
	}
}
