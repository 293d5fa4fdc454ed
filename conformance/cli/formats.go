package cli

import (
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
	cases, err := loadCases()
	if err != nil {
		return nil, err
	}
	cases = append(cases, gatewayCases()...)
	requirements, err := requirement.All()
	if err != nil {
		return nil, err
	}
	return report.HTML(r, report.Catalogue{Cases: cases, Requirements: requirements})
}

// gatewayCases describes the cases of the gateway's side like those in files.
func gatewayCases() []*casefile.Case {
	var cases []*casefile.Case
	for _, g := range planeg.Cases() {
		c := &casefile.Case{Id: g.ID, Title: g.Title, Plane: conformancev1alpha1.Plane_PLANE_GATEWAY}
		for _, link := range g.Requirements {
			id, hash, _ := strings.Cut(link, ":")
			c.Requirements = append(c.Requirements, &conformancev1alpha1.RequirementLink{Id: id, Hash: hash})
		}
		cases = append(cases, c)
	}
	return cases
}
