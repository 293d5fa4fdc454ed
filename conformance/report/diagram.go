package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// Geometry of a diagram, in units of its view box: times at the left, then the lanes, then the sockets' numbers.
const (
	diagramWidth = 960
	suiteLane    = 118
	subjectLane  = 914
	laneTop      = 34
	labelSize    = 118 // characters between the lanes
)

// A trace of more rows than foldOver is folded to its beginning, its end, and what stands around findings.
const (
	foldOver   = 44
	foldHead   = 5
	foldTail   = 14
	foldBefore = 10
	foldAfter  = 3
	foldLeast  = 4  // fewer rows are not worth folding
	maxFaults  = 20 // findings in one diagram
)

// diagram is a sequence diagram: rows from top to bottom between two lanes.
type diagram struct {
	ID, Title          string
	Suite, Subject     string // what stands over the lanes
	Width, Height      int
	Top, Bottom        int
	SuiteAt, SubjectAt int
	Arrows             int
	Rows               []row
}

// row is one line of a diagram. What says which fields matter: arrow, step, note, fold or fault.
type row struct {
	What   string
	Y      int // of its text
	Time   string
	Kind   string
	Text   string
	Socket string

	FromSubject bool
	Fence       bool
	At          int // height of the arrow
	From, To    int // ends of the arrow
	Head        string
	Height      int
	Top         int
}

var rowHeights = map[string]int{"arrow": 32, "step": 28, "note": 22, "fold": 28, "fault": 28}

// draw makes the diagram of a case that failed. steps names the steps of the case for people.
func draw(c *verdict.Case, isGateway bool, steps map[string]string) *diagram {
	d := &diagram{
		ID: c.ID, Title: "What was said in " + c.ID, Suite: "suite as gateway", Subject: "runner",
		Width: diagramWidth, Top: laneTop, SuiteAt: suiteLane, SubjectAt: subjectLane,
	}
	if isGateway {
		d.Suite, d.Subject = "gateway", "suite as runner"
	}
	began := int64(0)
	if len(c.Lines) > 0 {
		began = c.Lines[0].AtUs
	}
	rows := fold(rowsOf(c, began, steps))
	y := laneTop + 8
	for _, r := range rows {
		r.Top, r.Height = y, rowHeights[r.What]
		r.Y = y + 17
		if r.What == "arrow" {
			d.Arrows++
			r.point()
		}
		y += r.Height
		d.Rows = append(d.Rows, r)
	}
	d.Bottom, d.Height = y+4, y+10
	return d
}

// point sets the ends and the head of an arrow.
func (r *row) point() {
	r.Y, r.At = r.Top+16, r.Top+23
	r.From, r.To = suiteLane, subjectLane
	back := -8
	if r.FromSubject {
		r.From, r.To, back = r.To, r.From, 8
	}
	r.Head = fmt.Sprintf("%d,%d %d,%d %d,%d", r.To, r.At, r.To+back, r.At-4, r.To+back, r.At+4)
}

func rowsOf(c *verdict.Case, began int64, steps map[string]string) []row {
	var rows []row
	several := severalSockets(c.Lines)
	findings := slices.Clone(c.Findings[:min(len(c.Findings), maxFaults)])
	slices.SortStableFunc(findings, func(a, b verdict.Finding) int { return cmp.Compare(a.Seq, b.Seq) })
	tell := func(before uint64) {
		for len(findings) > 0 && findings[0].Seq < before {
			rows = append(rows, row{What: "fault", Kind: findings[0].Monitor, Text: clip(visible(findings[0].Text), labelSize-10)})
			findings = findings[1:]
		}
	}
	ended := ""
	for _, line := range c.Lines {
		if line.Seq > 0 {
			tell(line.Seq)
		}
		switch line.Kind {
		case "case began":
		case "case ended":
			ended = since(line.AtUs - began)
		default:
			rows = append(rows, rowOf(line, began, steps, several))
		}
	}
	tell(math.MaxUint64)
	if !isFinding(c) {
		rows = append(rows, row{What: "fault", Time: ended, Kind: c.Code, Text: clip(visible(c.Message), labelSize-len(c.Code))})
	}
	return rows
}

// isFinding says whether the failure is a monitor's, which is in the findings.
func isFinding(c *verdict.Case) bool {
	return slices.ContainsFunc(c.Findings, func(f verdict.Finding) bool { return c.Code == c.ID+"/"+f.Monitor })
}

func rowOf(line verdict.Line, began int64, steps map[string]string, sockets bool) row {
	r := row{Kind: visible(line.Kind), Text: visible(line.Text), Time: since(line.AtUs - began)}
	switch {
	case line.Kind == "…":
		return row{What: "fold", Text: r.Text}
	case line.From != "":
		r.What, r.FromSubject = "arrow", line.From == "runner"
		r.Fence = line.Kind == "fence" || line.Kind == "fenceReached"
		r.Text = clip(r.Text, labelSize-len(r.Kind))
		if sockets && line.Socket > 0 {
			r.Socket = fmt.Sprintf("#%d", line.Socket)
		}
	case line.Kind == "step":
		r.What, r.Kind = "step", "step "+r.Text
		r.Text = clip(visible(steps[line.Text]), labelSize-len(r.Kind))
	default:
		r.What = "note"
		if line.Socket > 0 && sockets {
			r.Kind = strings.Replace(r.Kind, "socket", fmt.Sprintf("socket #%d", line.Socket), 1)
		}
		r.Text = clip(r.Text, labelSize-len(r.Kind))
	}
	return r
}

func severalSockets(lines []verdict.Line) bool {
	first := uint32(0)
	for _, l := range lines {
		if l.Socket > 0 && first == 0 {
			first = l.Socket
		}
		if l.Socket > 0 && l.Socket != first {
			return true
		}
	}
	return false
}

func since(us int64) string {
	switch {
	case us < 10_000:
		return fmt.Sprintf("%.2f ms", float64(us)/1000)
	case us < 1_000_000:
		return fmt.Sprintf("%.0f ms", float64(us)/1000)
	}
	return fmt.Sprintf("%.2f s", float64(us)/1e6)
}

// fold leaves out of a long diagram what is far from all faults.
func fold(rows []row) []row {
	if len(rows) <= foldOver {
		return rows
	}
	keep := make([]bool, len(rows))
	mark := func(from, to int) {
		for i := max(0, from); i < min(len(rows), to); i++ {
			keep[i] = true
		}
	}
	mark(0, foldHead)
	mark(len(rows)-foldTail, len(rows))
	for i, r := range rows {
		if r.What == "fault" {
			mark(i-foldBefore, i+foldAfter+1)
		}
	}
	var out []row
	for i := 0; i < len(rows); {
		end := i
		for end < len(rows) && !keep[end] {
			end++
		}
		switch {
		case end == i:
			out = append(out, rows[i])
			i++
			continue
		case end-i < foldLeast:
			out = append(out, rows[i:end]...)
		default:
			out = append(out, folded(rows[i:end]))
		}
		i = end
	}
	return out
}

func folded(rows []row) row {
	frames := 0
	for _, r := range rows {
		if r.What == "arrow" {
			frames++
		}
	}
	return row{What: "fold", Text: fmt.Sprintf("%d rows folded, of these %d frames", len(rows), frames)}
}
