package report

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// failure is a case that did not pass, with all that helps to see why.
type failure struct {
	verdict.Case
	Mark         caseMark
	Requirements []requirementView
	Step         string // name of the failed step; empty: it was none, or is not known
	Expected     string // that step, as YAML
	Diagram      *diagram
	Table        []tableLine // the whole trace
	LeftOut      bool        // of the table, since the page is long enough
}

// tableLine is a line of a trace for the table below a diagram.
type tableLine struct {
	Seq              uint64
	Time, From, Kind string
	Text             string
}

// maxTableLines bounds the lines of all tables of a page.
const maxTableLines = 20_000

// failures are the cases that did not pass; those for which the runner did not start stand together.
func failures(r *verdict.Result, catalogue Catalogue) []*failure {
	texts := map[string]requirementView{}
	for _, q := range catalogue.Requirements {
		texts[q.ID] = requirementView{ID: q.ID, Text: spans(q.Text)}
	}
	cases := map[string]*casefile.Case{}
	for _, c := range catalogue.Cases {
		cases[c.Id] = c
	}
	var out []*failure
	lines := 0
	for _, c := range r.Cases {
		if c.Status == verdict.Pass || c.Status == verdict.Skip || c.Status == verdict.NoStart && len(c.Lines) == 0 {
			continue
		}
		f := failureOf(c, r.Subject == "gateway", cases[c.ID])
		for _, id := range c.Requirements {
			view, known := texts[id]
			if !known {
				view.ID = id
			}
			f.Requirements = append(f.Requirements, view)
		}
		if lines += len(c.Lines); lines > maxTableLines {
			f.Table, f.LeftOut = nil, true
		}
		out = append(out, f)
	}
	return out
}

func failureOf(c verdict.Case, isGateway bool, from *casefile.Case) *failure {
	steps := map[string]string{}
	f := &failure{Case: c, Mark: markOf(c)}
	if from != nil {
		failed := strings.TrimPrefix(c.Code, c.ID+"/")
		walk(from.Steps, "", func(name string, step *casefile.Step) {
			steps[name] = short(step)
			if name == failed {
				f.Step, f.Expected = name, asYAML(step)
			}
		})
	}
	f.Title, f.Message, f.Output = visible(c.Title), visible(c.Message), visible(c.Output)
	if len(c.Lines) == 0 {
		return f
	}
	f.Diagram = draw(&c, isGateway, steps)
	for _, l := range c.Lines {
		f.Table = append(f.Table, tableLine{l.Seq, since(l.AtUs - c.Lines[0].AtUs), l.From, visible(l.Kind), visible(l.Text)})
	}
	return f
}

// walk visits steps by the names that failure codes give them.
func walk(steps []*casefile.Step, prefix string, visit func(string, *casefile.Step)) {
	for i, step := range steps {
		name := prefix + casefile.StepName(step, i)
		visit(name, step)
		if repeat := step.GetRepeat(); repeat != nil {
			walk(repeat.Steps, name+".", visit)
		}
	}
}

// tree is a step as JSON values, without its name.
func tree(step *casefile.Step) map[string]any {
	fields := map[string]any{}
	text, err := protojson.Marshal(step)
	if err == nil {
		err = json.Unmarshal(text, &fields)
	}
	if err != nil { // a step that was read can be written
		fields["step"] = err.Error()
	}
	delete(fields, "name")
	return fields
}

// short is a step in a line.
func short(step *casefile.Step) string {
	var words []string
	for action, value := range tree(step) {
		text, err := json.Marshal(value)
		if err != nil || action == "timeoutMs" {
			continue
		}
		words = append(words, action+" "+strings.NewReplacer(`"`, "", ":", ": ", ",", ", ").Replace(string(text)))
	}
	return strings.Join(words, ", ")
}

func asYAML(step *casefile.Step) string {
	var b strings.Builder
	writer := yaml.NewEncoder(&b)
	writer.SetIndent(2)
	if err := writer.Encode(tree(step)); err != nil {
		return fmt.Sprint(tree(step))
	}
	return b.String()
}
