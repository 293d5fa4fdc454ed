package broken_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/killmatrix"
	"github.com/stagedoor-dev/stagedoor/conformance/planeg"
	"github.com/stagedoor-dev/stagedoor/conformance/planeg/broken"
)

const root = "../../.."

var matrix = flag.String("matrix", "", "file to write the matrix to, as JSON")

// Each mutant must make the cases fail that it names, and each case must find one.
func TestMutantsOfTheGatewayAreKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("tries each mutant")
	}
	program := filepath.Join(t.TempDir(), "broken-gateway")
	if err := broken.Build(t.Context(), root, program); err != nil {
		t.Fatal(err)
	}
	cfg := broken.Config(program)
	cfg.Cases, cfg.Jobs, cfg.Patience = planeg.Cases(), 8, 0.6
	cfg.Done = func(r killmatrix.Row) {
		if len(r.Missed()) > 0 {
			t.Logf("%s: missed by %v", r.Name, r.Missed())
		}
	}
	m, err := killmatrix.Gateway(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if *matrix != "" {
		text, err := json.MarshalIndent(m, "", "  ")
		if err == nil {
			err = os.WriteFile(*matrix, append(text, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Err(); err != nil {
		t.Errorf("%v", err)
	}
	t.Logf("%d mutants, %d cases", len(m.Rows), len(cfg.Cases))
}
