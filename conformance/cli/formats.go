package cli

import (
	"fmt"
	"io"
	"strings"

	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/planeg"
	"github.com/stagedoor-dev/stagedoor/conformance/report"
	"github.com/stagedoor-dev/stagedoor/conformance/requirement"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// formats are the reports by their names in --report.
var formats = map[string]func(*verdict.Result) ([]byte, error){
	"json":  report.JSON,
	"junit": report.JUnit,
	"badge": report.Badge,
	"html":  page,
}

// page lays the result over all cases and requirements of the build.
func page(r *verdict.Result) ([]byte, error) {
	all, err := catalogue()
	if err != nil {
		return nil, err
	}
	return report.HTML(r, all)
}

// catalogue is all cases, of both sides, with the spec.
func catalogue() (report.Catalogue, error) {
	cases, err := loadCases()
	if err != nil {
		return report.Catalogue{}, err
	}
	requirements, err := requirement.All()
	if err != nil {
		return report.Catalogue{}, harness{err}
	}
	reasons, err := requirement.Uncovered()
	if err != nil {
		return report.Catalogue{}, harness{err}
	}
	return report.Catalogue{Cases: append(cases, gatewayCases()...), Requirements: requirements, Reasons: reasons}, nil
}

// conclude says what a run came to: in the reports, by the coverage of the spec, and last by the verdict.
func conclude(out io.Writer, result *verdict.Result, writers []func(*verdict.Result) error) error {
	all, err := catalogue()
	if err != nil {
		return err
	}
	result.Coverage = report.Cover(result, all)
	for _, write := range writers {
		if err := write(result); err != nil {
			return harness{err}
		}
	}
	if _, err := fmt.Fprintf(out, "%s\n%s\n", report.CoverageLine(result), result.Verdict); err != nil {
		return harness{err}
	}
	if result.Exit != verdict.ExitConformant {
		return exit(result.Exit)
	}
	return nil
}

// gatewayCases describes the cases of the gateway's side like those in files.
func gatewayCases() []*casefile.Case {
	var cases []*casefile.Case
	for _, g := range planeg.Cases() {
		c := &casefile.Case{Id: g.ID, Title: g.Title, Profile: g.Profile(), Plane: conformancev1alpha1.Plane_PLANE_GATEWAY, Note: g.Scope()}
		for _, link := range g.Requirements {
			id, hash, _ := strings.Cut(link, ":")
			c.Requirements = append(c.Requirements, &conformancev1alpha1.RequirementLink{Id: id, Hash: hash})
		}
		cases = append(cases, c)
	}
	return cases
}
