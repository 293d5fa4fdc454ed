package e2e

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// doubtful is a store whose checks of owners are answered when the test says so.
type doubtful struct {
	store.Store
	checks chan chan error
}

func (d *doubtful) Read(ctx context.Context, q store.Read) (store.ReadResult, error) {
	if q.Range == nil && len(q.Keys) == 0 {
		answer := make(chan error)
		select {
		case d.checks <- answer:
		case <-ctx.Done():
			return store.ReadResult{}, ctx.Err()
		}
		if err := <-answer; err != nil {
			return store.ReadResult{}, err
		}
	}
	return d.Store.Read(ctx, q)
}

func inDoubt(t *testing.T, test func(w *world, d *doubtful)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &doubtful{Store: gatewaytest.NewStore(t), checks: make(chan chan error)}
		test(&world{t, gatewaytest.Start(t, gateway.Config{Store: d, Logger: quiet(), StrictReads: true})}, d)
	})
}

// [READ-2]: what an actor says without change waits for a check that began after it; frames keep their order, whatever comes
// while one is under way, a commit among them.
func TestStrictReadsWaitForTheOwnersCheck(t *testing.T) {
	inDoubt(t, func(w *world, d *doubtful) {
		s := w.scriptedRunner()
		var answers []<-chan response
		for _, action := range []string{"a", "b", "c", "d"} {
			answers = append(answers, w.calling("x", action))
			synctest.Wait()
		}
		ref := s.begin().GetActor()
		var calls []uint64
		for range answers {
			calls = append(calls, expect[*wire.Call](s).ID)
		}
		s.send(result(ref, calls[0], "\x00"))
		check := <-d.checks
		wantNone(w, answers[0], "its owner is not confirmed")
		s.send(result(ref, calls[1], "\x01"))
		s.commit(ref, 2, "\x02", 1)
		s.send(result(ref, calls[2], "\x02"))
		s.send(result(ref, calls[3], "\x03"))
		synctest.Wait()
		check <- nil
		wantAnswer(w, answers[0], `{"output":0}`)
		check = <-d.checks
		wantNone(w, answers[1], "the check began before it came")
		check <- nil
		wantAnswer(w, answers[1], `{"output":1}`)
		wantAnswer(w, answers[2], `{"output":2}`) // the commit is the check
		wantEqual(w, "version", expect[*wire.CommitResult](s).Version, uint64(2))
		check = <-d.checks
		wantNone(w, answers[3], "it came behind the commit")
		check <- nil
		wantAnswer(w, answers[3], `{"output":3}`)
	})
}

// [READ-2]: a store that does not answer freezes the actor; one that names another owner ends it, and nothing leaves.
func TestStrictReadsOfASupersededOwner(t *testing.T) {
	inDoubt(t, func(w *world, d *doubtful) {
		s := w.scriptedRunner()
		a := w.calling("x", "a")
		ref := s.begin().GetActor()
		s.send(result(ref, expect[*wire.Call](s).ID, "\x01"))
		(<-d.checks) <- errAway
		synctest.Wait()
		wantAnswer(w, w.calling("x", "b"), "store.unavailable")
		(<-d.checks) <- nil
		wantAnswer(w, a, `{"output":1}`)
		c := w.calling("x", "c")
		s.send(result(ref, expect[*wire.Call](s).ID, "\x02"))
		(<-d.checks) <- store.ErrFenced
		wantAnswer(w, c, "actor.fenced")
		s.wantStop(fenced)
	})
}

// [READ-2] [LIFE-8]: what nobody can check any more does not leave.
func TestStrictReadsOfARunnerThatIsLost(t *testing.T) {
	inDoubt(t, func(w *world, d *doubtful) {
		s := w.scriptedRunner()
		a := w.calling("x", "a")
		ref := s.begin().GetActor()
		s.send(result(ref, expect[*wire.Call](s).ID, "\x01"))
		check := <-d.checks
		_ = s.conn.Close()
		wantAnswer(w, a, "action.outcome_unknown")
		check <- nil
		sleep(time.Second)
	})
}
