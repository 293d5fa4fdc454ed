package embedded

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// BenchmarkCommit measures durable commits of 200 bytes of state on a real directory, each writer with an actor of its
// own and one commit under way.
func BenchmarkCommit(b *testing.B) {
	for _, class := range []struct {
		name string
		d    store.Durability
	}{{"disk", store.Disk}, {"fast", store.Fast}} {
		for _, writers := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("%s/writers=%d", class.name, writers), func(b *testing.B) {
				benchmarkCommit(b, class.d, writers)
			})
		}
	}
}

func benchmarkCommit(b *testing.B, d store.Durability, writers int) {
	s, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	commits := make([]store.Commit, writers)
	for i := range commits {
		commits[i] = benchActor(b, s, i)
		commits[i].Durability = d
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	for i := range commits {
		wg.Go(func() {
			done := make(chan error, 1)
			answer := func(err error) { done <- err }
			for left.Add(-1) >= 0 {
				c := &commits[i]
				c.Version++
				c.CommitID[0]++
				s.Commit(*c, answer)
				if err := <-done; err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "commits/s")
}

func benchActor(b *testing.B, s *Store, i int) store.Commit {
	b.Helper()
	ctx := context.Background()
	addr := address.Address{Namespace: "default", Type: "bench", Key: []string{fmt.Sprint(i)}}
	record, _, err := s.Create(ctx, store.Create{Address: addr, Region: "local", Durability: store.Fast})
	if err != nil {
		b.Fatal(err)
	}
	owned, err := s.Acquire(ctx, store.Acquire{ID: record.ID, Runner: "r", Durability: store.Fast})
	if err != nil {
		b.Fatal(err)
	}
	return store.Commit{
		ID: record.ID, Generation: owned.Record.Generation, Nonce: owned.Record.Nonce,
		State: make([]byte, 200), HasState: true,
	}
}
