package redis

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

const (
	benchClients  = 64
	benchInFlight = 4
	benchState    = 200
)

// BenchmarkCommit measures commits of 64 clients with 4 actors each, one commit of each actor under way: through the
// store, and as the ceiling the same function with the same arguments called bare.
func BenchmarkCommit(b *testing.B) {
	servers := redistest.Standalone(b, redistest.Options{AppendOnly: true})
	s, err := Open(b.Context(), Config{URL: servers.URL()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	bare, err := OpenBare(servers.URL())
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	b.Run("bare", func(b *testing.B) { benchmarkBare(b, s, bare) })
	b.Run("store", func(b *testing.B) { benchmarkStore(b, s) })
}

// spread runs b.N operations on so many workers; one run of a worker is each of them.
func spread(b *testing.B, workers, each int, run func(worker int) error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	for i := range workers {
		wg.Go(func() {
			for left.Add(-int64(each)) > -int64(each) {
				if err := run(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "commits/s")
}

func benchCommits(b *testing.B, s *Store) []store.Commit {
	commits := make([]store.Commit, benchClients*benchInFlight)
	for i := range commits {
		o := newOwner(b, s, address.Address{Namespace: "default", Type: "bench", Key: []string{fmt.Sprint(i)}})
		commits[i] = o.prepare(store.Commit{State: make([]byte, benchState), HasState: true})
	}
	return commits
}

func next(c *store.Commit) {
	c.Version++
	c.CommitID[0]++
}

func benchmarkStore(b *testing.B, s *Store) {
	commits := benchCommits(b, s)
	answers := make([]chan error, len(commits))
	for i := range answers {
		answers[i] = make(chan error, 1)
	}
	spread(b, len(commits), 1, func(i int) error {
		s.Commit(commits[i], func(err error) { answers[i] <- err })
		next(&commits[i])
		return <-answers[i]
	})
}

func benchmarkBare(b *testing.B, s *Store, bare *Bare) {
	commits := benchCommits(b, s)
	spread(b, benchClients, benchInFlight, func(i int) error {
		batch := commits[i*benchInFlight : (i+1)*benchInFlight]
		if err := bare.Commit(context.Background(), batch); err != nil {
			return err
		}
		for j := range batch {
			next(&batch[j])
		}
		return nil
	})
}

// BenchmarkClaim measures claims of due fires, a hundred at a time.
func BenchmarkClaim(b *testing.B) {
	const schedules, each = 1000, 100
	servers := redistest.Standalone(b, redistest.Options{AppendOnly: true})
	now := atomic.Int64{}
	now.Store(time.Now().UnixMicro())
	s := open(newPlainCaller(plainClient(b, servers)), "claims:", store.DefaultLimits(),
		func() time.Time { return time.UnixMicro(now.Load()) })
	defer s.Close()
	addr := address.Address{Namespace: "default", Type: "bench"}
	o := newOwner(b, s, addr)
	c := store.Commit{}
	for i := range schedules {
		c.Schedules = append(c.Schedules, store.ScheduleOp{ID: fmt.Sprint(i), At: time.UnixMicro(1), Spec: make([]byte, 32)})
	}
	o.must(c)
	claimed := 0
	b.ResetTimer()
	began := time.Now()
	for claimed < b.N {
		due, err := s.ClaimDue(context.Background(), addr.Partition(), each, time.Microsecond)
		if err != nil {
			b.Fatal(err)
		}
		claimed += len(due)
		now.Add(1)
	}
	b.ReportMetric(float64(claimed)/time.Since(began).Seconds(), "claims/s")
}
