package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Sources are where settings come from, the strongest first.
type Sources struct {
	// Flags are the texts of the flags that were given, by key.
	Flags map[string][]string
	// Env looks a variable up; an empty one counts as unset. Nil: none is set.
	Env func(name string) string
	// File is the path of a TOML file. Empty: STAGEDOOR_CONFIG, or none.
	File string
}

// FileVariable names the file when no flag does.
const FileVariable = "STAGEDOOR_CONFIG"

// Load fills base from the sources and reports every fault it finds. It does not Validate, so that a command can set what
// is its own to set.
func Load(base Config, from Sources) (Config, error) {
	env := from.Env
	if env == nil {
		env = func(string) string { return "" }
	}
	path := from.File
	if path == "" {
		path = env(FileVariable)
	}
	settings := base.Settings()
	var faults []error
	if path != "" {
		faults = append(faults, applyFile(settings, path)...)
	}
	faults = append(faults, applyEnv(settings, env)...)
	faults = append(faults, applyFlags(settings, from.Flags)...)
	return base, errors.Join(faults...)
}

func applyFile(settings []Setting, path string) []error {
	content, err := os.ReadFile(path)
	if err != nil {
		return []error{fmt.Errorf("read configuration: %w", err)}
	}
	var values map[string]any
	if err := toml.NewDecoder(bytes.NewReader(content)).Decode(&values); err != nil {
		return []error{fmt.Errorf("read configuration %q: %w", path, position(err))}
	}
	var faults []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		i := slices.IndexFunc(settings, func(s Setting) bool { return s.Key == key })
		if i < 0 {
			faults = append(faults, fmt.Errorf("%s: unknown key %q; known are %s", path, key, known(settings)))
			continue
		}
		where := fmt.Sprintf("%s: key %s", path, key)
		texts, err := fileTexts(values[key])
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", where, err))
		} else if err := settings[i].apply(where, texts); err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}

// apply sets the value; an error says where it stands and, unless it is to be hidden, what it is.
func (s Setting) apply(where string, texts []string) error {
	err := s.set(texts)
	switch {
	case err == nil:
		return nil
	case s.hidden:
		return fmt.Errorf("%s: %w", where, err)
	}
	return fmt.Errorf("%s %q: %w", where, strings.Join(texts, ","), err)
}

// position adds line and column to a syntax error.
func position(err error) error {
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		line, column := syntax.Position()
		return fmt.Errorf("line %d, column %d: %w", line, column, err)
	}
	return err
}

func known(settings []Setting) string {
	var keys []string
	for _, s := range settings {
		keys = append(keys, s.Key)
	}
	return strings.Join(keys, ", ")
}

// fileTexts is a TOML value as the texts that a flag would have.
func fileTexts(value any) ([]string, error) {
	switch v := value.(type) {
	case string:
		return []string{v}, nil
	case bool:
		return []string{strconv.FormatBool(v)}, nil
	case int64:
		return []string{strconv.FormatInt(v, 10)}, nil
	case []any:
		all := []string{}
		for _, entry := range v {
			t, ok := entry.(string)
			if !ok {
				return nil, errors.New("a list holds texts only")
			}
			all = append(all, t)
		}
		return all, nil
	}
	return nil, errors.New("write a text, true or false, or a list of texts")
}

func applyEnv(settings []Setting, env func(string) string) []error {
	var faults []error
	for _, s := range settings {
		value := env(s.Variable())
		if value == "" {
			continue
		}
		texts := []string{value}
		if s.Repeats {
			texts = strings.Split(value, ",")
		}
		if err := s.apply(s.Variable(), texts); err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}

func applyFlags(settings []Setting, flags map[string][]string) []error {
	var faults []error
	for _, s := range settings {
		texts, given := flags[s.Key]
		if !given {
			continue
		}
		if err := s.apply("--"+s.Flag(), texts); err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}
