package planeg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/conformance/requirement"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// Its windows are small, so that the cases of credit are about credit.
const ourWindows = " --limit-max-event 8192 --limit-event-window 65536"

func withCertificate(program string) string {
	return program + " gateway --listen 127.0.0.1:{port} --data {data} --tls-cert {cert} --tls-key {key} --insecure" + ourWindows
}

// As `conform gateway --fast` does, with our gateway; TestTheSuiteIsOneForAllTransports has those that need no tokens.
func TestOurGatewayKeepsItsPart(t *testing.T) {
	t.Parallel()
	holds(t, Config{
		Command:     buildGateway(t) + " gateway --listen 127.0.0.1:{port} --data {data} --tls-cert {cert} --tls-key {key} --runner-token right --client-token client --admin-token admin" + ourWindows,
		RunnerToken: "right", ClientToken: "client", AdminToken: "admin",
		Cases: only(func(c *Case) bool {
			return c.Tokens || c.Admin || c.ID == "GHTTP-05" || c.ID == "GJSON-04" || c.ID == "GCALL-01" || c.ID == "GCLI-01" || c.ID == "GERR-05" || c.ID == "GCLI-09" || c.ID == "GCLI-11" || c.WebTransport && !c.Slow
		}),
	})
}

// A developer's gateway takes plain text and TLS on one port, and UDP.
func TestADevelopersGatewayKeepsItsPart(t *testing.T) {
	t.Parallel()
	holds(t, Config{
		Command:   buildGateway(t) + " dev --listen 127.0.0.1:{port} --data {data}" + ourWindows,
		Transport: WebTransport, HTTP: HTTP2,
		Cases: only(func(c *Case) bool { return c.WebTransport && !c.Slow || c.ID == "GHTTP-06" || c.ID == "GCLI-11" }),
	})
}

// One suite for the client protocol, whatever carries it: the cases in which clients or HTTP requests have a part run unchanged
// over each transport and each version.
func TestTheSuiteIsOneForAllTransports(t *testing.T) {
	t.Parallel()
	command := withCertificate(buildGateway(t))
	var mu sync.Mutex
	over, asked := map[string][]Transport{}, map[string][]HTTP{}
	for i, transport := range Transports() {
		version := HTTPs()[i]
		t.Run(string(transport)+" and "+string(version), func(t *testing.T) {
			cfg := Config{Command: command, Transport: transport, HTTP: version, Cases: only(func(c *Case) bool {
				fits, _ := c.Over(transport)
				return fits && !c.Slow && !c.Tokens
			})}
			cfg.played = func(c *Case, p *play) {
				mu.Lock()
				defer mu.Unlock()
				if p.clients.Load() > 0 {
					over[c.ID] = append(over[c.ID], transport)
				}
				if p.asked.Load() > 0 {
					asked[c.ID] = append(asked[c.ID], version)
				}
			}
			holds(t, cfg)
		})
	}
	everywhere, inEach := 0, 0
	for _, transports := range over {
		if len(transports) == len(Transports()) {
			everywhere++
		}
	}
	for _, versions := range asked {
		if len(versions) == len(HTTPs()) {
			inEach++
		}
	}
	if everywhere < 60 || inEach < 10 {
		t.Errorf("%d cases had a client of each transport, want 60; %d asked over each version of HTTP, want 10", everywhere, inEach)
	}
	t.Logf("%d cases had a client of each transport, %d asked over each version of HTTP", everywhere, inEach)
}

// built is a folder with our gateway, which TestMain removes.
var built = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "planeg-test")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", filepath.Join(folder, "stagedoor"), "github.com/stagedoor-dev/stagedoor/edge/cmd/stagedoor").CombinedOutput() //nolint:noctx // all tests wait for it
	if err != nil {
		err = fmt.Errorf("build the gateway: %w\n%s", err, out)
	}
	return folder, err
})

func buildGateway(t *testing.T) string {
	t.Helper()
	folder, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, "stagedoor")
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
		_, err := startGateway(t.Context(), command, ways{}, 300*time.Millisecond)
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
		AdminToken: "secret", Transport: WebTransport, HTTP: HTTP3, Again: verdict.Again{Environment: []string{"CONFORM_X=1"}},
	}
	want := "CONFORM_X=1 conform gateway --gateway 'gw --port {port}' --case GX-01 --transport webtransport --http h3 --repeat 3 --patience 2.5 --start-timeout 1m0s" +
		` --runner-token "$RUNNER_TOKEN" --client-token "$CLIENT_TOKEN" --admin-token "$ADMIN_TOKEN"`
	if got := cfg.again("GX-01"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCasesAreSkippedForWantOfWhatTheyNeed(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		fits func(*Case) bool
		lack string
	}{
		{Config{}, func(c *Case) bool { return c.Tokens }, "tokens"},
		{Config{RunnerToken: "r", ClientToken: "c"}, func(c *Case) bool { return c.Admin }, "admin"},
		{Config{Transport: JSON}, func(c *Case) bool { return c.ID == "GCLI-06" || c.ID == "GCLI-08" }, "other transports"},
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

func TestAGatewayWithoutHTTP3(t *testing.T) {
	t.Parallel()
	command := buildGateway(t) + " gateway --listen 127.0.0.1:{port} --data {data} --insecure"
	cfg := Config{Command: command, StartTimeout: time.Minute, Cases: only(func(c *Case) bool { return c.ID == "GWT-01" })}
	result := Run(t.Context(), cfg)
	if len(result.Cases) != 1 || result.Cases[0].Status != verdict.Skip || !slices.Equal(result.NotClaimed, []string{wtProfile}) {
		t.Errorf("%+v, not claimed %v", result.Cases, result.NotClaimed)
	}
	for _, over := range []Config{{Transport: WebTransport}, {HTTP: HTTP3}} {
		over.Command, over.StartTimeout, over.Cases = cfg.Command, cfg.StartTimeout, cfg.Cases
		result := Run(t.Context(), over)
		if c := result.Cases[0]; c.Status != verdict.NoStart || !strings.Contains(c.Message, "no HTTP/3") {
			t.Errorf("over %s %s: %s %s", over.Transport, over.HTTP, c.Status, c.Message)
		}
	}
}

func TestWhyCasesAreNotForEveryTransport(t *testing.T) {
	for _, c := range Cases() {
		if (len(c.scope.transports) > 0) != (c.scope.why != "") {
			t.Errorf("%s is for %v, because %q", c.ID, c.scope.transports, c.scope.why)
		}
	}
}
