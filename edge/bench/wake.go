//go:build unix

package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// sleepWait bounds how long an actor may take to fall asleep.
const sleepWait = 30 * time.Second

// drowsers is how many actors are put to sleep at once.
const drowsers = 16

// wake measures the call that wakes a sleeping actor, one after another. The baseline is a call of the same actors on the
// same session while they are awake.
func wake(ctx context.Context, o Options) (_ []Row, err error) {
	s, err := openSite(ctx, o)
	if err != nil {
		return nil, err
	}
	defer closing(s, &err)
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	w := &sleepers{site: s, actors: make([]*client.Handle, o.Actors)}
	for i := range w.actors {
		w.actors[i] = c.GetOrCreate(actorType, []string{"sleeper", fmt.Sprint(i)})
	}
	if err := w.callAll(s.ctx); err != nil {
		return nil, err
	}
	row, err := takeTurns(s.ctx, o, "wake", func(ctx context.Context) (load.Result, error) {
		if err := w.sleepAll(ctx); err != nil {
			return load.Result{}, err
		}
		return w.timeAll(ctx)
	}, w.timeAll)
	row.Unit, row.Actors = "wakes", o.Actors
	return []Row{row}, err
}

// sleepers are actors that are put to sleep and woken. Between turns all of them are awake.
type sleepers struct {
	site   *site
	actors []*client.Handle
}

func (w *sleepers) call(ctx context.Context, i int) error {
	return w.actors[i].Call(ctx, "echo", nil, make([]byte, messageSize))
}

func (w *sleepers) callAll(ctx context.Context) error {
	return load.Each(ctx, len(w.actors), drowsers, w.call)
}

// timeAll calls each actor once, one after another.
func (w *sleepers) timeAll(ctx context.Context) (load.Result, error) {
	var took []time.Duration
	var failed load.Meter
	for i := range w.actors {
		began := load.Now()
		err := w.call(ctx, i)
		switch {
		case ctx.Err() != nil:
			return load.Result{}, context.Cause(ctx)
		case err != nil:
			failed.Failed(err)
		default:
			took = append(took, load.Now()-began)
		}
	}
	result := load.Timed(took)
	faults := load.Sum(0, []load.Meter{failed})
	result.Errors, result.Fault = faults.Errors, faults.Fault
	return result, nil
}

// sleepAll puts all actors to sleep and waits until the gateway says so.
func (w *sleepers) sleepAll(ctx context.Context) error {
	return load.Each(ctx, len(w.actors), drowsers, func(ctx context.Context, i int) error {
		if err := w.actors[i].Call(ctx, "sleep", nil); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeoutCause(ctx, sleepWait, fmt.Errorf("an actor does not sleep after %v", sleepWait))
		defer cancel()
		for {
			state, err := w.site.actorState(ctx, fmt.Sprintf("%s:sleeper:%d", actorType, i))
			if err != nil || state == "sleeping" {
				return err
			}
			if err := pause(ctx, retryEvery); err != nil {
				return err
			}
		}
	})
}
