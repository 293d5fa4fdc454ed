package runner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// kvActor runs one script called "kv" and gives the peer and the ref.
func kvActor(t *testing.T, f func(w *World, ctx context.Context) (any, error), adjust ...func(*runnerv1alpha1.Welcome)) (*peer, uint64) {
	t.Helper()
	p := newStage(t, defineWorld(&diary{}, script{"kv": f})).welcome(adjust...)
	ref := p.created("world")
	synctest.Wait()
	p.call(ref, 1, "do", "kv")
	return p, ref
}

func TestWritesOfATurnAreOneCommitInOrder(t *testing.T) {
	run(t, func(t *testing.T) {
		key := []byte("b")
		p, _ := kvActor(t, func(w *World, _ context.Context) (any, error) {
			w.State().N = 1
			kv := w.KV()
			err := errors.Join(kv.PutText("a", "1"), kv.Put(key, nil), kv.DeleteText("c"), kv.DeleteRange([]byte("d"), []byte("e")),
				kv.DeleteRange([]byte("x"), nil), kv.Batch(runner.PutOp([]byte("f"), []byte("2")), runner.DeleteOp([]byte("g"))))
			key[0] = 'z' // the caller's bytes are its own again
			return 1, err
		})
		c := p.commit(2, 1)
		var got []string
		for _, op := range c.Kv {
			switch {
			case op.DeleteUntil != nil:
				got = append(got, fmt.Sprintf("-[%s,%s)", op.Key, op.DeleteUntil))
			case op.Value != nil:
				got = append(got, fmt.Sprintf("%s=%s", op.Key, op.Value))
			default:
				got = append(got, fmt.Sprintf("-%s", op.Key))
			}
		}
		if s := strings.Join(got, " "); s != "a=1 b= -c -[d,e) -[x,) f=2 -g" || c.State == nil {
			t.Errorf("changes %s", s)
		}
		result[int](p, 1)
	})
}

func TestSizesAreCheckedWhenTheTurnAsks(t *testing.T) {
	run(t, func(t *testing.T) {
		p, _ := kvActor(t, func(w *World, ctx context.Context) (any, error) {
			kv := w.KV()
			long := bytes.Repeat([]byte("k"), 11)
			_, _, getErr := kv.Get(ctx, nil)
			_, listErr := kv.List(ctx, runner.ListOptions{From: []byte("b"), Until: []byte("a")})
			_, bothErr := kv.List(ctx, runner.ListOptions{Prefix: []byte("b"), From: []byte("a")})
			var codes []string
			for _, err := range []error{
				kv.Put(long, nil), kv.Put(nil, nil), kv.Delete(long), kv.DeleteRange(long, nil), kv.Put([]byte("k"), make([]byte, 101)),
				kv.DeleteRange([]byte("b"), []byte("a")), getErr, listErr, bothErr,
				kv.Batch(runner.PutOp([]byte("a"), make([]byte, 100)), runner.PutOp([]byte("b"), make([]byte, 100)), runner.PutOp([]byte("c"), nil)),
				kv.Batch(runner.PutOp([]byte("a"), nil), runner.PutOp([]byte("b"), nil), runner.PutOp([]byte("c"), nil), runner.PutOp([]byte("d"), nil)),
			} {
				var e *runner.Error
				if !errors.As(err, &e) {
					return nil, fmt.Errorf("got %w", err)
				}
				codes = append(codes, strings.TrimPrefix(e.Code, "kv."))
			}
			return strings.Join(codes, " "), nil
		}, func(m *runnerv1alpha1.Welcome) {
			m.Limits.MaxKvKey, m.Limits.MaxKvValue, m.Limits.MaxKvBatch, m.Limits.MaxKvOperations = 10, 100, 200, 3
		})
		want := "key_too_large key_too_large key_too_large key_too_large value_too_large invalid_range key_too_large invalid_range " +
			"invalid_range batch_too_large batch_too_large"
		if got := result[string](p, 1); got != want {
			t.Errorf("got %s", got)
		}
	})
}

func TestAnErrorOfKVReachesTheCallerUnderItsCode(t *testing.T) {
	run(t, func(t *testing.T) {
		p, _ := kvActor(t, func(w *World, _ context.Context) (any, error) {
			return nil, fmt.Errorf("store: %w", w.KV().Put(nil, nil))
		})
		p.fails(1, "kv.key_too_large", wire.RanYes)
	})
}

func TestReadsSeeOwnWritesAndAskForTheRestOnly(t *testing.T) {
	run(t, func(t *testing.T) {
		p, ref := kvActor(t, func(w *World, ctx context.Context) (any, error) {
			kv := w.KV()
			if err := errors.Join(kv.PutText("a", "new"), kv.DeleteText("b")); err != nil {
				return nil, err
			}
			values, err := kv.GetMany(ctx, []byte("a"), []byte("b"), []byte("c"), []byte("d"))
			return fmt.Sprintf("%q %v %q %v", values[0], values[1] == nil, values[2], values[3] == nil), err
		})
		m := expect[*runnerv1alpha1.KvRead](p)
		if got := fmt.Sprintf("%s", m.Keys); got != "[c d]" {
			t.Errorf("asked for %s", got)
		}
		p.send(&runnerv1alpha1.KvResult{Actor: ref, Id: m.Id, Entries: []*runnerv1alpha1.KvEntry{{Key: []byte("c"), Value: []byte("old")}, {Key: []byte("d")}}})
		p.commit(2, 1)
		if got := result[string](p, 1); got != `"new" true "old" true` {
			t.Errorf("got %s", got)
		}
	})
}

func TestAReadsErrorIsTheTurns(t *testing.T) {
	run(t, func(t *testing.T) {
		p, ref := kvActor(t, func(w *World, ctx context.Context) (any, error) {
			_, _, err := w.KV().GetText(ctx, "a")
			return nil, err
		})
		m := expect[*runnerv1alpha1.KvRead](p)
		p.send(&runnerv1alpha1.KvResult{Actor: ref, Id: m.Id, Error: wire.KVInvalidRange.New().Proto()})
		p.send(&runnerv1alpha1.KvResult{Actor: ref, Id: m.Id})
		p.fails(1, "kv.invalid_range", wire.RanYes)
	})
}

// [ERR-6]: what the gateway says of the store is for the actor's code; its caller learns that the call ran and failed.
func TestAnErrorThatOnlyAGatewayMaySendStaysWithTheActor(t *testing.T) {
	run(t, func(t *testing.T) {
		seen := make(chan error, 1)
		s := newStage(t, defineWorld(&diary{}, script{"kv": func(w *World, ctx context.Context) (any, error) {
			_, _, err := w.KV().GetText(ctx, "a")
			seen <- err
			return nil, fmt.Errorf("look up: %w", err)
		}}))
		p := s.welcome()
		ref := p.created("world")
		refusals := []*wire.Error{wire.StoreUnavailable.New(), wire.RunnerOverloaded.New(), wire.InternalError.New(), {Group: "no", Code: "such_code"}}
		for i, refusal := range refusals {
			refusal.Message = "hunter2"
			id := uint64(i + 1)
			p.call(ref, id, "do", "kv")
			p.send(&runnerv1alpha1.KvResult{Actor: ref, Id: expect[*runnerv1alpha1.KvRead](p).Id, Error: refusal.Proto()})
			if e := failed(p, id, "internal.error", wire.RanYes); strings.Contains(e.Message, "hunter2") || e.Retryable {
				t.Errorf("%s left as %v", refusal.Name(), e)
			}
			if err := <-seen; i < 2 && !errors.Is(err, &runner.Error{Code: refusal.Name()}) {
				t.Errorf("the actor sees %v", err)
			}
		}
		if log := s.logs.text(); !strings.Contains(log, "store.unavailable: hunter2") {
			t.Errorf("log %s", log)
		}
	})
}

func TestNoMoreReadsAreOpenThanTheGatewayTakes(t *testing.T) {
	run(t, func(t *testing.T) {
		p, ref := kvActor(t, func(w *World, ctx context.Context) (any, error) {
			keys := make([][]byte, 5)
			for i := range keys {
				keys[i] = []byte{byte('a' + i)}
			}
			values, err := w.KV().GetMany(ctx, keys...)
			return fmt.Sprintf("%s", values), err
		}, func(m *runnerv1alpha1.Welcome) { m.Limits.MaxReadsPerActor, m.Limits.MaxMessage = 2, 2<<20 })
		var open []*runnerv1alpha1.KvRead
		for range 2 {
			open = append(open, expect[*runnerv1alpha1.KvRead](p))
		}
		for n := 0; n < 5; n++ {
			p.silent()
			m := open[0]
			p.send(&runnerv1alpha1.KvResult{Actor: ref, Id: m.Id, Entries: []*runnerv1alpha1.KvEntry{{Key: m.Keys[0], Value: m.Keys[0]}}})
			if open = open[1:]; n < 3 {
				open = append(open, expect[*runnerv1alpha1.KvRead](p))
			}
		}
		if got := result[string](p, 1); got != "[a b c d e]" {
			t.Errorf("got %s", got)
		}
	})
}

// mirror is a KV store as a list of keys and values: the model, and what the scripted gateway reads from.
type mirror map[string]string

func (m mirror) apply(op *runnerv1alpha1.KvOp) {
	switch {
	case op.DeleteUntil != nil:
		for k := range m {
			if k >= string(op.Key) && (len(op.DeleteUntil) == 0 || k < string(op.DeleteUntil)) {
				delete(m, k)
			}
		}
	case op.Value != nil:
		m[string(op.Key)] = string(op.Value)
	default:
		delete(m, string(op.Key))
	}
}

func (m mirror) list(from, until string, reverse bool, limit int) (list []string) {
	for k := range m {
		if k >= from && (until == "" || k < until) {
			list = append(list, k)
		}
	}
	slices.Sort(list)
	if reverse {
		slices.Reverse(list)
	}
	if limit > 0 && len(list) > limit {
		list = list[:limit]
	}
	return list
}

// serve answers reads in short pages, and applies commits, until the call is answered. A commit is acknowledged when nothing
// else happens any more: what is unsent then was overlaid by reads.
func (m mirror) serve(t *testing.T, p *peer, ref, id uint64) {
	for unacked := uint64(0); ; {
		if synctest.Wait(); len(p.frames) == 0 && unacked != 0 {
			p.ack(ref, unacked)
			unacked = 0
		}
		switch f := p.next().(type) {
		case *runnerv1alpha1.KvRead:
			p.send(m.read(f))
		case *wire.Commit:
			for _, op := range changesOf(t, f).Kv {
				m.apply(op)
			}
			unacked = f.Version
		case *wire.CallResult:
			if f.ID != id || f.Error != nil {
				t.Fatalf("call: %s %v", show(f), f.Error)
			}
			if unacked != 0 {
				p.ack(ref, unacked)
			}
			return
		default:
			t.Fatalf("unexpected %s", show(f))
		}
	}
}

func (m mirror) read(f *runnerv1alpha1.KvRead) *runnerv1alpha1.KvResult {
	r := &runnerv1alpha1.KvResult{Actor: f.Actor, Id: f.Id}
	for _, key := range f.Keys {
		e := &runnerv1alpha1.KvEntry{Key: key}
		if v, ok := m[string(key)]; ok {
			e.Value = []byte(v)
		}
		r.Entries = append(r.Entries, e)
	}
	if f.Range != nil {
		keys := m.list(string(f.Range.From), string(f.Range.Until), f.Reverse, int(f.Limit))
		const page = 3
		r.More = len(keys) > page || f.Limit > 0 && len(keys) == int(f.Limit)
		for _, k := range keys[:min(page, len(keys))] {
			r.Entries = append(r.Entries, &runnerv1alpha1.KvEntry{Key: []byte(k), Value: []byte(m[k])})
		}
		r.More = r.More && len(r.Entries) > 0
	}
	return r
}

// TestReadsAgreeWithAModel runs random writes and reads in random turns: what a turn reads is what a map would hold.
func TestReadsAgreeWithAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		turns := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(drawStep), 1, 8), 1, 6).Draw(rt, "turns")
		synctest.Test(t, func(t *testing.T) {
			model, stored := mirror{}, mirror{}
			id := uint64(0)
			p := newStage(t, defineWorld(&diary{}, script{"kv": func(w *World, ctx context.Context) (any, error) {
				for _, step := range turns[id-1] {
					if err := step.run(ctx, w, model); err != nil {
						return nil, runner.UserError{Code: "differs", Message: err.Error()}
					}
				}
				return 1, nil
			}})).welcome()
			ref := p.created("world")
			for range turns {
				id++
				p.call(ref, id, "do", "kv")
				stored.serve(t, p, ref, id)
			}
		})
		if t.Failed() {
			rt.Fatalf("failed with %+v", turns)
		}
	})
}

// kvStep is one thing that a turn does.
type kvStep struct {
	What        string
	Key, Value  string
	From, Until string
	Prefix      bool
	Reverse     bool
	Limit       int
}

func drawStep(rt *rapid.T) kvStep {
	bound := rapid.SampledFrom([]string{"", "a", "aa", "b", "c", "da", "z", "\xff"})
	s := kvStep{
		What:  rapid.SampledFrom([]string{"put", "put", "put", "delete", "clear", "flush", "get", "list", "list"}).Draw(rt, "what"),
		Key:   rapid.SampledFrom([]string{"a", "aa", "ab", "b", "ba", "c", "d", "da", "e", "f", "\xff", "\xffz"}).Draw(rt, "key"),
		Value: fmt.Sprint(rapid.IntRange(0, 99).Draw(rt, "value")),
		From:  bound.Draw(rt, "from"), Until: bound.Draw(rt, "until"),
		Prefix: rapid.Bool().Draw(rt, "prefix"), Reverse: rapid.Bool().Draw(rt, "reverse"), Limit: rapid.IntRange(0, 5).Draw(rt, "limit"),
	}
	if s.Until != "" && s.From > s.Until {
		s.From, s.Until = s.Until, s.From
	}
	return s
}

func (s kvStep) run(ctx context.Context, w *World, model mirror) error {
	kv := w.KV()
	switch s.What {
	case "put":
		model.apply(&runnerv1alpha1.KvOp{Key: []byte(s.Key), Value: []byte(s.Value)})
		return kv.PutText(s.Key, s.Value)
	case "delete":
		model.apply(&runnerv1alpha1.KvOp{Key: []byte(s.Key)})
		return kv.DeleteText(s.Key)
	case "clear":
		model.apply(&runnerv1alpha1.KvOp{Key: []byte(s.From), DeleteUntil: []byte(s.Until)})
		return kv.DeleteRange([]byte(s.From), []byte(s.Until))
	case "get":
		got, ok, err := kv.GetText(ctx, s.Key)
		if want, there := model[s.Key]; got != want || ok != there {
			return fmt.Errorf("%q is %q %v, want %q %v", s.Key, got, ok, want, there)
		}
		return err
	case "list":
		return s.list(ctx, kv, model)
	}
	w.Flush()
	return nil
}

func (s kvStep) list(ctx context.Context, kv runner.KV, model mirror) error {
	o := runner.ListOptions{From: []byte(s.From), Until: []byte(s.Until), Reverse: s.Reverse, Limit: s.Limit}
	from, until := s.From, s.Until
	if s.Prefix {
		o.From, o.Until, o.Prefix = nil, nil, []byte(from)
		until = map[string]string{"a": "b", "aa": "ab", "b": "c", "c": "d", "da": "db", "z": "{"}[from]
	}
	entries, err := kv.List(ctx, o)
	if err != nil {
		return err
	}
	want := model.list(from, until, o.Reverse, o.Limit)
	if len(entries) != len(want) {
		return fmt.Errorf("%+v: %d entries, want %q", s, len(entries), want)
	}
	for i, e := range entries {
		if string(e.Key) != want[i] || string(e.Value) != model[want[i]] {
			return fmt.Errorf("%+v: entry %d is %q=%q, want %q=%q", s, i, e.Key, e.Value, want[i], model[want[i]])
		}
	}
	return nil
}
