package runner

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// overlay is the writes that were not yet sent when a read was, in order. The gateway serves the read after the commits
// before it, so that the overlay on top of the answer is what the actor has written [KV-3]. It stays right when some of it
// is sent and read back: the last write to a key decides, and it is in the overlay.
type overlay struct {
	ops         []kvOp
	keysPerRead int
}

// span is a range of keys, [from, until); an empty until is the end.
type span struct{ from, until []byte }

func (s span) holds(key []byte) bool {
	return bytes.Compare(key, s.from) >= 0 && (len(s.until) == 0 || bytes.Compare(key, s.until) < 0)
}

// snapshot copies what is unsent.
func (in *instance) snapshot() overlay {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.unsent()
}

func (in *instance) unsent() overlay {
	var o overlay
	for _, g := range in.waiting {
		o.ops = append(o.ops, g.kv...)
	}
	if in.pending != nil {
		o.ops = append(o.ops, in.pending.kv...)
	}
	// An answer is one message, so a read asks for no more than fits it if all values are as large as they may be.
	l := in.sess().limits
	o.keysPerRead = max(1, l.MaxFrame/2/max(1, l.MaxKVValue))
	return o
}

// find tells what the overlay says about a key; decided is false where it says nothing.
func (o overlay) find(key []byte) (value []byte, decided bool) {
	for i := len(o.ops) - 1; i >= 0; i-- {
		switch op := o.ops[i]; op.kind {
		case kvPut:
			if bytes.Equal(op.key, key) {
				return op.value, true
			}
		case kvDelete:
			if bytes.Equal(op.key, key) {
				return nil, true
			}
		case kvDeleteRange:
			if (span{op.key, op.until}).holds(key) {
				return nil, true
			}
		}
	}
	return nil, false
}

// puts are the overlay's live entries within s, in byte order.
func (o overlay) puts(s span) []Entry {
	latest := map[string]bool{}
	var entries []Entry
	for _, op := range slices.Backward(o.ops) {
		if op.kind != kvPut || !s.holds(op.key) || latest[string(op.key)] {
			continue
		}
		latest[string(op.key)] = true
		if value, _ := o.find(op.key); value != nil {
			entries = append(entries, Entry{op.key, value})
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return bytes.Compare(a.Key, b.Key) })
	return entries
}

// readMany fills in what the overlay decides and asks the gateway for the rest, under one lock, so that all is of one
// moment. missing are the places of the keys asked for.
func (in *instance) readMany(keys, values [][]byte) (o overlay, missing []int, answers []<-chan *runnerv1alpha1.KvResult, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	o = in.unsent()
	for i, key := range keys {
		value, decided := o.find(key)
		if decided {
			values[i] = bytes.Clone(value)
		} else {
			missing = append(missing, i)
		}
	}
	for places := range slices.Chunk(missing, o.keysPerRead) {
		m := &runnerv1alpha1.KvRead{}
		for _, i := range places {
			m.Keys = append(m.Keys, keys[i])
		}
		answer, err := in.askRead(m)
		if err != nil {
			return o, nil, nil, err
		}
		answers = append(answers, answer)
	}
	return o, missing, answers, nil
}

// read is one that is unanswered.
type read struct {
	m      *runnerv1alpha1.KvRead
	answer chan *runnerv1alpha1.KvResult
}

// askRead sends a read, or keeps it back while as many as may be are unanswered, or until the actor is adopted. With the
// lock held.
func (in *instance) askRead(m *runnerv1alpha1.KvRead) (<-chan *runnerv1alpha1.KvResult, error) {
	if in.over {
		return nil, ErrStopped
	}
	s := in.sess()
	if !wire.Negotiated(wire.RunnerKvRead, s.features) {
		return nil, errNoKV
	}
	r := in.side()
	if r.reads == nil {
		r.reads = map[uint64]*read{}
	}
	r.lastRead++
	m.Actor, m.Id = in.ref, r.lastRead
	asked := &read{m: m, answer: make(chan *runnerv1alpha1.KvResult, 1)}
	r.reads[m.Id] = asked
	switch {
	case in.adrift: // rejoin finds it
	case len(r.reads) > s.limits.MaxReadsPerActor:
		r.parked = append(r.parked, m)
	default:
		in.push(wire.Runner(m))
	}
	return asked.answer, nil
}

// askAgain puts the unanswered reads behind the commit that is sent again, if there is one: their answers were lost with the
// session. With the lock held.
func (in *instance) askAgain() {
	if in.rim == nil || len(in.rim.reads) == 0 {
		return
	}
	ids := slices.Sorted(maps.Keys(in.rim.reads))
	sent := ids[:min(len(ids), in.sess().limits.MaxReadsPerActor)]
	g := new(group)
	for _, id := range sent {
		m := in.rim.reads[id].m
		m.Actor = in.ref
		g.hold([]wire.Message{wire.Runner(m)})
	}
	in.rim.parked = nil
	for _, id := range ids[len(sent):] {
		m := in.rim.reads[id].m
		m.Actor = in.ref
		in.rim.parked = append(in.rim.parked, m)
	}
	at := 0
	if len(in.waiting) > 0 && in.waiting[0].sent != nil {
		at = 1
	}
	in.waiting = slices.Insert(in.waiting, at, g)
	in.backlog += g.weight()
}

// kvResult is the answer to a read.
func (in *instance) kvResult(m *runnerv1alpha1.KvResult) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over || in.rim == nil || in.rim.reads[m.Id] == nil {
		return
	}
	in.rim.reads[m.Id].answer <- m
	delete(in.rim.reads, m.Id)
	if len(in.rim.parked) > 0 {
		in.push(wire.Runner(in.rim.parked[0]))
		in.rim.parked = in.rim.parked[1:]
	}
}

func (in *instance) awaitRead(ctx context.Context, answer <-chan *runnerv1alpha1.KvResult) (*runnerv1alpha1.KvResult, error) {
	select {
	case m, open := <-answer:
		if !open {
			return nil, ErrStopped
		}
		if m.Error != nil {
			e, _ := wire.ErrorFromProto(m.Error).Accept(wire.FromGateway)
			return nil, sdkError(e)
		}
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var errEmptyPage = errors.New("runner: the gateway answered with an empty page of a list that goes on")

// maxPageBytes is how much a page of a list may hold.
const maxPageBytes = 1 << 20

// listing is a List under way. It knows the gateway's entries page by page; those of the overlay are woven in as far as the
// pages reach.
type listing struct {
	in      *instance
	span    span // what is still to be read
	reverse bool
	limit   int
	overlay overlay
	found   []Entry
}

func (l *listing) read(ctx context.Context) ([]Entry, error) {
	written := l.overlay.puts(l.span)
	if l.reverse {
		slices.Reverse(written)
	}
	for {
		page, err := l.page(ctx)
		if err != nil {
			return nil, err
		}
		if page.More && len(page.Entries) == 0 {
			return nil, errEmptyPage // asking again would not end
		}
		for _, stored := range page.Entries {
			for len(written) > 0 && l.before(written[0].Key, stored.Key) {
				l.found, written = append(l.found, written[0]), written[1:]
			}
			if _, decided := l.overlay.find(stored.Key); !decided {
				l.found = append(l.found, Entry{stored.Key, present(stored.Value)})
			}
		}
		if !page.More {
			l.found = append(l.found, written...)
		}
		if !page.More || l.limit > 0 && len(l.found) >= l.limit {
			return l.cut(), nil
		}
		l.advance(page.Entries[len(page.Entries)-1].Key)
	}
}

func (l *listing) before(a, b []byte) bool {
	if l.reverse {
		return bytes.Compare(a, b) > 0
	}
	return bytes.Compare(a, b) < 0
}

func (l *listing) advance(last []byte) {
	if l.reverse {
		l.span.until = last
	} else {
		l.span.from = append(bytes.Clone(last), 0)
	}
}

// cut keeps the limit and gives the caller bytes of its own.
func (l *listing) cut() []Entry {
	if l.limit > 0 && len(l.found) > l.limit {
		l.found = l.found[:l.limit]
	}
	for i, e := range l.found {
		l.found[i] = Entry{bytes.Clone(e.Key), bytes.Clone(e.Value)}
	}
	return l.found
}

func (l *listing) page(ctx context.Context) (*runnerv1alpha1.KvResult, error) {
	r := &runnerv1alpha1.KvRange{From: l.span.from}
	if len(l.span.until) > 0 {
		r.Until = l.span.until
	}
	m := &runnerv1alpha1.KvRead{Range: r, Reverse: l.reverse, MaxBytes: maxPageBytes}
	if l.limit > 0 {
		// Some of the page may be hidden by the overlay; the next page makes up for it.
		m.Limit = uint32(min(l.limit-len(l.found), 1<<20))
	}
	l.in.mu.Lock()
	answer, err := l.in.askRead(m)
	l.in.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return l.in.awaitRead(ctx, answer)
}
