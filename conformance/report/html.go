package report

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"slices"
	"time"

	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

//go:embed page.html parts.html diagram.html style.css
var pageFiles embed.FS

var pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"visible": visible,
	"ms":      milliseconds,
}).ParseFS(pageFiles, "page.html", "parts.html", "diagram.html", "style.css"))

// page is what page.html shows.
type page struct {
	*verdict.Result
	Tone, Headline, What string
	Other                string // the side that was not tested
	Took                 string
	Bar                  []share
	Profiles             []profileView
	Failures             []*failure
	NoStart              []verdict.Case
	Sections             []section
	Spec                 *verdict.Coverage
	Cover                []share
	All                  []caseRow
}

// share is a part of the bar of counts.
type share struct {
	State, Word string
	N           int
	Percent     float64
}

// profileView is a profile with what its cases came to.
type profileView struct {
	Name                  string
	Claimed               bool
	Pass, Other, Skip, Of int
}

// caseRow is a row of the list of all cases.
type caseRow struct {
	verdict.Case
	Mark    caseMark
	Failed  bool
	Percent float64 // of the slowest case
}

// HTML is the page.
func HTML(r *verdict.Result, catalogue Catalogue) ([]byte, error) {
	p := &page{
		Result: r, Tone: tone(r), Headline: headline(r), What: subject(r), Other: otherSide(r),
		Took: milliseconds(float64(r.TookMs)), Bar: bar(r.Counts), Profiles: profiles(r),
		Failures: failures(r, catalogue), Sections: matrix(r, catalogue), All: rowsOfCases(r),
	}
	for _, c := range r.Cases {
		if c.Status == verdict.NoStart && len(c.Lines) == 0 {
			p.NoStart = append(p.NoStart, c)
		}
	}
	p.Spec = Cover(r, catalogue)
	p.Cover = coverageBar(p.Spec, p.Other)
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return b.Bytes(), nil
}

func bar(n verdict.Counts) []share {
	var out []share
	for _, s := range []struct {
		status verdict.Status
		n      int
	}{
		{verdict.Pass, n.Pass},
		{verdict.Known, n.Known},
		{verdict.Fail, n.Fail},
		{verdict.NoStart, n.NoStart},
		{verdict.Error, n.Error},
		{verdict.Unknown, n.Unknown},
		{verdict.Skip, n.Skip},
	} {
		if s.n > 0 {
			out = append(out, share{class(s.status), shareWords[s.status], s.n, 100 * float64(s.n) / float64(max(n.Total, 1))})
		}
	}
	return out
}

var shareWords = map[verdict.Status]string{
	verdict.Pass: "passed", verdict.Known: "known to fail", verdict.Fail: "failed", verdict.NoStart: "did not start",
	verdict.Error: "went wrong in the suite", verdict.Unknown: "not decided", verdict.Skip: "skipped",
}

func profiles(r *verdict.Result) []profileView {
	var out []profileView
	for i, names := range [][]string{r.Claimed, r.NotClaimed} {
		for _, name := range names {
			p := profileView{Name: name, Claimed: i == 0}
			for _, c := range r.Cases {
				if c.Profile != name {
					continue
				}
				p.Of++
				switch c.Status {
				case verdict.Pass:
					p.Pass++
				case verdict.Skip:
					p.Skip++
				default:
					p.Other++
				}
			}
			out = append(out, p)
		}
	}
	return out
}

func rowsOfCases(r *verdict.Result) []caseRow {
	if len(r.Cases) == 0 {
		return nil
	}
	slowest := slices.MaxFunc(r.Cases, func(a, b verdict.Case) int { return cmp.Compare(a.TookMs, b.TookMs) }).TookMs
	out := make([]caseRow, 0, len(r.Cases))
	for _, c := range r.Cases {
		failed := c.Status != verdict.Pass && c.Status != verdict.Skip && (c.Status != verdict.NoStart || len(c.Lines) > 0)
		out = append(out, caseRow{Case: c, Mark: markOf(c), Failed: failed, Percent: 100 * c.TookMs / max(slowest, 1)})
	}
	return out
}

func milliseconds(ms float64) string {
	switch {
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	case ms < 60_000:
		return fmt.Sprintf("%.1f s", ms/1000)
	}
	return time.Duration(ms * float64(time.Millisecond)).Round(time.Second).String()
}
