// Package casefile reads cases: YAML as README.md describes it, checked as far as it can be without a runner. Fields, kinds and
// enum values are looked up in the descriptors of the protocol, variables are followed from step to step, requirement hashes
// are compared.
//
// The command reads the cases at its start, tests read single ones; the package has no state.
package casefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/requirement"
)

// Case and Step are the messages of case.proto.
type (
	Case = conformancev1alpha1.Case
	Step = conformancev1alpha1.Step
)

// Load reads all .yaml files of a folder, in the order of their names.
func Load(files fs.FS) ([]*Case, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("look for cases: %w", err)
	}
	slices.Sort(names)
	var all []*Case
	seen := map[string]string{}
	var faults []error
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read cases: %w", err)
		}
		cases, err := Parse(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path.Base(name), err))
		}
		for _, c := range cases {
			if other := seen[c.Id]; other != "" {
				faults = append(faults, fmt.Errorf("%s: %s is in %s, too", name, c.Id, other))
			}
			seen[c.Id] = name
		}
		all = append(all, cases...)
	}
	return all, errors.Join(faults...)
}

// Parse reads one file. Cases with faults are left out, and told.
func Parse(text []byte) ([]*Case, error) {
	var list []yaml.Node
	if err := yaml.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("read YAML: %w", err)
	}
	var cases []*Case
	var faults []error
	for i := range list {
		c, err := one(&list[i])
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: case %s: %w", list[i].Line, c.GetId(), err))
			continue
		}
		cases = append(cases, c)
	}
	return cases, errors.Join(faults...)
}

func one(node *yaml.Node) (*Case, error) {
	c := &Case{}
	var tree any
	if err := node.Decode(&tree); err != nil {
		return c, fmt.Errorf("read YAML: %w", err)
	}
	fields, ok := jsonTree(tree).(map[string]any)
	if !ok {
		return c, errors.New("is no map")
	}
	c.Id, _ = fields["id"].(string)
	sugar(c.ProtoReflect().Descriptor(), fields)
	text, err := json.Marshal(fields)
	if err != nil {
		return c, fmt.Errorf("write JSON: %w", err)
	}
	if err := protojson.Unmarshal(text, c); err != nil {
		return c, fmt.Errorf("read as Case: %w", err)
	}
	return c, Check(c)
}

// jsonTree makes of YAML's values what JSON has.
func jsonTree(v any) any {
	switch t := v.(type) {
	case map[string]any:
		for key, item := range t {
			t[key] = jsonTree(item)
		}
	case map[any]any:
		m := make(map[string]any, len(t))
		for key, item := range t {
			m[fmt.Sprint(key)] = jsonTree(item)
		}
		return m
	case []any:
		for i, item := range t {
			t[i] = jsonTree(item)
		}
	case int:
		return float64(t)
	case int64:
		return float64(t)
	case uint64:
		return float64(t)
	case float64:
		if math.IsNaN(t) || math.IsInf(t, 0) {
			return fmt.Sprint(t)
		}
	}
	return v
}

// sugar rewrites what protojson does not take: short enum values, and lists where a message has nothing but a list.
func sugar(d protoreflect.MessageDescriptor, fields map[string]any) {
	for name, value := range fields {
		field := d.Fields().ByJSONName(name)
		if field == nil {
			continue
		}
		switch {
		case field.Enum() != nil:
			if text, is := value.(string); is {
				prefix := strings.TrimSuffix(string(field.Enum().Values().Get(0).Name()), "UNSPECIFIED")
				fields[name] = prefix + strings.ToUpper(text)
			}
		case field.IsMap() || field.Message() == nil || strings.HasPrefix(string(field.Message().FullName()), "google."):
		case field.IsList():
			items, _ := value.([]any)
			for _, item := range items {
				if inner, is := item.(map[string]any); is {
					sugar(field.Message(), inner)
				}
			}
		default:
			fields[name] = wrap(field.Message(), value)
			if inner, is := fields[name].(map[string]any); is {
				sugar(field.Message(), inner)
			}
		}
	}
}

func wrap(d protoreflect.MessageDescriptor, value any) any {
	if _, isList := value.([]any); isList && d.Fields().Len() == 1 && d.Fields().Get(0).IsList() {
		return map[string]any{d.Fields().Get(0).JSONName(): value}
	}
	return value
}

var (
	idForm   = regexp.MustCompile(`^[A-Z]{2,6}-[0-9]{2,3}$`)
	profiles = []string{"core", "events", "kv", "connections", "resume", "adopt", "credit", "serial", "interleaved"}
)

// Check looks at a case as a whole.
func Check(c *Case) error {
	switch {
	case !idForm.MatchString(c.Id):
		return fmt.Errorf("id %q is not CATEGORY-NN", c.Id)
	case c.Title == "":
		return errors.New("has no title")
	case len(c.Requirements) == 0:
		return errors.New("names no requirement")
	case !slices.Contains(profiles, c.Profile):
		return fmt.Errorf("profile %q is none of %v", c.Profile, profiles)
	case len(c.Steps) == 0:
		return errors.New("has no steps")
	}
	return checkSteps(c)
}

// Suspects are the links of a case whose requirement is gone or has another text than the one the case was written for.
func Suspects(c *Case, index map[string]requirement.Requirement) []string {
	var faults []string
	for _, link := range c.Requirements {
		r, known := index[link.Id]
		switch {
		case !known:
			faults = append(faults, fmt.Sprintf("%s: there is no requirement %s", c.Id, link.Id))
		case r.Hash != link.Hash:
			faults = append(faults, fmt.Sprintf("%s: %s has the hash %s now, the case was written for %q", c.Id, link.Id, r.Hash, link.Hash))
		}
	}
	return faults
}

// Category is what stands before the number in an id.
func Category(id string) string {
	category, _, _ := strings.Cut(id, "-")
	return category
}

// StepName is a step's name in failure codes.
func StepName(step *Step, index int) string {
	if step.Name != "" {
		return step.Name
	}
	return fmt.Sprint(index + 1)
}
