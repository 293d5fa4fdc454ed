package planeg

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/conformance/requirement"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// As `conform gateway --fast` does, with our gateway; its windows are small, so that the cases of credit are about credit.
func TestOurGatewayKeepsItsPart(t *testing.T) {
	command := buildGateway(t) + " gateway --listen 127.0.0.1:{port} --data {data} --limit-max-event 8192 --limit-event-window 65536"
	t.Run("insecure", func(t *testing.T) {
		holds(t, Config{Command: command + " --insecure", Cases: only(func(c *Case) bool { return !c.Slow && !c.Tokens })})
	})
	t.Run("with tokens", func(t *testing.T) {
		holds(t, Config{
			Command:     command + " --runner-token right --client-token client --admin-token admin",
			RunnerToken: "right", ClientToken: "client", AdminToken: "admin",
			Cases: only(func(c *Case) bool {
				return c.Tokens || c.Admin || c.ID == "GHTTP-05" || c.ID == "GJSON-04" || c.ID == "GCALL-01" || c.ID == "GCLI-01" || c.ID == "GERR-05" || c.ID == "GCLI-09" || c.ID == "GCLI-11"
			}),
		})
	})
}

func buildGateway(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "stagedoor")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/stagedoor-dev/stagedoor/edge/cmd/stagedoor").CombinedOutput()
	if err != nil {
		t.Fatalf("build the gateway: %v\n%s", err, out)
	}
	return binary
}

func only(fits func(*Case) bool) []*Case {
	return slices.DeleteFunc(Cases(), func(c *Case) bool { return !fits(c) })
}

func holds(t *testing.T, cfg Config) {
	t.Helper()
	cfg.StartTimeout, cfg.Jobs, cfg.Patience, cfg.Version = time.Minute, 4, 4, "test"
	result := Run(t.Context(), cfg)
	result.Conclude()
	for _, c := range result.Cases {
		if c.Status != verdict.Pass {
			t.Errorf("%s %s: %s %s: %s\n%s", c.ID, c.Title, c.Status, c.Code, c.Message, c.Output)
		}
	}
	if result.Exit != verdict.ExitConformant || !strings.HasPrefix(result.Verdict, "CONFORMANT gateway") {
		t.Errorf("exit %d, %s", result.Exit, result.Verdict)
	}
}

func TestCasesNameWhatTheyAreAbout(t *testing.T) {
	all, err := requirement.All()
	if err != nil {
		t.Fatal(err)
	}
	index, seen := requirement.Index(all), map[string]bool{}
	for _, c := range Cases() {
		if seen[c.ID] || c.Title == "" || len(c.Requirements) == 0 || !strings.HasPrefix(c.ID, "G") {
			t.Errorf("case %s is there twice, or lacks something", c.ID)
		}
		seen[c.ID] = true
		for _, link := range c.Requirements {
			id, hash, _ := strings.Cut(link, ":")
			if r, known := index[id]; !known || r.Hash != hash {
				t.Errorf("%s was written for [%s] %s; it has the hash %q: read the case again, then write that", c.ID, id, hash, r.Hash)
			}
		}
	}
}

func TestAGatewayThatDoesNotComeUp(t *testing.T) {
	for command, why := range map[string]string{"exit 3": "it ended", "sleep 60": "it is not ready"} {
		_, err := StartGateway(t.Context(), command, 300*time.Millisecond)
		if !errors.Is(err, ErrNoGateway) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", command, err)
		}
	}
	result := Run(t.Context(), Config{Command: "exit 3", Cases: Cases()[:3], StartTimeout: time.Second, Jobs: 2})
	result.Conclude()
	if result.Exit != verdict.ExitNoStart || len(result.Cases) != 3 {
		t.Errorf("exit %d, %s", result.Exit, result.Verdict)
	}
}

func TestACaseIsRepeatedAsItWasRun(t *testing.T) {
	cfg := Config{
		Command: "gw --port {port}", Repeat: 3, Patience: 2.5, StartTimeout: time.Minute, RunnerToken: "secret", ClientToken: "secret",
		AdminToken: "secret", Again: verdict.Again{Environment: []string{"CONFORM_X=1"}},
	}
	want := "CONFORM_X=1 conform gateway --gateway 'gw --port {port}' --case GX-01 --repeat 3 --patience 2.5 --start-timeout 1m0s" +
		` --runner-token "$RUNNER_TOKEN" --client-token "$CLIENT_TOKEN" --admin-token "$ADMIN_TOKEN"`
	if got := cfg.again("GX-01"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCasesAreSkippedForWantOfTokens(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		fits func(*Case) bool
		lack string
	}{
		{Config{}, func(c *Case) bool { return c.Tokens }, "tokens"},
		{Config{RunnerToken: "r", ClientToken: "c"}, func(c *Case) bool { return c.Admin }, "admin"},
	} {
		c.cfg.Command, c.cfg.Cases = "exit 3", only(c.fits)
		result := Run(t.Context(), c.cfg)
		if !slices.Equal(result.NotClaimed, []string{c.lack}) || len(result.Cases) == 0 {
			t.Errorf("not claimed %v, want %s; %d cases", result.NotClaimed, c.lack, len(result.Cases))
		}
		for _, r := range result.Cases {
			if r.Status != verdict.Skip || r.Profile != c.lack {
				t.Errorf("%s: %s, profile %s, want a skip of %s", r.ID, r.Status, r.Profile, c.lack)
			}
		}
	}
}

func TestAnInterruptedRunIsInconclusive(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := &play{ctx: ctx, gateway: &Gateway{}, factor: 1}
	status, code, _ := perform(p, &Case{ID: "GX-01", run: func(p *play) {
		cancel()
		p.failf("step", "because")
	}})
	if status != verdict.Unknown || code != "GX-01/interrupted" {
		t.Errorf("%s %s", status, code)
	}
}
