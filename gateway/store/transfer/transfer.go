// Package transfer moves all that a store holds into another one, and proves that it has arrived.
//
// Both stores are open for nobody else. What was copied is read back from both and compared, a checksum for each partition;
// only then may a gateway open the target. edge/assemble calls Copy. Requirement: STORE-4.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// ErrInUse: a runner's lease in the store lives.
var ErrInUse = errors.New("the store is in use")

// ErrDiffers: what was copied is not what was to be.
var ErrDiffers = errors.New("the stores differ")

// together is how many partitions are under way at once.
const together = 8

// Report is what was copied.
type Report struct {
	Actors int
	Bytes  int64 // of what they hold, as the checksums have it
}

// Copy copies all actors, and the known actor types, into an empty store. progress is told after each partition how many are
// done, of each of the two rounds: copying and comparing. After an error the target is refused by gateways until Copy has
// succeeded.
func Copy(ctx context.Context, from, to store.Movable, progress func(round string, partitions int)) (Report, error) {
	c := copying{from: from, to: to}
	if err := c.unused(ctx); err != nil {
		return Report{}, err
	}
	if err := to.BeginImport(ctx); err != nil {
		return Report{}, fmt.Errorf("target: %w", err)
	}
	if err := each(ctx, func(ctx context.Context, p uint16) error { return c.copy(ctx, p) }, counted(progress, "copied")); err != nil {
		return Report{}, err
	}
	if err := c.types(ctx); err != nil {
		return Report{}, err
	}
	if err := each(ctx, func(ctx context.Context, p uint16) error { return c.compare(ctx, p) }, counted(progress, "compared")); err != nil {
		return Report{}, err
	}
	if len(c.differ) > 0 {
		slices.Sort(c.differ)
		return Report{}, fmt.Errorf("partitions %v: %w; run the copy again", c.differ, ErrDiffers)
	}
	if err := c.unused(ctx); err != nil { // a gateway may have begun meanwhile
		return Report{}, err
	}
	if err := to.EndImport(ctx); err != nil {
		return Report{}, fmt.Errorf("target: %w", err)
	}
	return Report{Actors: int(c.actors.Load()), Bytes: c.bytes.Load()}, nil
}

// unused looks at both stores.
func (c *copying) unused(ctx context.Context) error {
	if err := unused(ctx, c.from); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	if err := unused(ctx, c.to); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	return nil
}

// unused looks for leases that live: of those who use the store, these are known.
func unused(ctx context.Context, s store.Store) error {
	for _, kind := range []store.LeaseKind{store.GatewayLease, store.RunnerLease} {
		live, err := s.Live(ctx, kind)
		if err != nil {
			return err
		}
		if len(live) > 0 {
			return fmt.Errorf("%w: the lease of %s lives until %s; stop all gateways and wait for that", ErrInUse,
				live[0].ID, live[0].Until.Format("15:04:05"))
		}
	}
	return nil
}

type copying struct {
	from, to store.Movable
	sums     [address.Partitions]Sum
	actors   atomic.Int64
	bytes    atomic.Int64

	mu     sync.Mutex
	differ []uint16
}

func (c *copying) copy(ctx context.Context, partition uint16) error {
	d, into := newDigest(), c.to.Import(ctx, partition)
	err := c.from.Export(ctx, partition, func(it *store.Item) error {
		d.add(it)
		return into.Add(it)
	})
	if err = errors.Join(err, into.Close()); err != nil {
		return fmt.Errorf("copy partition %d: %w", partition, err)
	}
	c.sums[partition] = d.sum()
	c.actors.Add(int64(d.actors))
	c.bytes.Add(d.bytes)
	return nil
}

// types copies the actor types, and sees that they are there.
func (c *copying) types(ctx context.Context) error {
	names, err := c.from.KnownTypes(ctx)
	if err == nil && len(names) > 0 {
		err = c.to.RememberTypes(ctx, names)
	}
	var there []string
	if err == nil {
		there, err = c.to.KnownTypes(ctx)
	}
	if err == nil && slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(there, name) }) {
		err = fmt.Errorf("%w; run the copy again", ErrDiffers)
	}
	if err != nil {
		return fmt.Errorf("copy the actor types: %w", err)
	}
	return nil
}

// compare reads a partition of the target. A source that was read twice and gave something else would show, too.
func (c *copying) compare(ctx context.Context, partition uint16) error {
	for name, s := range map[string]store.Movable{"source": c.from, "target": c.to} {
		sum, err := SumOf(ctx, s, partition)
		if err != nil {
			return fmt.Errorf("read partition %d of the %s: %w", partition, name, err)
		}
		if sum != c.sums[partition] {
			c.mu.Lock()
			c.differ = append(c.differ, partition)
			c.mu.Unlock()
			return nil
		}
	}
	return nil
}

// SumOf is the checksum of a partition.
func SumOf(ctx context.Context, s store.Movable, partition uint16) (Sum, error) {
	d := newDigest()
	err := s.Export(ctx, partition, func(it *store.Item) error {
		d.add(it)
		return nil
	})
	return d.sum(), err
}

// each calls f for every partition, several at a time, until one fails.
func each(ctx context.Context, f func(context.Context, uint16) error, done func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int32
	var wg sync.WaitGroup
	for range together {
		wg.Go(func() {
			for ctx.Err() == nil {
				p := next.Add(1) - 1
				if p >= address.Partitions {
					return
				}
				if err := f(ctx, uint16(p)); err != nil {
					cancel(err)
					return
				}
				done()
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func counted(progress func(string, int), round string) func() {
	var mu sync.Mutex
	n := 0
	return func() {
		mu.Lock()
		defer mu.Unlock()
		n++
		progress(round, n)
	}
}
