package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/edge/serve"
)

// Stores works on whole stores that no gateway uses. edge/assemble has one.
type Stores interface {
	// Copy copies all of one store into another, empty one, and tells of its two rounds over the partitions.
	Copy(ctx context.Context, from, to string, progress func(round string, partitions int)) (actors int, bytes int64, err error)
	// Backup makes a directory of the data directory of an embedded store.
	Backup(ctx context.Context, data, to string) error
	// Restore makes a data directory of a backup.
	Restore(ctx context.Context, from, data string) (actors int, err error)
}

func (p *Program) storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Copy, back up and restore stores",
		Long: `Copy, back up and restore stores.

A store is named by the data directory of an embedded one, or by the URL of a Redis.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.storeCopy(), p.storeBackup(), p.storeRestore())
	return cmd
}

// interruptible ends with the first signal, so that nothing is left half done without a word.
func (p *Program) interruptible(cmd *cobra.Command, do func(context.Context) error) error {
	ctx, stop := serve.Signals(cmd.Context(), func() { p.Exit(failed) })
	defer stop()
	return do(ctx)
}

func (p *Program) storeCopy() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "copy --from STORE --to STORE",
		Short: "Copy all actors of stopped gateways into another, empty store",
		Long: `Copy all actors of stopped gateways into another, empty store.

All that actors hold is copied under their ids: state, KV, schedules, kept results, connections. Then both stores are read and
compared by a checksum for each partition; until these are equal, gateways refuse the target. A copy that was interrupted is
simply run again. Nothing is removed from the source.`,
		Example: "  stagedoor store copy --from stagedoor-data --to redis://127.0.0.1:6379",
		Args:    cobra.NoArgs,
	}
	// URLs of the environment are no defaults, or the help would print their passwords.
	cmd.Flags().StringVar(&from, "from", "", "`store` to copy: a data directory or a Redis URL [STAGEDOOR_FROM]")
	cmd.Flags().StringVar(&to, "to", "", "`store` to copy to, likewise [STAGEDOOR_TO]")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from, to = cmp.Or(from, p.Env("STAGEDOOR_FROM")), cmp.Or(to, p.Env("STAGEDOOR_TO"))
		if from == "" || to == "" {
			return usageError{errors.New("name both stores: --from and --to")}
		}
		return p.interruptible(cmd, func(ctx context.Context) error {
			began := time.Now()
			actors, bytes, err := p.Stores.Copy(ctx, from, to, p.partitions)
			if err != nil {
				return fmt.Errorf("copy the store: %w", err)
			}
			_, err = fmt.Fprintf(p.Stdout, "%d actors with %d bytes copied in %v; the checksums of all partitions are equal\n",
				actors, bytes, time.Since(began).Round(time.Millisecond))
			return err
		})
	}
	return cmd
}

// partitions tells how far a round has come, now and then.
func (p *Program) partitions(round string, n int) {
	if n%128 == 0 {
		fmt.Fprintf(p.Stderr, "%d partitions %s\n", n, round)
	}
}

func (p *Program) storeBackup() *cobra.Command {
	var data string
	c, cmd := p.gatewayClient(&cobra.Command{
		Use:   "backup NAME | backup --data DIRECTORY DIRECTORY",
		Short: "Back an embedded store up, while its gateway runs or not",
		Long: `Back an embedded store up, while its gateway runs or not.

The gateway at --endpoint makes the backup on its own machine, in the directory of its setting backup_dir, and the path is
printed. It holds everything acknowledged before, and is a data directory as it stands. With --data no gateway is asked; none
may use the directory.`,
		Example: "  stagedoor store backup monday\n  stagedoor store backup --data stagedoor-data /backups/monday",
		Args:    cobra.ExactArgs(1),
	})
	cmd.Flags().StringVar(&data, "data", "", "data `directory` of a gateway that does not run")
	cmd.RunE = p.with(c, func(ctx context.Context, args []string) error {
		if data != "" {
			if err := p.Stores.Backup(ctx, data, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintln(p.Stdout, args[0])
			return err
		}
		var answer struct {
			Backup struct{ Path json.RawMessage }
		}
		if err := c.do(ctx, http.MethodPost, "/v1/store/backup", url.Values{"name": args}, nil, &answer); err != nil {
			return err
		}
		return p.print(answer.Backup.Path)
	})
	return cmd
}

func (p *Program) storeRestore() *cobra.Command {
	var from, data string
	cmd := &cobra.Command{
		Use:   "restore --from DIRECTORY --data DIRECTORY",
		Short: "Make a data directory of a backup",
		Long: `Make a data directory of a backup.

All of the backup is read first, so that damage is found now. The data directory must be empty or new.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&from, "from", "", "`directory` of the backup")
	cmd.Flags().StringVar(&data, "data", "", "data `directory` to make")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if from == "" || data == "" {
			return usageError{errors.New("name both directories: --from and --data")}
		}
		return p.interruptible(cmd, func(ctx context.Context) error {
			actors, err := p.Stores.Restore(ctx, from, data)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.Stdout, "%d actors restored\n", actors)
			return err
		})
	}
	return cmd
}
