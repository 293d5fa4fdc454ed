package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Why a server is refused. Each error says what to do.
var (
	// ErrVersion: the server has no function libraries.
	ErrVersion = errors.New("the server is too old; use Redis 7.0 or later, or Valkey")
	// ErrReplica: the server copies another one and takes no writes.
	ErrReplica = errors.New("the server is a read-only replica; name its master, or Sentinels with ?master=NAME")
	// ErrEvicting: the server throws data away when its memory is full.
	ErrEvicting = errors.New("the server evicts data when its memory is full; set maxmemory-policy noeviction")
)

// facts are what a server says of itself.
type facts struct {
	info    map[string]string
	config  map[string]string // empty: it does not say
	version version
}

// checkTime bounds one look at a server.
const checkTime = time.Second

// look asks a server for its settings.
func look(ctx context.Context, n *node) (*facts, error) {
	b := n.client.B()
	replies := n.client.DoMulti(ctx,
		b.Arbitrary("INFO").Build(),
		b.Arbitrary("CONFIG", "GET", "append*").Build(),
		b.Arbitrary("CONFIG", "GET", "no-appendfsync-on-rewrite").Build())
	text, err := replies[0].ToString()
	if err != nil {
		return nil, err
	}
	f := &facts{info: parseInfo(text), config: map[string]string{}}
	f.version = parseVersion(f.info["redis_version"])
	for _, reply := range replies[1:] {
		settings, err := reply.AsStrMap()
		if _, refused := rueidis.IsRedisErr(err); err != nil && !refused {
			return nil, err
		}
		for name, value := range settings {
			f.config[name] = value
		}
	}
	return f, nil
}

func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// acceptable says whether the server may be written to at all.
func (f *facts) acceptable() error {
	switch {
	case !f.version.atLeast(7, 0):
		return fmt.Errorf("version %q: %w", f.info["redis_version"], ErrVersion)
	case f.info["loading"] == "1":
		return errors.New("the server is loading its data")
	case f.info["role"] != "master":
		return ErrReplica
	}
	if policy := f.info["maxmemory_policy"]; f.info["maxmemory"] != "0" && policy != "noeviction" {
		return fmt.Errorf("maxmemory-policy is %s: %w", policy, ErrEvicting)
	}
	return nil
}
