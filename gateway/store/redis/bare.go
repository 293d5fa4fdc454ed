package redis

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Bare calls functions of the library as directly as rueidis can, each once and whatever the servers promise. `stagedoor
// bench` measures a Store beside it. OpenBare makes it; it is safe for concurrent use.
type Bare struct {
	client rueidis.Client
	store  *Store // has no caller, and encodes
}

// OpenBare connects to the servers of a Store that has been opened, which has loaded the library.
func OpenBare(raw string) (*Bare, error) {
	e, err := parseURL(raw)
	if err != nil {
		return nil, err
	}
	o := rueidis.ClientOption{
		InitAddress: e.seeds, Username: e.user, Password: e.password, SelectDB: e.db, TLSConfig: e.tls,
		DisableCache: true, AlwaysPipelining: true, PipelineMultiplex: -1,
		ReadBufferEachConn: bufferBytes, WriteBufferEachConn: bufferBytes,
	}
	if e.master != "" {
		o.Sentinel = rueidis.SentinelOption{
			MasterSet: e.master, Username: e.sentinelUser, Password: e.sentinelPassword, TLSConfig: e.tls,
		}
	}
	client, err := rueidis.NewClient(o)
	if err != nil {
		return nil, err
	}
	return &Bare{client: client, store: open(nil, cmp.Or(e.prefix, defaultPrefix), store.DefaultLimits(), nil)}, nil
}

// Commit sends commits of different actors in one pipeline.
func (b *Bare) Commit(ctx context.Context, commits []store.Commit) error {
	calls := make([]rueidis.Completed, len(commits))
	for i := range commits {
		c := &commits[i]
		keys, ok := b.store.keys.of(c.ID)
		if !ok {
			return store.ErrGone
		}
		calls[i] = b.call(fnCommit, keys, b.store.encodeCommit(c, false)...)
	}
	for _, reply := range b.client.DoMulti(ctx, calls...) {
		if err := reply.Error(); err != nil {
			return err
		}
	}
	return nil
}

// Claim is Store.ClaimDue, and counts what it gives.
func (b *Bare) Claim(ctx context.Context, partition uint16, limit int, visibility time.Duration) (int, error) {
	claimed, err := b.client.Do(ctx, b.call(fnClaim, b.store.keys.partitions[partition],
		b.store.clock(), strconv.Itoa(limit), ceilDuration(visibility))).ToArray()
	return len(claimed), err
}

func (b *Bare) call(fn string, keys []string, args ...string) rueidis.Completed {
	return b.client.B().Fcall().Function(fn).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
}

// Close closes the connections.
func (b *Bare) Close() { b.client.Close() }
