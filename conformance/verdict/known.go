package verdict

import (
	"errors"
	"fmt"
	"path"
	"time"

	"go.yaml.in/yaml/v3"
)

// KnownFailure is one entry of the file that --known-failures names: a list in YAML. It has to be as exact as it can, so that it
// cannot hide anything else, and it ends by itself.
type KnownFailure struct {
	// Case is an id, or a pattern as `KVS-*` that fits at most 20 cases.
	Case string `yaml:"case"`
	// Code is the failure's: CASE/step or CASE/MON-nn; only the part behind the slash where Case is a pattern.
	Code string `yaml:"code"`
	// Expires is the last day on which the entry holds, as 2027-01-31.
	Expires string `yaml:"expires"`
	Reason  string `yaml:"reason"`
	Issue   string `yaml:"issue"`
}

const maxExpansion = 20

// ParseKnown reads the file.
func ParseKnown(text []byte) ([]KnownFailure, error) {
	var list []KnownFailure
	if err := yaml.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("read known failures: %w", err)
	}
	for i, k := range list {
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("known failure %d (%s): %w", i+1, k.Case, err)
		}
	}
	return list, nil
}

func (k KnownFailure) check() error {
	if k.Case == "" || k.Code == "" || k.Expires == "" {
		return errors.New("needs case, code and expires")
	}
	if _, err := time.Parse(time.DateOnly, k.Expires); err != nil {
		return fmt.Errorf("expires: %w", err)
	}
	if _, err := path.Match(k.Case, ""); err != nil {
		return fmt.Errorf("case: %w", err)
	}
	return nil
}

// Excuse applies the list: what failed as it says becomes known; every entry that does not say what happened is a fault.
// partial says that not all cases were run, so that an entry may lack its case.
func (r *Result) Excuse(list []KnownFailure, today time.Time, partial bool) {
	for _, k := range list {
		hits := 0
		for i := range r.Cases {
			c := &r.Cases[i]
			if fits, _ := path.Match(k.Case, c.ID); !fits {
				continue
			}
			hits++
			r.excuse(c, k, today)
		}
		switch {
		case hits > maxExpansion:
			r.Faults = append(r.Faults, fmt.Sprintf("%s stands for %d cases, more than %d", k.Case, hits, maxExpansion))
		case hits == 0 && !partial:
			r.Faults = append(r.Faults, fmt.Sprintf("there is no case %s", k.Case))
		}
	}
}

func (r *Result) excuse(c *Case, k KnownFailure, today time.Time) {
	code := k.Code
	if k.Case != c.ID {
		code = c.ID + "/" + k.Code
	}
	last, _ := time.Parse(time.DateOnly, k.Expires)
	expired := today.After(last.AddDate(0, 0, 1))
	switch {
	case expired:
		r.Faults = append(r.Faults, fmt.Sprintf("the entry for %s expired on %s", c.ID, k.Expires))
	case c.Status == Fail && c.Code == code:
		c.Status = Known
	case c.Status == Fail:
		r.Faults = append(r.Faults, fmt.Sprintf("%s fails as %s, not as %s", c.ID, c.Code, code))
	default:
		r.Faults = append(r.Faults, fmt.Sprintf("%s does not fail: it is %s", c.ID, c.Status))
	}
}
