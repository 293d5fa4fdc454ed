package report

import (
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

func whats(rows []row) string {
	var all []string
	for _, r := range rows {
		all = append(all, r.What)
	}
	return strings.Join(all, " ")
}

func TestADiagramShowsWhatHappened(t *testing.T) {
	c := failed(t, "CC-01", "look", 1)
	d := draw(&c, false, map[string]string{"1": "start a", "look": "call get"})
	if got := whats(d.Rows); got != "note step arrow arrow arrow arrow step fault" || d.Arrows != 4 {
		t.Fatalf("%d arrows in %s", d.Arrows, got)
	}
	if s := d.Rows[1]; s.Kind != "step 1" || s.Text != "start a" {
		t.Errorf("the step is %+v", s)
	}
	call, fence, result := d.Rows[2], d.Rows[3], d.Rows[4]
	if call.Kind != "call" || call.FromSubject || call.From != suiteLane || call.To != subjectLane || call.Fence || call.Time != "2.10 ms" {
		t.Errorf("the call is %+v", call)
	}
	if fence.Kind != "fence" || !fence.Fence || !d.Rows[5].Fence {
		t.Errorf("the fence is %+v", fence)
	}
	if result.Kind != "callResult" || !result.FromSubject || result.From != subjectLane || result.To != suiteLane {
		t.Errorf("the result is %+v", result)
	}
	if f := d.Rows[7]; f.Kind != "CC-01/look" || !strings.HasPrefix(f.Text, "callResult.output: is 5") || f.Time == "" {
		t.Errorf("the fault is %+v", f)
	}
	for i, r := range d.Rows[1:] {
		if r.Top != d.Rows[i].Top+d.Rows[i].Height || r.Top+r.Height > d.Height {
			t.Errorf("row %d stands at %d, %d high; the diagram has %d", i+1, r.Top, r.Height, d.Height)
		}
	}
}

func TestALongTraceIsFoldedAroundTheFault(t *testing.T) {
	c := failed(t, "CC-02", "MON-07", 60, verdict.Finding{Monitor: "MON-07", Text: "twice", Seq: 100})
	d := draw(&c, false, nil)
	at := slices.IndexFunc(d.Rows, func(r row) bool { return r.What == "fault" })
	if at < 0 || d.Rows[at].Kind != "MON-07" || strings.Count(whats(d.Rows), "fault") != 1 {
		t.Fatalf("rows %s", whats(d.Rows))
	}
	if whats(d.Rows[at-foldBefore-1:at]) != "fold"+strings.Repeat(" arrow", foldBefore) {
		t.Errorf("before the fault stand %s", whats(d.Rows[at-foldBefore-1:at]))
	}
	hidden := 240 - d.Arrows
	if strings.Count(whats(d.Rows), "fold") != 2 || len(d.Rows) > foldOver || hidden < 100 {
		t.Errorf("%d frames are folded in %s", hidden, whats(d.Rows))
	}
	if text := d.Rows[foldHead].Text; text != "84 rows folded, of these 84 frames" {
		t.Errorf("the first fold says %q", text)
	}
}

func TestAFaultStandsBehindTheFrameThatShowsIt(t *testing.T) {
	c := failed(t, "CC-02", "MON-07", 2, verdict.Finding{Monitor: "MON-07", Seq: 6}, verdict.Finding{Monitor: "MON-01", Seq: 4})
	if got := whats(draw(&c, false, nil).Rows); got != "note step arrow fault arrow arrow fault arrow arrow arrow arrow arrow step" {
		t.Errorf("rows %s", got)
	}
}

func TestSocketsAreNumberedWhereThereAreSeveral(t *testing.T) {
	c := failed(t, "CC-01", "look", 1)
	if r := draw(&c, false, nil).Rows; r[0].Kind != "socket opened" || r[2].Socket != "" {
		t.Errorf("with one socket: %+v %+v", r[0], r[2])
	}
	c.Lines[3].Socket = 2
	if r := draw(&c, false, nil).Rows; r[0].Kind != "socket #1 opened" || r[2].Socket != "#2" {
		t.Errorf("with two: %+v %+v", r[0], r[2])
	}
}

func TestTheLanesAreNamedForTheSubject(t *testing.T) {
	c := failed(t, "CC-01", "look", 1)
	if d := draw(&c, true, nil); d.Suite != "gateway" || d.Subject != "suite as runner" {
		t.Errorf("lanes %q and %q", d.Suite, d.Subject)
	}
}
