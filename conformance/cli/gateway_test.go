package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

func TestTheGatewayCommandSaysWhatItCameTo(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"--list --case GGATE-01", verdict.ExitConformant, "GGATE-01 gateway     results of a group"},
		{"", verdict.ExitUsage, "--gateway is missing"},
		{"--gateway x --case ZZ-*", verdict.ExitUsage, "no case fits"},
		{"--gateway x --jobs 0", verdict.ExitUsage, "are positive"},
		{"--gateway x --transport carrier-pigeon", verdict.ExitUsage, "--transport is one of websocket, json, webtransport"},
		{"--gateway x --http h4", verdict.ExitUsage, "--http is one of h1, h2, h3"},
		{"--list --case GWT-01", verdict.ExitConformant, "GWT-01   webtransport each connection has a stream"},
		{"--gateway true --case GHS-0* --start-timeout 1s", verdict.ExitNoStart, "NOT CONFORMANT gateway"},
	} {
		var out bytes.Buffer
		status := Main(append([]string{"gateway"}, strings.Fields(c.args)...), &out, &out)
		if status != c.status || !strings.Contains(out.String(), c.says) {
			t.Errorf("conform gateway %s: exit %d, %s", c.args, status, out.String())
		}
	}
}

func TestTheCoverageStandsAboveTheVerdict(t *testing.T) {
	var out bytes.Buffer
	Main(strings.Fields("gateway --gateway true --case GHS-0* --start-timeout 1s"), &out, &out)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if n := len(lines); n < 2 || !strings.HasPrefix(lines[n-1], "NOT CONFORMANT") || !strings.HasPrefix(lines[n-2], "coverage of the spec: 0 of ") ||
		!strings.Contains(lines[n-2], "the runner's part") || strings.Contains(lines[n-2], "without anything") {
		t.Errorf("the end is %q", lines[max(0, len(lines)-3):])
	}
}
