package route

import (
	"context"
	"errors"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/place"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// startLocked begins a start; everybody who comes until it ends shares it [LIFE-2].
func (a *Actor) startLocked() {
	a.phase = starting
	a.stirLocked()
	ctx, cancel := context.WithTimeout(a.router.starts, a.router.cfg.Timeouts.Start)
	if a.router.drains() || !a.router.spawn(func() { defer cancel(); a.start(ctx) }) {
		cancel()
		a.phase = idle
		a.failWaiting(wire.GatewayDraining.New())
		return
	}
	a.search = cancel
}

// start resolves the actor, finds a runner, makes it the owner and sends StartActor. It blocks on the store and on
// waiting for a runner, so it has a goroutine of its own.
func (a *Actor) start(ctx context.Context) {
	rec, refusal := a.resolve(ctx)
	for refusal == nil {
		var r *place.Runner
		if r, refusal = a.router.cfg.Placer.Find(ctx, a.address.Type); refusal != nil || !a.found() {
			break
		}
		var acquired store.Acquired
		if acquired, refusal = a.router.cfg.Placer.Acquire(ctx, rec, r); refusal != nil {
			break
		}
		if a.launch(ctx, r, acquired) {
			return
		}
		rec = acquired.Record // the runner left meanwhile: on to the next
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.search = nil
	switch {
	case a.offer != nil: // it takes the place of this start
		a.phase = idle
		a.settleLocked(true)
	case refusal == errNobody:
		a.vanishedLocked()
	default:
		a.notStartedLocked(refusal)
	}
}

// found ends the search for a runner. false: one that still has the actor has come.
func (a *Actor) found() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.search = nil
	return a.offer == nil
}

// errNobody: there is no such actor, and everybody who waited for it was told. Whoever has come since is not meant.
var errNobody = wire.ActorNotFound.New()

// vanishedLocked ends a start of an actor that does not exist. Its connections, if it has any, are of one that was
// destroyed behind our back.
func (a *Actor) vanishedLocked() {
	a.phase = idle
	a.endConnections()
	a.settleLocked(false)
}

// resolve finds or creates the actor, as those who wait ask for it [LIFE-1]. An error is for everybody who waits, but for
// errNobody.
func (a *Actor) resolve(ctx context.Context) (store.Record, *wire.Error) {
	rec, err := a.router.cfg.Store.Resolve(ctx, a.address)
	switch {
	case err == nil:
		a.resolved(rec)
		return rec, nil
	case !errors.Is(err, store.ErrNotFound):
		return rec, a.router.storeError("resolve", err)
	case !a.router.cfg.Placer.Knows(a.address.Type):
		return rec, wire.ActorTypeNotFound.Newf("No runner has ever announced the actor type %q.", a.address.Type)
	}
	creator := a.creator()
	if creator == nil {
		return rec, errNobody
	}
	req := creator.request()
	rec, created, err := a.router.cfg.Store.Create(ctx, store.Create{
		Address: a.address, Region: a.router.cfg.Region, Input: req.Input, HasInput: req.HasInput,
		Durability: a.durability(),
	})
	if err != nil {
		return rec, a.router.storeError("create", err)
	}
	if created {
		a.created(creator)
	}
	a.resolved(rec)
	return rec, nil
}

func (a *Actor) durability() store.Durability {
	if t := a.router.cfg.Placer.Type(a.address.Type); t != nil && t.Durability != store.Volatile {
		return t.Durability
	}
	return store.DurabilityDefault
}

// creator is the first of those who wait that creates; those that do not, and came before it, are told that there is
// no such actor.
func (a *Actor) creator() visitor {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.waiting) > 0 {
		v := a.waiting[0]
		req := v.request()
		if req.Mode != commonv1alpha1.Mode_MODE_GET && req.ID == "" {
			return v
		}
		a.waiting = a.waiting[1:]
		v.fail(wire.ActorNotFound.New())
	}
	return nil
}

func (a *Actor) created(by visitor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	by.request().created = true
	a.recovered() // what failed was another actor
}

// resolved gives the entry its id. Whoever wanted to create, and did not, hears that the key is taken.
func (a *Actor) resolved(rec store.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.router.identify(a, rec.ID)
	keep := a.waiting[:0]
	for _, v := range a.waiting {
		if req := v.request(); req.Mode == commonv1alpha1.Mode_MODE_CREATE && !req.created {
			v.fail(duplicateKey(rec.ID))
			continue
		}
		keep = append(keep, v)
	}
	clear(a.waiting[len(keep):])
	a.waiting = keep
}

// duplicateKey names the actor that has the key [LIFE-1].
func duplicateKey(id string) *wire.Error {
	e := wire.ActorDuplicateKey.New()
	e.Metadata, _ = payload.Marshal(map[string]string{"id": id}) // text always encodes
	return e
}

// launch binds the actor to the runner and sends StartActor. false: the runner has left.
func (a *Actor) launch(ctx context.Context, r *place.Runner, acquired store.Acquired) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	inc := newIncarnation(a, r, acquired)
	if !inc.bind() {
		return false
	}
	a.router.cfg.Stats.Starts.Inc()
	left := a.router.cfg.Timeouts.Start
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	inc.clock = time.AfterFunc(left, inc.startTimedOut)
	inc.send(a.startActor(acquired, left))
	for _, c := range a.connections {
		inc.restore(c)
	}
	return true
}

func (a *Actor) startActor(acquired store.Acquired, left time.Duration) *runnerv1alpha1.StartActor {
	rec := acquired.Record
	m := &runnerv1alpha1.StartActor{
		Actor: a.inc.binding.Ref, Id: rec.ID, Namespace: rec.Address.Namespace, Type: rec.Address.Type, Key: rec.Address.Key,
		Generation: rec.Generation, Nonce: rec.Nonce[:], Version: rec.Version, Create: rec.Version == 0,
		DeadlineMs: uint32(left.Milliseconds()), NowMs: time.Now().UnixMilli(), Region: a.router.cfg.Region,
		RestoredConnections: uint32(len(a.connections)), Attempt: uint32(a.failures.count),
	}
	if rec.HasInput && rec.Version == 0 {
		m.Input = present(rec.Input)
	}
	if acquired.HasState {
		m.State = present(acquired.State)
	}
	for _, kv := range acquired.Preload {
		m.Preload = append(m.Preload, &runnerv1alpha1.KvEntry{Key: kv.Key, Value: present(kv.Value)})
	}
	for _, r := range acquired.Preloaded {
		m.Preloaded = append(m.Preloaded, kvRange(r))
	}
	for _, id := range a.inc.oweGone(acquired.Connections) {
		m.GoneConnections = append(m.GoneConnections, goneConnection(id, a.inc.owed[id]))
	}
	if len(a.waiting) > 0 {
		m.Trace = a.waiting[0].request().Trace
	}
	return m
}

// oweGone notes which of the recorded connections have left, and returns them [CONN-7].
func (inc *incarnation) oweGone(recorded []string) (gone []string) {
	a := inc.actor
	for _, id := range recorded {
		if a.connections[id] == nil {
			inc.owe(id, a.gone[id])
			gone = append(gone, id)
		}
	}
	a.gone = nil
	return gone
}

func goneConnection(id string, c *Connection) *runnerv1alpha1.GoneConnection {
	g := &runnerv1alpha1.GoneConnection{ConnectionId: id}
	if c != nil {
		g.Params = c.Params
		if c.hasState {
			g.State = present(c.state)
		}
	}
	return g
}

// readyLocked lets in who waited.
func (a *Actor) readyLocked() {
	if a.inc.clock != nil {
		a.inc.clock.Stop()
		a.inc.clock = nil // a timer is half as large as an incarnation
	}
	a.inc.readyAt = time.Now()
	a.phase = awake
	for _, v := range a.takeWaiting() {
		if a.phase != awake {
			a.admitLocked(v) // one of them has ended it: the rest is for the next life
			continue
		}
		a.deliverLocked(v)
	}
}

// notStartedLocked tells everybody who waits why there is no actor, for reasons that are not its own.
func (a *Actor) notStartedLocked(e *wire.Error) {
	a.missed++
	a.noStartLocked(e)
}

// startFailedLocked tells everybody who waits that the actor failed to start [LIFE-3] [LIFE-11].
func (a *Actor) startFailedLocked(e, cause *wire.Error) {
	a.failedLocked(cause)
	a.noStartLocked(e)
}

func (a *Actor) noStartLocked(e *wire.Error) {
	a.router.cfg.Stats.StartFailures.Inc()
	if a.router.drains() {
		e = wire.GatewayDraining.New()
	}
	a.phase = idle
	if errors.Is(e, wire.ActorStartFailed) || errors.Is(e, wire.RunnerUnavailable) {
		a.refuseWaiting(e)
	} else {
		a.failWaiting(e)
	}
	a.settleLocked(true)
}

// startTimedOut fences a start that did not become ready in time [LIFE-3].
func (inc *incarnation) startTimedOut() {
	a := inc.actor
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inc != inc || inc.ending != nil || a.phase != starting {
		return
	}
	a.router.cfg.Stats.StartFailures.Inc()
	e := wire.ActorStartTimedOut.Newf("The actor did not become ready within %v.", a.router.cfg.Timeouts.Start)
	a.refuseWaiting(e)
	inc.fence(e)
}

// startRefused is the runner's report that the start failed. A creation that fails definitely is undone: then there is no
// actor that has failed [LIFE-4].
func (inc *incarnation) startRefused(cause *wire.Error) {
	a := inc.actor
	if cause == nil {
		cause = wire.ActorStartFailed.New()
	} else {
		cause = inc.accept(cause)
	}
	inc.finish(cause)
	e := startFailed(cause)
	if inc.version > 0 {
		a.startFailedLocked(e, cause)
		return
	}
	undo := func() {
		ctx, cancel := context.WithTimeout(a.router.ctx, a.router.cfg.Timeouts.Start)
		defer cancel()
		err := a.router.cfg.Store.Destroy(ctx, inc.id)
		a.mu.Lock()
		defer a.mu.Unlock()
		if err == nil || errors.Is(err, store.ErrNotFound) {
			a.noStartLocked(e)
			return
		}
		a.router.cfg.Logger.Error("undo the creation of an actor that did not start", "actor", inc.id, "error", err)
		a.startFailedLocked(e, cause)
	}
	a.phase = starting // nobody starts it meanwhile
	if !a.router.spawn(undo) {
		a.startFailedLocked(e, cause)
	}
}

// startFailed is actor.start_failed with the cause: its code and message, which the runner made public.
func startFailed(cause *wire.Error) *wire.Error {
	e := wire.ActorStartFailed.Newf("The actor could not start: %s: %s", cause.Name(), cause.Message)
	e.Metadata, _ = payload.Marshal(map[string]string{"group": cause.Group, "code": cause.Code, "message": cause.Message})
	return e
}

// present keeps an empty payload apart from an absent one [PAY-3].
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func kvRange(r store.Range) *runnerv1alpha1.KvRange {
	m := &runnerv1alpha1.KvRange{From: r.From}
	if len(r.Until) > 0 {
		m.Until = r.Until
	}
	return m
}
