package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/edge/bench"
	"github.com/stagedoor-dev/stagedoor/edge/serve"
	"github.com/stagedoor-dev/stagedoor/edge/version"
)

// benchFlags are those of the bench commands.
type benchFlags struct {
	bench.Options
	json       bool
	transports []string
}

func (p *Program) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a gateway, a runner and clients on this machine",
		Long: `Measure a gateway, a runner and clients on this machine.

Each scenario starts a gateway and a runner of its own with a temporary data directory, uses them over the loopback interface,
and ends them. Beside each stands a bare baseline, the same work without the product, that takes turns with it; the ratio of
the two says more than either figure. An operation that fails is counted, and makes the exit code 1.

Actions are called by clients as light as those of the baseline, so that the ratio is that of gateway and runner. With --via sdk
they are called through clients/go by a goroutine for each call under way: on as few cores, that measures the client, too. "all"
does both; the rows of the second say -sdk. Those of another transport than WebSocket say which.

The scenarios js and peer need Node.js and this repository with its JavaScript packages built; peer also needs rivetkit, which
"npm install" in bench/peer brings. "all" leaves out what is not there, and says so.`,
		Example: "  stagedoor bench calls\n  stagedoor bench calls --transport ws,wt,h1,h3\n  stagedoor bench commits --store embedded --store redis://127.0.0.1:6379\n  stagedoor bench all --json >new.json\n  stagedoor bench compare old.json new.json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, s := range bench.Scenarios() {
		cmd.AddCommand(p.benchScenario(s))
	}
	cmd.AddCommand(p.benchAll(), p.benchCompare(), p.benchProcess())
	return cmd
}

func (p *Program) benchScenario(s bench.Scenario) *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{Use: s.Name, Short: "Measure " + s.About, Args: cobra.NoArgs}
	f.common(cmd, s.Options)
	f.numbers(cmd, s.Options, "")
	if s.Options.Via != "" {
		cmd.Flags().StringVar(&f.Via, "via", s.Options.Via,
			"`how` actions are called: connection, by light clients; sdk, on connections of clients/go; handle, likewise without connection")
	}
	if s.Options.Transport != "" {
		cmd.Flags().StringSliceVar(&f.transports, "transport", []string{s.Options.Transport},
			"`what` actions are called over: ws, WebSocket; wt, WebTransport; h1 and h3, HTTP/1.1 and HTTP/3, with a request for each call; several, with commas, one after another")
	}
	if s.Options.Stores != nil {
		f.stores(cmd, s.Options.Stores, "`store` to measure: embedded, or redis://host:port, in which keys are made and removed again; repeat it for both")
	}
	if s.JS {
		f.scripts(cmd)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list := []bench.Scenario{s}
		if s.Options.Transport != "" {
			if len(f.transports) == 0 {
				return usageError{errors.New("--transport names none")}
			}
			list = make([]bench.Scenario, len(f.transports))
			for i, transport := range f.transports {
				list[i] = s
				list[i].Options.Transport = transport
			}
		}
		return p.bench(cmd, list, f, func(one bench.Scenario) bench.Options {
			o := f.Options
			o.Transport = one.Options.Transport
			return o
		})
	}
	return cmd
}

func (p *Program) benchAll() *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{Use: "all", Short: "Measure everything, one after another", Args: cobra.NoArgs}
	f.common(cmd, bench.All()[0].Options)
	f.numbers(cmd, bench.Options{}, "at most this ")
	f.stores(cmd, nil, "`store` for commits, and for claims of alarms, which are measured only then: embedded, or redis://host:port; repeat it for both")
	f.scripts(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.bench(cmd, bench.All(f.Stores...), f, func(s bench.Scenario) bench.Options { return s.AtMost(f.Options) })
	}
	return cmd
}

// common adds the flags that each scenario has.
func (f *benchFlags) common(cmd *cobra.Command, usual bench.Options) {
	flags := cmd.Flags()
	flags.BoolVar(&f.json, "json", false, "print one JSON object a line instead of a table")
	flags.IntVar(&f.Rounds, "rounds", usual.Rounds, "`number` of turns of the product and its baseline; the one in the middle is reported")
	flags.DurationVar(&f.Duration, "duration", usual.Duration, "time of each turn")
	flags.StringVar(&f.Dir, "dir", "", "`directory` in which the temporary data goes; default: the system's")
}

// numbers adds the flags that have a meaning for the scenario; limit says so where they are limits.
func (f *benchFlags) numbers(cmd *cobra.Command, usual bench.Options, limit string) {
	for _, n := range []struct {
		name, help string
		value      *int
		usual      int
	}{
		{"connections", "`number` of WebSockets, or WebTransport sessions, or HTTP/3 connections", &f.Connections, usual.Connections},
		{"in-flight", "`number` of calls or events under way at once for each", &f.InFlight, usual.InFlight},
		{"actors", "`number` of actors", &f.Actors, usual.Actors},
	} {
		if n.usual > 0 || limit != "" {
			cmd.Flags().IntVar(n.value, n.name, n.usual, limit+n.help)
		}
	}
}

// stores adds the flag that says which stores are measured. It has no lists: commas stand between the hosts of a URL.
func (f *benchFlags) stores(cmd *cobra.Command, usual []string, help string) {
	cmd.Flags().StringArrayVar(&f.Stores, "store", usual, help)
}

// scripts adds the flag that says where the programs in JavaScript are.
func (f *benchFlags) scripts(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.JS, "js", "", "the repository's `folder` bench/js; default: looked for above the working directory and the program")
}

// bench runs scenarios one after another and prints each as soon as it is over.
func (p *Program) bench(cmd *cobra.Command, list []bench.Scenario, f *benchFlags, options func(bench.Scenario) bench.Options) error {
	for _, s := range list {
		if err := s.Check(options(s)); err != nil {
			return usageError{err}
		}
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program that is running: %w", err)
	}
	ctx, stop := serve.Signals(cmd.Context(), func() { p.Exit(failed) })
	defer stop()
	if !f.json {
		if err := bench.PrintHead(p.Stdout); err != nil {
			return err
		}
	}
	var faults []error
	broken := 0
	for _, s := range list {
		o := options(s)
		o.Program, o.Version, o.Profile = program, version.Version(), profileFlag(cmd)
		o.Progress = func(text string) { fmt.Fprintln(p.Stderr, text) }
		rows, err := s.Run(ctx, o)
		if err == nil {
			broken += failures(rows)
			err = p.printRows(rows, f.json)
		}
		if absent := new(bench.Missing); len(list) > 1 && errors.As(err, &absent) {
			fmt.Fprintf(p.Stderr, "%s: left out: %v\n", s.Name, absent)
			continue
		}
		faults = append(faults, err)
		if ctx.Err() != nil {
			break
		}
	}
	if broken > 0 {
		faults = append(faults, fmt.Errorf("%d operations failed", broken))
	}
	return errors.Join(faults...)
}

func failures(rows []bench.Row) int {
	n := 0
	for i := range rows {
		n += rows[i].Errors
	}
	return n
}

func (p *Program) printRows(rows []bench.Row, asJSON bool) error {
	for i := range rows {
		var err error
		if asJSON {
			err = json.NewEncoder(p.Stdout).Encode(&rows[i])
		} else {
			err = rows[i].Print(p.Stdout)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Program) benchCompare() *cobra.Command {
	return &cobra.Command{
		Use: "compare OLD.json NEW.json", Short: "Show what has changed between two runs with --json", Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			var runs [2][]bench.Row
			for i, name := range args {
				rows, err := readRows(name)
				if err != nil {
					return usageError{fmt.Errorf("%s: %w", name, err)}
				}
				runs[i] = rows
			}
			return bench.Compare(p.Stdout, runs[0], runs[1])
		},
	}
}

func readRows(name string) ([]bench.Row, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return bench.Read(file)
}

// benchProcess is what bench starts beside itself.
func (p *Program) benchProcess() *cobra.Command {
	return &cobra.Command{
		Use: "process ROLE [WHERE]", Short: "Be one of the processes of a scenario", Args: cobra.RangeArgs(1, 2), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := serve.Signals(cmd.Context(), func() { p.Exit(failed) })
			defer stop()
			return bench.Serve(ctx, args[0], append(args, "")[1], p.sayAddress)
		},
	}
}

// sayAddress tells who has started the process where it listens, in the form of the gateway's log.
func (p *Program) sayAddress(address string) error {
	return json.NewEncoder(p.Stdout).Encode(map[string]string{"msg": "listening", "address": address})
}
