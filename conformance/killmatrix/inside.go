package killmatrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/stagedoor-dev/stagedoor/conformance/plain"
)

// Inside is a mutant inside a runner.
type Inside struct {
	Name, Does string
	Breaks     []string
}

// ListInside asks a runner which mutants it has inside: with CONFORM_MUTANT=list it prints a line for each, its name, what it does
// and the ids of the requirements it breaks, apart by tabs, and ends.
func ListInside(ctx context.Context, command string) ([]Inside, error) {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Env = append(os.Environ(), "CONFORM_MUTANT=list")
	text, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) && len(failed.Stderr) > 0 {
		last, _ := plain.Last(string(failed.Stderr), 5)
		err = fmt.Errorf("%w; it wrote: %s", err, strings.Join(last, "; "))
	}
	if err != nil {
		return nil, fmt.Errorf("list the mutants inside %q: %w", command, err)
	}
	var all []Inside
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("list the mutants inside %q: no name, text and requirements in %q", command, line)
		}
		all = append(all, Inside{fields[0], fields[1], strings.Split(fields[2], ",")})
	}
	return all, nil
}
