package redis

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// ErrClass: the servers do not keep the promise of a durability class. The error says which setting to change.
var ErrClass = errors.New("the durability class cannot be given")

// classes are a node's promises by class.
type classes [store.Replicated + 1]promise

// promise says how a class is acknowledged by a node.
type promise struct {
	wait waiting
	err  error // why it cannot be; nil: it can
}

// waiting is what has to come behind the answers of a batch before they count.
type waiting uint8

const (
	waitNothing  waiting = iota // the reply is the acknowledgement
	waitReplicas                // WAIT
	waitDisk                    // WAITAOF
)

// waitTime bounds WAIT and WAITAOF within an attempt.
const waitTime = 500 * time.Millisecond

// judge derives the promises from a node's settings. They are independent of each other [RDS-8].
func (f *facts) judge(replicas int) classes {
	var c classes
	c[store.Fast].err = f.keepsLog()
	c[store.Disk] = f.disk()
	c[store.Replicated] = promise{wait: waitReplicas, err: f.replicated(replicas)}
	return c
}

// keepsLog: without the log a restarted process has lost everything, and a restarted master empties its replicas.
func (f *facts) keepsLog() error {
	if f.info["aof_enabled"] != "1" {
		return fmt.Errorf("%w: the server keeps no log of its writes; set appendonly yes", ErrClass)
	}
	if f.info["aof_last_write_status"] == "err" {
		return fmt.Errorf("%w: the server cannot write its log; see the server's log", ErrClass)
	}
	return nil
}

// disk: appendfsync always has every reply wait for its fsync, WAITAOF waits for one behind the batch.
func (f *facts) disk() promise {
	err := f.keepsLog()
	switch {
	case err != nil:
		return promise{err: err}
	case f.config["appendfsync"] == "always" && f.config["no-appendfsync-on-rewrite"] == "no":
		return promise{wait: waitNothing}
	case f.version.atLeast(7, 2):
		return promise{wait: waitDisk}
	case len(f.config) == 0:
		return promise{err: fmt.Errorf("%w: the server does not say how it writes its log; "+
			"allow the user CONFIG GET, or use a server of version 7.2 or later", ErrClass)}
	case f.config["appendfsync"] == "always":
		return promise{err: fmt.Errorf("%w: the log is not synced while it is rewritten; "+
			"set no-appendfsync-on-rewrite no", ErrClass)}
	}
	return promise{err: fmt.Errorf("%w: a write is acknowledged before it is on the disk; set appendfsync always, "+
		"or use a server of version 7.2 or later", ErrClass)}
}

func (f *facts) replicated(n int) error {
	if err := f.keepsLog(); err != nil {
		return err
	}
	online := 0
	for name, value := range f.info {
		if strings.HasPrefix(name, "slave") && strings.Contains(value, "state=online") {
			online++
		}
	}
	if online < n {
		return fmt.Errorf("%w: the master has %d replicas, %d have to acknowledge; add replicas", ErrClass, online, n)
	}
	return nil
}

// command is what is sent behind a batch.
func (w waiting) command(b rueidis.Builder, replicas int) rueidis.Completed {
	if w == waitDisk {
		return b.Waitaof().Numlocal(1).Numreplicas(0).Timeout(waitTime.Milliseconds()).Build()
	}
	return b.Wait().Numreplicas(int64(replicas)).Timeout(waitTime.Milliseconds()).Build()
}

// reached reads the answer to command. Too few is an unknown outcome, never a refusal: the write stands, and may
// yet be copied [RDS-6].
func (w waiting) reached(r rueidis.RedisResult, replicas int) error {
	if w == waitDisk {
		numbers, err := r.AsIntSlice()
		if err != nil {
			return err
		}
		if len(numbers) == 0 || numbers[0] < 1 {
			return errors.New("the write is not on the disk yet")
		}
		return nil
	}
	n, err := r.AsInt64()
	if err != nil {
		return err
	}
	if n < int64(replicas) {
		return fmt.Errorf("%d of %d replicas have acknowledged the write", n, replicas)
	}
	return nil
}

// version of a server: major and minor.
type version [2]int

func parseVersion(s string) (v version) {
	parts := strings.SplitN(s, ".", 3)
	for i := range min(len(parts), len(v)) {
		v[i], _ = strconv.Atoi(parts[i]) // Not a number: 0, which is too old.
	}
	return v
}

func (v version) atLeast(major, minor int) bool {
	return v[0] > major || v[0] == major && v[1] >= minor
}
