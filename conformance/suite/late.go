package suite

import (
	"slices"

	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/monitor"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// late has cases fail whose runner broke a rule behind their end. Who follows the progress is told of them once more.
func (b *bench) late(stage *engine.Stage) {
	for _, f := range stage.Late() {
		if v, changed := b.amend(stage, f); changed {
			b.tell(v)
		}
	}
}

// amend puts a finding to the case that it is about. One that has failed has its reason already.
func (b *bench) amend(stage *engine.Stage, f monitor.Finding) (verdict.Case, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.IndexFunc(b.result.Cases, func(c verdict.Case) bool { return c.ID == f.Case })
	if at < 0 {
		return verdict.Case{}, false
	}
	v := &b.result.Cases[at]
	found := verdict.Finding{Monitor: f.Monitor, Text: f.Text, Seq: f.Seq}
	if v.Status == verdict.Fail && v.Code == v.ID+"/"+f.Monitor {
		v.Find(found)
	}
	if v.Status != verdict.Pass {
		return verdict.Case{}, false
	}
	v.Status, v.Code, v.Message, v.Passes = verdict.Fail, v.ID+"/"+f.Monitor, "behind the end of the case: "+f.Text, v.Passes-1
	v.Find(found)
	v.Events = slices.DeleteFunc(stage.Events(), func(e *trace.Event) bool { return e.CaseId != v.ID && e.Seq != f.Seq })
	v.Lines = verdict.LinesOf(v.Events)
	return *v, true
}
