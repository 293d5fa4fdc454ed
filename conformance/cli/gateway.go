package cli

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/conformance/planeg"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

type gatewayFlags struct {
	run     runFlags // only what both commands have
	gateway string
	over    struct{ transport, http string }
	tokens  struct{ runner, client, admin string }
	list    bool
	fast    bool
}

func newGatewayCommand() *cobra.Command {
	var f gatewayFlags
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Run the cases of plane G against a gateway",
		Long: `Starts a gateway by a shell command, and plays runners and clients against it. In the command {port} stands for
the port that it has to listen on, at 127.0.0.1, TCP and UDP; {data} for an empty directory; {cert} and {key} for files with a
certificate. Clients speak the transport that is asked for, and cases that need WebTransport are run if an answer over TLS
names HTTP/3. Certificates are taken as they are shown. The last line is the verdict; the exit statuses are those of run.`,
		Example: `  conform gateway --gateway "bin/stagedoor gateway --insecure --listen 127.0.0.1:{port} --data {data}"
  conform gateway --transport webtransport --http h3 --gateway "bin/stagedoor gateway --insecure --listen 127.0.0.1:{port} --data {data} --tls-cert {cert} --tls-key {key}"
  conform gateway --list`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return gateway(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.gateway, "gateway", "", "shell command that starts the gateway")
	flags.StringVar(&f.over.transport, "transport", string(planeg.WebSocket), "what clients speak: "+joined(planeg.Transports()))
	flags.StringVar(&f.over.http, "http", string(planeg.HTTP1), "version of HTTP that is asked in: "+joined(planeg.HTTPs()))
	flags.StringVar(&f.tokens.runner, "runner-token", "", "token of runners, if the gateway asks for one")
	flags.StringVar(&f.tokens.client, "client-token", "", "token of clients, if the gateway asks for one")
	flags.StringVar(&f.tokens.admin, "admin-token", "", "token of admins, if the gateway asks for one")
	flags.BoolVar(&f.list, "list", false, "list the cases, and run none")
	flags.BoolVar(&f.fast, "fast", false, "leave out the cases that wait for time-outs of the gateway")
	flags.StringSliceVar(&f.run.cases, "case", nil, "only these cases; patterns as GGATE-* are taken")
	flags.IntVar(&f.run.jobs, "jobs", min(4, 2*runtime.NumCPU()), "cases beside each other")
	flags.IntVar(&f.run.repeat, "repeat", 1, "runs of each case; all have to pass")
	flags.StringSliceVar(&f.run.reports, "report", nil, "files to write: json=FILE, html=FILE, junit=FILE, badge=FILE")
	flags.DurationVar(&f.run.startTimeout, "start-timeout", 20*time.Second, "time until the gateway is ready")
	flags.Float64Var(&f.run.patience, "patience", 1, "multiplies every time-out of the cases, for slow machines")
	flags.StringVar(&f.run.knownFailures, "known-failures", "", "file of failures that are known: a list of {case, code, expires, reason}")
	flags.BoolVarP(&f.run.verbose, "verbose", "v", false, "a line for each case")
	return cmd
}

func gateway(cmd *cobra.Command, f *gatewayFlags) error {
	out := cmd.OutOrStdout()
	chosen, all, err := chooseGateway(f)
	if err != nil {
		return err
	}
	if f.list {
		for _, c := range chosen {
			if _, err := fmt.Fprintf(out, "%-8s %-11s %s\n", c.ID, c.Profile(), c.Title); err != nil {
				return harness{err}
			}
		}
		return nil
	}
	switch {
	case strings.TrimSpace(f.gateway) == "":
		return errors.New("--gateway is missing: the shell command that starts the gateway")
	case !slices.Contains(planeg.Transports(), planeg.Transport(f.over.transport)):
		return fmt.Errorf("--transport is one of %s", joined(planeg.Transports()))
	case !slices.Contains(planeg.HTTPs(), planeg.HTTP(f.over.http)):
		return fmt.Errorf("--http is one of %s", joined(planeg.HTTPs()))
	case f.run.jobs < 1 || f.run.repeat < 1 || f.run.patience <= 0 || f.run.startTimeout <= 0:
		return errors.New("--jobs, --repeat, --patience and --start-timeout are positive")
	}
	writers, err := reportWriters(f.run.reports)
	if err != nil {
		return err
	}
	known, err := readKnown(f.run.knownFailures)
	if err != nil {
		return err
	}
	result := planeg.Run(cmd.Context(), planeg.Config{
		Command: f.gateway, StartTimeout: f.run.startTimeout, Cases: chosen, Jobs: f.run.jobs, Repeat: f.run.repeat,
		Patience: f.run.patience, Version: Version, RunnerToken: f.tokens.runner, ClientToken: f.tokens.client,
		AdminToken: f.tokens.admin, Transport: planeg.Transport(f.over.transport), HTTP: planeg.HTTP(f.over.http),
		Again:    again(),
		Progress: func(c verdict.Case) { progress(cmd, &f.run, c) },
	})
	result.Excuse(known, time.Now(), len(chosen) < all)
	result.Conclude()
	aftermath(out, &f.run, result)
	return conclude(out, result, writers)
}

// joined is a list in words.
func joined[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, one := range all {
		words[i] = string(one)
	}
	return strings.Join(words, ", ")
}

// chooseGateway is the cases that fit, and how many there are.
func chooseGateway(f *gatewayFlags) (chosen []*planeg.Case, all int, err error) {
	cases := planeg.Cases()
	for _, c := range cases {
		fits, err := fitsAny(f.run.cases, c.ID)
		if err != nil {
			return nil, 0, err
		}
		if fits && !(f.fast && c.Slow) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, 0, fmt.Errorf("no case fits %s", strings.Join(f.run.cases, ", "))
	}
	return chosen, len(cases), nil
}
