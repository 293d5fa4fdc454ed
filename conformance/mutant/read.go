package mutant

import (
	"slices"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// reads are mistakes in how KV is read.
func reads() []Mutant {
	is, answer := (*tap.Frame).GetKvRead, (*tap.Frame).GetKvResult
	ranged := func(m *runnerv1alpha1.KvRead) bool { return m.Range != nil }
	return []Mutant{
		{"drop-kv-read", "does not ask for what it is to read", []string{"KV-3", "CALL-1"}, drop(is)},
		{"double-kv-read", "asks twice under the same id", []string{"LINK-9"}, double(is)},
		{"read-of-another-actor", "reads what belongs to another actor", []string{"LINK-9"}, alter(is, func(m *runnerv1alpha1.KvRead) { m.Actor += elsewhere })},
		{"read-of-another-key", "reads another key", []string{"KV-1"}, alter(is, func(m *runnerv1alpha1.KvRead) {
			m.Keys = slices.Clone(m.Keys)
			m.Keys[0] = append(slices.Clone(m.Keys[0]), 'x')
		}, func(m *runnerv1alpha1.KvRead) bool { return len(m.Keys) > 0 })},
		{"read-unbounded", "reads on behind the end of the range", []string{"KV-4"}, alter(is, func(m *runnerv1alpha1.KvRead) { m.Range.Until = nil }, ranged)},
		{"read-from-start", "reads from before the start of the range", []string{"KV-4"}, alter(is, func(m *runnerv1alpha1.KvRead) { m.Range.From = nil }, ranged)},
		{"read-forwards", "reads forwards what it is to read backwards", []string{"KV-4"}, alter(is, func(m *runnerv1alpha1.KvRead) { m.Reverse = false })},
		{"pages-cut-short", "takes the first page for all", []string{"KV-4"}, mishear(answer, func(m *runnerv1alpha1.KvResult) { m.More = false })},
		{"pages-repeated", "reads the first page again and again", []string{"KV-4"}, pagesRepeated},
		{"read-altered", "changes a bit of what it read", []string{"KV-1"}, mishear(answer, func(m *runnerv1alpha1.KvResult) {
			for _, e := range m.Entries {
				if len(e.Value) > 0 {
					e.Value = flipped(e.Value)
				}
			}
		})},
		{"missing-as-empty", "takes a key that is not there for one with an empty value", []string{"KV-1", "PAY-3"}, mishear(answer, func(m *runnerv1alpha1.KvResult) {
			for _, e := range m.Entries {
				if e.Value == nil {
					e.Value = []byte{}
				}
			}
		})},
		{"empty-as-missing", "takes a key with an empty value for one that is not there", []string{"KV-1", "PAY-3"}, mishear(answer, func(m *runnerv1alpha1.KvResult) {
			for _, e := range m.Entries {
				if len(e.Value) == 0 {
					e.Value = nil
				}
			}
		})},
		{"read-error-unread", "takes a read that failed for one that found nothing", []string{"KV-3"}, mishear(answer, func(m *runnerv1alpha1.KvResult) { m.Error = nil })},
		{"reads-crossed", "gives each of two reads of an actor the other's answer", []string{"KV-3"}, readsCrossed},
		{"read-error-passed-on", "passes a code of the gateway's on to the caller of an action whose read failed", []string{"ERR-6", "ERR-2"}, readErrorPassedOn},
	}
}

// pagesRepeated lets each range begin where the first one of the actor began.
func pagesRepeated() tap.Tap {
	first := map[uint64][]byte{}
	return fromRunner(func(f *tap.Frame) []*tap.Frame {
		m := f.GetKvRead()
		if m == nil || m.Range == nil {
			return []*tap.Frame{f}
		}
		from, known := first[m.Actor]
		if !known {
			first[m.Actor] = m.Range.From
			return []*tap.Frame{f}
		}
		f = tap.Clone(f)
		f.GetKvRead().Range.From = from
		return []*tap.Frame{f}
	})
}

// readsCrossed exchanges the ids of the two oldest reads of an actor that are open at the same time.
func readsCrossed() tap.Tap {
	open := map[uint64][]uint64{} // by actor, oldest first
	return tap.Tap{
		FromRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetKvRead(); m != nil {
				open[m.Actor] = append(open[m.Actor], m.Id)
			}
			return tap.Out{Gateway: []*tap.Frame{f}}
		},
		ToRunner: func(f *tap.Frame) tap.Out {
			m := f.GetKvResult()
			if m == nil {
				return tap.Out{Runner: []*tap.Frame{f}}
			}
			if ids := open[m.Actor]; len(ids) >= 2 {
				other := ids[0]
				if other == m.Id {
					other = ids[1]
				}
				f = tap.Clone(f)
				f.GetKvResult().Id = other
			}
			open[m.Actor] = slices.DeleteFunc(open[m.Actor], func(id uint64) bool { return id == m.Id })
			return tap.Out{Runner: []*tap.Frame{f}}
		},
	}
}

// readErrorPassedOn answers the next call of an actor that fails for no reason of the user's with the error of its last read.
func readErrorPassedOn() tap.Tap {
	failed := map[uint64]*commonv1alpha1.Error{}
	return tap.Tap{
		ToRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetKvResult(); m.GetError() != nil {
				failed[m.Actor] = m.Error
			}
			return tap.Out{Runner: []*tap.Frame{f}}
		},
		FromRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetCallResult(); m.GetError().GetGroup() == "internal" && failed[m.Actor] != nil {
				f = tap.Clone(f)
				f.GetCallResult().Error = failed[m.Actor]
				delete(failed, m.Actor)
			}
			return tap.Out{Gateway: []*tap.Frame{f}}
		},
	}
}
