package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// testAgainstModel walks at random through what callers may do, right and wrong, and compares every answer with the
// model's. The store goes first; the model takes its ids and nonces over.
func testAgainstModel(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		limits := smallLimits()
		clock := NewClock()
		m := &machine{
			ctx: t.Context(), clock: clock, s: open(t, clock, limits), model: NewModel(limits, clock.Now),
		}
		defer m.model.Close()
		defer func() {
			if err := m.s.Close(); err != nil {
				rt.Errorf("close: %v", err)
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"create":   m.create,
			"acquire":  m.acquire,
			"release":  m.release,
			"commit":   m.commit,
			"commit2":  m.commit, // commits are what matters most
			"commit3":  m.commit,
			"repeat":   m.repeat,
			"read":     m.read,
			"result":   m.result,
			"claim":    m.claim,
			"extend":   m.extend,
			"destroy":  m.destroy,
			"list":     m.list,
			"describe": m.describe,
			"lease":    m.lease,
			"revoke":   m.revoke,
			"tick":     m.tick,
			"":         m.check,
		})
	})
}

// machine is the state of one walk: both stores, and what callers remember.
type machine struct {
	ctx    context.Context
	clock  *Clock
	s      store.Store
	model  *Model
	owners []store.Record // every acquisition so far: also those that are fenced by now
	last   store.Commit
	claims []store.Due
	ids    []string
}

var sentinels = []error{
	store.ErrNotFound, store.ErrGone, store.ErrFenced, store.ErrConflict, store.ErrStale, store.ErrGap, store.ErrQuota,
	store.ErrTooLarge, store.ErrInvalid, store.ErrHeld, store.ErrClosed,
}

func sentinel(err error) string {
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return s.Error()
		}
	}
	return fmt.Sprint(err)
}

// same compares two answers with their errors.
func same(t *rapid.T, what string, got any, gotErr error, want any, wantErr error) {
	t.Helper()
	if g, w := sentinel(gotErr), sentinel(wantErr); g != w {
		t.Fatalf("%s: the store says %v, the model %v", what, gotErr, wantErr)
	}
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); gotErr == nil && g != w {
		t.Fatalf("%s:\nstore %s\nmodel %s", what, g, w)
	}
}

var (
	drawKey     = rapid.SampledFrom([]string{"a", "b", "ba", "bb", "c", "\x00", "\xff", "12345678"})
	drawBound   = rapid.SampledFrom([]string{"", "", "a", "b", "bb", "c", "\xff"})
	drawName    = rapid.SampledFrom([]string{"s1", "s2", "s3", "s4", "s5"})
	drawCall    = rapid.SampledFrom([]string{"k1", "k2", "k3", "k4", "k5", "k6", "k7"})
	drawAddress = rapid.SampledFrom([]address.Address{room(), room(""), room("a"), room("b")})
	drawClass   = rapid.SampledFrom([]store.Durability{store.DurabilityDefault, store.Fast, store.Disk})
)

func drawBytes(t *rapid.T, most int, label string) []byte {
	n := rapid.IntRange(0, most).Draw(t, label)
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + n%10)
	}
	return b
}

func (m *machine) create(t *rapid.T) {
	c := store.Create{Address: drawAddress.Draw(t, "address"), Region: "local", Durability: drawClass.Draw(t, "class")}
	c.HasInput = rapid.Bool().Draw(t, "has input")
	c.Input = drawBytes(t, 10, "input")
	got, created, err := m.s.Create(m.ctx, c)
	m.model.NewID = func(string, uint16, time.Time) string { return got.ID }
	want, wantCreated, wantErr := m.model.Create(m.ctx, c)
	if created != wantCreated {
		t.Fatalf("created %v, the model says %v", created, wantCreated)
	}
	same(t, "create", got, err, want, wantErr)
	if created {
		m.ids = append(m.ids, got.ID)
	}
}

// drawID is an id that was given out, if any was.
func (m *machine) drawID(t *rapid.T) string {
	if len(m.ids) == 0 {
		return "local-none"
	}
	return rapid.SampledFrom(m.ids[max(0, len(m.ids)-6):]).Draw(t, "id")
}

// drawOwner is a recent acquisition; most often the latest.
func (m *machine) drawOwner(t *rapid.T) store.Record {
	if len(m.owners) == 0 {
		t.Skip("nobody owns anything")
	}
	back := min(max(0, rapid.IntRange(-6, 5).Draw(t, "back")), len(m.owners)-1)
	return m.owners[len(m.owners)-1-back]
}

func drawRange(t *rapid.T, label string) store.Range {
	return store.Range{
		From: []byte(drawBound.Draw(t, label+" from")), Until: []byte(drawBound.Draw(t, label+" until")),
	}
}

func (m *machine) acquire(t *rapid.T) {
	q := store.Acquire{ID: m.drawID(t), Runner: rapid.SampledFrom([]string{"", "r1", "r2"}).Draw(t, "runner")}
	if len(m.owners) > 0 && rapid.Bool().Draw(t, "compare") {
		o := m.drawOwner(t)
		q.Generation, q.Nonce = o.Generation, o.Nonce
	}
	for range rapid.IntRange(0, 3).Draw(t, "ranges") {
		q.Preload = append(q.Preload, drawRange(t, "preload"))
	}
	q.PreloadBytes = rapid.IntRange(0, 120).Draw(t, "preload bytes")
	got, err := m.s.Acquire(m.ctx, q)
	m.model.NewNonce = func() [16]byte { return got.Record.Nonce }
	want, wantErr := m.model.Acquire(m.ctx, q)
	same(t, "acquire", got, err, want, wantErr)
	if err == nil {
		m.owners = append(m.owners, got.Record)
	}
}

func (m *machine) release(t *rapid.T) {
	o := m.drawOwner(t)
	same(t, "release", nil, m.s.Release(m.ctx, o.ID, o.Generation, o.Nonce),
		nil, m.model.Release(m.ctx, o.ID, o.Generation, o.Nonce))
}

func (m *machine) drawKV(t *rapid.T) store.KVOp {
	switch rapid.IntRange(0, 5).Draw(t, "operation") {
	case 0:
		r := drawRange(t, "delete")
		return store.KVOp{Key: r.From, Until: r.Until, IsRange: true}
	case 1:
		return del(drawKey.Draw(t, "key"))
	default:
		return store.KVOp{Key: []byte(drawKey.Draw(t, "key")), Value: drawBytes(t, 33, "value"), HasValue: true}
	}
}

func (m *machine) drawTime(t *rapid.T, label string) time.Time {
	return m.clock.Now().Add(time.Duration(rapid.IntRange(-5, 20).Draw(t, label)) * time.Second)
}

func (m *machine) drawSchedule(t *rapid.T) store.ScheduleOp {
	op := store.ScheduleOp{ID: drawName.Draw(t, "schedule"), Spec: drawBytes(t, 3, "spec")}
	switch rapid.IntRange(0, 3).Draw(t, "how") {
	case 0:
		op.Cancel = true
	case 1:
		after := time.Duration(rapid.IntRange(-1, 20).Draw(t, "after")) * time.Second
		op.After = &after
	default:
		op.At = m.drawTime(t, "at")
	}
	return op
}

// drawCommit is mostly a good one.
func (m *machine) drawCommit(t *rapid.T) store.Commit {
	o := m.drawOwner(t)
	c := store.Commit{ID: o.ID, Generation: o.Generation, Nonce: o.Nonce, Durability: drawClass.Draw(t, "class")}
	if r, err := m.model.Describe(m.ctx, o.ID); err == nil {
		c.Version = r.Version + uint64(max(0, rapid.IntRange(-2, 1).Draw(t, "version")+1))
		if c.Version < r.Version+1 {
			c.Version = r.Version + 1
		}
		if rapid.IntRange(0, 9).Draw(t, "wrong version") == 0 {
			c.Version = uint64(rapid.IntRange(0, int(r.Version)+2).Draw(t, "any version"))
		}
	}
	c.CommitID = [16]byte{byte(rapid.IntRange(0, 255).Draw(t, "commit id"))}
	if c.HasState = rapid.Bool().Draw(t, "has state"); c.HasState {
		c.State = drawBytes(t, 66, "state")
	}
	for range rapid.IntRange(0, 4).Draw(t, "kv operations") {
		c.KV = append(c.KV, m.drawKV(t))
	}
	for range rapid.IntRange(0, 2).Draw(t, "schedules") {
		c.Schedules = append(c.Schedules, m.drawSchedule(t))
	}
	m.drawCalls(t, &c)
	names := rapid.SliceOfN(drawName, 0, 2)
	c.Connections = store.ConnectionsDelta{Added: names.Draw(t, "added"), Removed: names.Draw(t, "removed")}
	c.Destroy = rapid.IntRange(0, 30).Draw(t, "destroy") == 0
	return c
}

func (m *machine) drawCalls(t *rapid.T, c *store.Commit) {
	fire := rapid.Uint64Range(1, 4)
	for range rapid.IntRange(0, 2).Draw(t, "finished") {
		f := store.Finished{Key: []byte(drawCall.Draw(t, "call")), Result: drawBytes(t, 3, "result")}
		if rapid.Bool().Draw(t, "of a schedule") {
			f = store.Finished{Schedule: drawName.Draw(t, "schedule"), Fire: fire.Draw(t, "fire")}
			if rapid.Bool().Draw(t, "repeats") {
				f.NextAt = m.drawTime(t, "next")
			}
		}
		c.Finished = append(c.Finished, f)
	}
	for range rapid.IntRange(0, 2).Draw(t, "open") {
		o := store.Open{Key: []byte(drawCall.Draw(t, "call"))}
		if rapid.Bool().Draw(t, "of a schedule") {
			o = store.Open{Schedule: drawName.Draw(t, "schedule"), Fire: fire.Draw(t, "fire")}
		}
		c.Open = append(c.Open, o)
	}
}

func (m *machine) commit(t *rapid.T) {
	m.last = m.drawCommit(t)
	same(t, "commit", nil, commitAndWait(m.s, m.last), nil, commitAndWait(m.model, m.last))
}

func (m *machine) repeat(t *rapid.T) {
	same(t, "repeat", nil, commitAndWait(m.s, m.last), nil, commitAndWait(m.model, m.last))
}

func (m *machine) read(t *rapid.T) {
	o := m.drawOwner(t)
	q := store.Read{ID: o.ID, Generation: o.Generation, Nonce: o.Nonce}
	if rapid.Bool().Draw(t, "by name") {
		for range rapid.IntRange(0, 3).Draw(t, "keys") {
			q.Keys = append(q.Keys, []byte(drawKey.Draw(t, "key")))
		}
		q.MaxBytes = rapid.IntRange(0, 80).Draw(t, "bytes")
	} else {
		r := drawRange(t, "read")
		q.Range, q.Reverse = &r, rapid.Bool().Draw(t, "reverse")
		q.Limit, q.MaxBytes = rapid.IntRange(0, 4).Draw(t, "limit"), rapid.IntRange(0, 80).Draw(t, "bytes")
	}
	got, err := m.s.Read(m.ctx, q)
	want, wantErr := m.model.Read(m.ctx, q)
	same(t, "read", got, err, want, wantErr)
}

func (m *machine) result(t *rapid.T) {
	o := m.drawOwner(t)
	key := []byte(drawCall.Draw(t, "call"))
	got, err := m.s.Result(m.ctx, o.ID, o.Generation, o.Nonce, key)
	want, wantErr := m.model.Result(m.ctx, o.ID, o.Generation, o.Nonce, key)
	same(t, "result", got, err, want, wantErr)
}

func (m *machine) claim(t *rapid.T) {
	partition := drawAddress.Draw(t, "partition of").Partition()
	limit := rapid.IntRange(0, 3).Draw(t, "limit")
	visibility := time.Duration(rapid.IntRange(0, 10).Draw(t, "visibility")) * time.Second
	got, err := m.s.ClaimDue(m.ctx, partition, limit, visibility)
	want, wantErr := m.model.ClaimDue(m.ctx, partition, limit, visibility)
	same(t, "claim", got, err, want, wantErr)
	m.claims = append(m.claims, got...)
}

func (m *machine) extend(t *rapid.T) {
	if len(m.claims) == 0 {
		t.Skip("nothing is claimed")
	}
	d := rapid.SampledFrom(m.claims[max(0, len(m.claims)-5):]).Draw(t, "claim")
	visibility := time.Duration(rapid.IntRange(0, 10).Draw(t, "visibility")) * time.Second
	same(t, "extend", nil, m.s.ExtendClaim(m.ctx, d, visibility), nil, m.model.ExtendClaim(m.ctx, d, visibility))
}

func (m *machine) destroy(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "really") > 0 {
		t.Skip("actors should live for a while")
	}
	id := m.drawID(t)
	same(t, "destroy", nil, m.s.Destroy(m.ctx, id), nil, m.model.Destroy(m.ctx, id))
}

// list walks each store with its own cursors.
func (m *machine) list(t *rapid.T) {
	f := store.Filter{Type: rapid.SampledFrom([]string{"", "room", "none"}).Draw(t, "type")}
	if f.HasKey = rapid.Bool().Draw(t, "by key"); f.HasKey {
		f.Key = drawAddress.Draw(t, "key of").Key
		f.Namespace = rapid.SampledFrom([]string{"", "default"}).Draw(t, "namespace")
	}
	limit := rapid.IntRange(0, 3).Draw(t, "limit")
	got, err := walk(m.ctx, m.s, f, limit)
	want, wantErr := walk(m.ctx, m.model, f, limit)
	same(t, "list", got, err, want, wantErr)
}

func walk(ctx context.Context, s store.Store, f store.Filter, limit int) (all []store.Record, err error) {
	for cursor := ""; ; {
		page, next, err := s.List(ctx, f, cursor, limit)
		if all = append(all, page...); err != nil || next == "" {
			return all, err
		}
		cursor = next
	}
}

func (m *machine) describe(t *rapid.T) {
	id := m.drawID(t)
	got, err := m.s.Describe(m.ctx, id)
	want, wantErr := m.model.Describe(m.ctx, id)
	same(t, "describe", got, err, want, wantErr)
}

func (m *machine) lease(t *rapid.T) {
	l := lease(rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "id"), rapid.SampledFrom([]string{"s1", "s2"}).Draw(t, "session"))
	ttl := time.Duration(rapid.IntRange(0, 10).Draw(t, "ttl")) * time.Second
	got, err := m.s.Grant(m.ctx, l, ttl)
	want, wantErr := m.model.Grant(m.ctx, l, ttl)
	same(t, "grant", got, err, want, wantErr)
}

func (m *machine) revoke(t *rapid.T) {
	id, session := rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "id"), rapid.SampledFrom([]string{"s1", "s2"}).Draw(t, "session")
	same(t, "revoke", nil, m.s.Revoke(m.ctx, id, session), nil, m.model.Revoke(m.ctx, id, session))
}

func (m *machine) tick(t *rapid.T) {
	steps := []time.Duration{time.Microsecond, time.Second, 5 * time.Second, 20 * time.Minute, -time.Second}
	m.clock.Advance(rapid.SampledFrom(steps).Draw(t, "step"))
}

// check compares what costs little after every step.
func (m *machine) check(t *rapid.T) {
	for _, a := range []address.Address{room(), room(""), room("a"), room("b")} {
		got, err := m.s.Resolve(m.ctx, a)
		want, wantErr := m.model.Resolve(m.ctx, a)
		same(t, "resolve", got, err, want, wantErr)
		next, err := m.s.NextDue(m.ctx, a.Partition())
		wantNext, wantErr := m.model.NextDue(m.ctx, a.Partition())
		same(t, "next due", next, err, wantNext, wantErr)
	}
	got, err := m.s.Live(m.ctx, store.RunnerLease)
	want, wantErr := m.model.Live(m.ctx, store.RunnerLease)
	same(t, "live", got, err, want, wantErr)
	if err := m.s.Ready(m.ctx); err != nil {
		t.Fatal(err)
	}
}
