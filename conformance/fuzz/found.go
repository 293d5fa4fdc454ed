package fuzz

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

// Found is what a campaign found, as it stands in a file: the frames that did it, for an actor of that type and ref.
type Found struct {
	Why    string `yaml:"why"`
	Seed   uint64 `yaml:"seed"`
	Victim string `yaml:"victim"`
	// Ref is what the frames call the victim.
	Ref uint64 `yaml:"ref"`
	// Once: the frames alone did not do it again; what came before them may matter.
	Once  bool      `yaml:"once,omitempty"`
	Shots []Written `yaml:"frames"`
}

// Written is a Shot in a file.
type Written struct {
	How string `yaml:"how"`
	Hex string `yaml:"hex"`
}

// File is the text, and the name that it gives it.
func (f *Found) File() (name string, text []byte, err error) {
	if text, err = yaml.Marshal(f); err != nil {
		return "", nil, fmt.Errorf("write what was found: %w", err)
	}
	sum := sha256.Sum256(text)
	return "fuzz-" + hex.EncodeToString(sum[:4]) + ".yaml", text, nil
}

// ParseFound reads what File wrote.
func ParseFound(text []byte) (*Found, error) {
	f := &Found{}
	if err := yaml.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("read what was found: %w", err)
	}
	if f.Victim == "" || f.Ref == 0 || len(f.Shots) == 0 {
		return nil, errors.New("read what was found: it names victim, ref and frames")
	}
	if _, err := f.shots(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *Found) shots() ([]Shot, error) {
	var shots []Shot
	for i, w := range f.Shots {
		body, err := hex.DecodeString(w.Hex)
		if err != nil {
			return nil, fmt.Errorf("read what was found: frame %d: %w", i+1, err)
		}
		shots = append(shots, Shot{body, w.How})
	}
	return shots, nil
}

// Repeat sends the frames of a file to a new runner. The report is as that of a campaign.
func Repeat(ctx context.Context, command string, f *Found) (*Report, error) {
	shots, err := f.shots()
	if err != nil {
		return nil, err
	}
	report := &Report{Sent: len(shots)}
	report.Why, report.Output, err = again(ctx, command, f.Victim, f.Ref, shots)
	if report.Why != nil {
		report.Shots = shots
	}
	return report, err
}

// again sends shots to a new runner, and says what goes wrong. The error is about the runner's start, or the campaign.
func again(ctx context.Context, command, victim string, ref uint64, shots []Shot) (why error, output string, err error) {
	t, done, err := begin(ctx, command)
	if err != nil {
		return nil, "", err
	}
	defer done()
	for next := t.gateway.NextRef(); next < ref-1; {
		next = t.gateway.NextRef()
	}
	guest, err := t.enter(ctx, nil, victim)
	switch {
	case errors.Is(err, errMoved) || ctx.Err() != nil:
		return nil, "", nil
	case err != nil:
		return err, t.process.Output(), nil
	case guest.ref != ref:
		return nil, "", fmt.Errorf("the victim has the ref %d, not %d", guest.ref, ref)
	}
	for _, s := range shots {
		if guest.session.SendRaw(s.Body) != nil {
			break // it closed the socket, which it may
		}
	}
	if why = t.sing(ctx); why == nil || ctx.Err() != nil {
		return nil, "", nil
	}
	return why, t.process.Output(), nil
}

const (
	// shrinkTime bounds the search for fewer frames.
	shrinkTime = time.Minute
	// maxAimed is how many frames to one victim are remembered.
	maxAimed = 400
)

// shrink makes a file of a report: the fewest frames that are enough, for a new runner.
func shrink(ctx context.Context, cfg Config, report *Report, victim *guest, aimed []Shot) *Found {
	found := &Found{Why: report.Why.Error(), Seed: cfg.Seed, Victim: victim.kind, Ref: victim.ref}
	until := time.Now().Add(shrinkTime)
	fails := func(shots []Shot) bool {
		if len(shots) == 0 || time.Now().After(until) || ctx.Err() != nil {
			return false
		}
		why, _, err := again(ctx, cfg.Command, victim.kind, victim.ref, shots)
		if err == nil && why != nil {
			found.Why = why.Error()
		}
		return err == nil && why != nil
	}
	shots := report.Shots
	if !fails(shots) {
		if shots = aimed; !fails(shots) {
			found.Once = true
		}
	}
	if !found.Once {
		shots = fewest(shots, fails)
	}
	for _, s := range shots {
		found.Shots = append(found.Shots, Written{s.How, hex.EncodeToString(s.Body)})
	}
	return found
}

// fewest leaves out what is not needed, in ever smaller pieces.
func fewest(shots []Shot, fails func([]Shot) bool) []Shot {
	for size := len(shots) / 2; size >= 1; size /= 2 {
		for at := 0; at+size <= len(shots) && len(shots) > 1; {
			rest := append(append([]Shot(nil), shots[:at]...), shots[at+size:]...)
			if fails(rest) {
				shots = rest
			} else {
				at += size
			}
		}
	}
	return shots
}
