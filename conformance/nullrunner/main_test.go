package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const root = "../.."

var built struct{ nullrunner, conform string }

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "nullrunner")
	for what, at := range map[string]*string{"./conformance/nullrunner": &built.nullrunner, "./conformance/cmd/conform": &built.conform} {
		if err == nil {
			*at, err = build(folder, what)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(status)
}

func build(folder, what string) (string, error) {
	program := filepath.Join(folder, filepath.Base(what))
	cmd := exec.Command("go", "build", "-o", program, what)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", what, err, out)
	}
	return program, nil
}

// The suite ends over each of them, with a verdict and no case passed.
func TestNoCasePassesOverNothing(t *testing.T) {
	const notConformant, notStarted = 1, 4
	for kind, want := range map[string]int{
		"always-ok": notConformant, "refusing": notConformant, "parrot": notConformant, "handshake": notConformant,
		"crash": notConformant, "flood": notConformant, "absent": notStarted, "silent": notStarted, "garbage": notStarted, "babble": notStarted,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, built.conform, "run", "-v", "--patience", "0.2", "--start-timeout", "2s",
				"--case", "ACT-0*", "--runner", built.nullrunner+" "+kind)
			out, err := cmd.CombinedOutput()
			exit := new(exec.ExitError)
			if !errors.As(err, &exit) || exit.ExitCode() != want {
				t.Errorf("it ends with %v, not status %d:\n%s", err, want, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.HasPrefix(line, "pass") {
					t.Errorf("a case passes: %s", line)
				}
			}
		})
	}
}
