package nettest

import (
	"context"
	"strconv"
	"time"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// Load of one actor of the head-of-line test: 50 of them make 400 events a second, at equal distances.
const (
	actors    = 50
	tickEvery = 125 * time.Millisecond
	tickBytes = 60 // beside the time
)

// metronome emits the event tick(unix nanoseconds, filling) for as long as it is awake; its key is its turn among the actors.
type metronome struct {
	runner.Actor[runner.None, runner.None]
}

func metronomeType() *runner.Type[metronome] {
	t := runner.Define[metronome]("metronome")
	runner.Run(t, func(m *metronome, ctx context.Context) error {
		turn, err := strconv.Atoi(m.Key()[0])
		if err != nil {
			return err
		}
		now := time.Now()
		next := now.Truncate(tickEvery).Add(tickEvery * time.Duration(actors+turn) / actors)
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Until(next)):
			}
			if err := m.Do(ctx, func(context.Context) error {
				m.Broadcast("tick", time.Now().UnixNano(), make([]byte, tickBytes))
				return nil
			}); err != nil {
				return err
			}
			next = next.Add(tickEvery)
		}
	})
	return t
}

// tally counts what is added, and tells its connections each new count.
type tally struct {
	runner.Actor[struct{ Count int }, runner.None]
}

func tallyType() *runner.Type[tally] {
	t := runner.Define[tally]("tally")
	runner.Action1(t, "add", func(a *tally, _ context.Context, n int) (int, error) {
		a.State().Count += n
		a.Broadcast("count", a.State().Count)
		return a.State().Count, nil
	})
	runner.Action1(t, "pause", func(_ *tally, ctx context.Context, ms int) (int, error) {
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
		case <-ctx.Done():
		}
		return ms, nil
	})
	runner.Action1(t, "fill", func(_ *tally, _ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })
	return t
}
