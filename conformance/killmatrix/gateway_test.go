package killmatrix

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/planeg"
)

// gatewayWith is a command of our gateway that asks for tokens as the mutant closed.
func gatewayWith(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "stagedoor")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../edge/cmd/stagedoor").CombinedOutput(); err != nil {
		t.Fatalf("build the gateway: %v\n%s", err, out)
	}
	script := `case "$CONFORM_MUTANT" in closed) who="--runner-token r --client-token c";; dead) exit 1;; *) who=--insecure;; esac; ` +
		`exec "$0" gateway --listen 127.0.0.1:{port} --data {data} $who`
	return "/bin/sh -c '" + script + "' " + program
}

func some(ids ...string) []*planeg.Case {
	return slices.DeleteFunc(planeg.Cases(), func(c *planeg.Case) bool { return !slices.Contains(ids, c.ID) })
}

func TestAMatrixOfGateways(t *testing.T) {
	cfg := GatewayConfig{
		Command: gatewayWith(t), Cases: some("GHS-01", "GHS-02", "GFRM-10"), Jobs: 3, Patience: 0.4,
		Mutants: []GatewayMutant{
			{"closed", "lets nobody in", []string{"GHS-01", "GHS-02"}},
			{"open", "does nothing wrong", []string{"GHS-01", "GNO-01"}},
		},
	}
	told := 0
	cfg.Done = func(Row) { told++ }
	m, err := Gateway(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(m.Err())
	for _, want := range []string{"open survives", "GHS-02 names closed and does not kill it", "GFRM-10 kills no mutant", "open: GNO-01"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not told in:\n%s", want, text)
		}
	}
	if told != 2 || len(m.Rows) != 2 || !m.Rows[0].Killed() || m.Rows[0].Place != "gateway" || len(m.Broken) != 0 {
		t.Errorf("%d told: %+v", told, m)
	}
}

func TestAGatewayThatFailsAsItIsProvesNothing(t *testing.T) {
	cfg := GatewayConfig{Command: gatewayWith(t), Cases: some("GHS-01"), Patience: 0.4, Mutants: []GatewayMutant{{"closed", "lets nobody in", []string{"GHS-01"}}}}
	cfg.Command = strings.Replace(cfg.Command, "*) who=--insecure", "*) who=\"--runner-token r --client-token c\"", 1)
	m, err := Gateway(t.Context(), cfg)
	if err != nil || !strings.Contains(fmt.Sprint(m.Err()), "GHS-01 fails on the gateway as it is") {
		t.Errorf("%v, %v", m, err)
	}
}

func TestAGatewayThatDoesNotStartIsNoMutant(t *testing.T) {
	cfg := GatewayConfig{Command: gatewayWith(t), Cases: some("GHS-01"), Patience: 0.4, Mutants: []GatewayMutant{{"dead", "does not start", []string{"GHS-01"}}}}
	if m, err := Gateway(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "mutant dead") {
		t.Errorf("%v, %v", m, err)
	}
	cfg.Only = []string{"nobody"}
	if _, err := Gateway(t.Context(), cfg); err == nil {
		t.Error("nobody is tried")
	}
}
