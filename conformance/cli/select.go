package cli

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/planeg"
)

// choose is the cases of the plane that fit any of the patterns, and one of the profiles; nothing given means all.
func choose(all []*casefile.Case, patterns, profiles []string) ([]*casefile.Case, error) {
	var chosen []*casefile.Case
	for _, c := range all {
		if c.Plane == conformancev1alpha1.Plane_PLANE_GATEWAY || len(profiles) > 0 && !slices.Contains(profiles, c.Profile) {
			continue
		}
		fits, err := fitsAny(patterns, c.Id)
		if err != nil {
			return nil, err
		}
		if fits {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, noneFits(patterns, profiles)
	}
	return chosen, nil
}

// noneFits says so, and where the cases are if a pattern is of the gateway's side.
func noneFits(patterns, profiles []string) error {
	text := fmt.Sprintf("no case fits %s", strings.Join(slices.Concat(patterns, profiles), ", "))
	for _, c := range planeg.Cases() {
		if fits, err := fitsAny(patterns, c.ID); err == nil && fits && len(patterns) > 0 {
			return fmt.Errorf("%s; %s tests a gateway: conform gateway runs it", text, c.ID)
		}
	}
	return errors.New(text)
}

func fitsAny(patterns []string, id string) (bool, error) {
	for _, p := range patterns {
		fits, err := path.Match(p, id)
		if err != nil {
			return false, fmt.Errorf("--case %s: %w", p, err)
		}
		if fits {
			return true, nil
		}
	}
	return len(patterns) == 0, nil
}

// isolation orders cases so that the runner is started anew as seldom as can be.
func isolation(c *casefile.Case) int {
	return max(int(c.Isolation), int(conformancev1alpha1.Isolation_ISOLATION_SHARED))
}

// shuffle puts cases into the order that a seed means: those that share a link first.
func shuffle(cases []*casefile.Case, seed uint64) []*casefile.Case {
	order := slices.Clone(cases)
	random := rand.New(rand.NewPCG(seed, seed))
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	slices.SortStableFunc(order, func(a, b *casefile.Case) int { return isolation(a) - isolation(b) })
	return order
}
