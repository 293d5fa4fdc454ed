package storetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

var concurrentTests = map[string]func(*harness){
	"one owner's commits apply, versions without a gap": testTakeovers,
	"a fire has one claimer at a time":                  testRacingClaims,
}

// applied is an acknowledged commit.
type applied struct {
	generation, version uint64
}

// testTakeovers lets several owners of each actor commit until they are fenced, and take over again. Each commit writes
// a key that names its version and generation, so that the store itself says afterwards who applied what.
func testTakeovers(h *harness) {
	const actors, owners, commits = 6, 3, 120
	var ids [actors]string
	var acknowledged [actors][owners][]applied
	var wg sync.WaitGroup
	for i := range actors {
		ids[i] = h.create(fmt.Sprint(i)).ID
		for j := range owners {
			random := rand.New(rand.NewPCG(uint64(i), uint64(j)))
			wg.Go(func() { acknowledged[i][j] = h.compete(ids[i], commits, random) })
		}
	}
	wg.Wait()
	for i := range actors {
		h.checkHistory(ids[i], acknowledged[i][:])
	}
}

// compete returns the commits of one competitor that were acknowledged.
func (h *harness) compete(id string, commits int, random *rand.Rand) (won []applied) {
	var o *owner
	for range commits {
		if o == nil || random.IntN(20) == 0 {
			a, err := h.s.Acquire(h.ctx, store.Acquire{ID: id, Runner: "r", Durability: store.Fast})
			if err != nil {
				h.Error(err)
				return won
			}
			o = &owner{h: h, Acquired: a, version: a.Record.Version}
		}
		c := o.prepare(store.Commit{Durability: store.Fast})
		binary.BigEndian.PutUint64(c.CommitID[:], o.Record.Generation)
		binary.BigEndian.PutUint64(c.CommitID[8:], c.Version)
		c.KV = []store.KVOp{put(fmt.Sprintf("%08d", c.Version), fmt.Sprint(o.Record.Generation))}
		c.State, c.HasState = fmt.Append(nil, c.Version), true
		switch err := commitAndWait(h.s, c); {
		case err == nil:
			o.version++
			won = append(won, applied{o.Record.Generation, c.Version})
			if random.IntN(4) == 0 { // as after a lost answer
				if err := commitAndWait(h.s, c); err != nil && !errors.Is(err, store.ErrFenced) {
					h.Errorf("repeat commit %d: %v", c.Version, err)
				}
			}
		case errors.Is(err, store.ErrFenced):
			o = nil
		default:
			h.Errorf("commit %d of generation %d: %v", c.Version, o.Record.Generation, err)
			return won
		}
	}
	return won
}

func (h *harness) checkHistory(id string, acknowledged [][]applied) {
	o := h.acquire(id)
	byVersion := make(map[uint64]uint64)
	for _, won := range acknowledged {
		for _, a := range won {
			if other, ok := byVersion[a.version]; ok {
				h.Errorf("version %d was acknowledged to generations %d and %d", a.version, other, a.generation)
			}
			byVersion[a.version] = a.generation
		}
	}
	stored := o.all()
	if n := uint64(len(stored)); n != o.Record.Version || n != uint64(len(byVersion)) {
		h.Errorf("version %d, %d applied, %d acknowledged", o.Record.Version, n, len(byVersion))
	}
	last := uint64(0)
	for i, entry := range stored {
		version := uint64(i) + 1
		if want := fmt.Sprintf("%08d=%d", version, byVersion[version]); entry != want {
			h.Errorf("stored %q, acknowledged %q", entry, want)
		}
		if byVersion[version] < last {
			h.Errorf("version %d is of generation %d, after %d", version, byVersion[version], last)
		}
		last = byVersion[version]
	}
	if want := fmt.Sprint(o.Record.Version); string(o.State) != want {
		h.Errorf("state %q at version %s", o.State, want)
	}
}

func testRacingClaims(h *harness) {
	o := h.actor("a")
	const n = 40
	for i := range n {
		o.schedule(fmt.Sprint(i), 0)
	}
	var mu sync.Mutex
	claims := make(map[string]int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				due, err := h.s.ClaimDue(h.ctx, o.partition(), 3, time.Minute)
				if err != nil || len(due) == 0 {
					if err != nil {
						h.Error(err)
					}
					return
				}
				mu.Lock()
				for _, d := range due {
					claims[d.Schedule.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	h.equal("claimed", len(claims), n)
	for id, k := range claims {
		if k != 1 {
			h.Errorf("%q was claimed %d times", id, k)
		}
	}
}
