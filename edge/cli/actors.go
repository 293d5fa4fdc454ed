package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func (p *Program) actorsCommand() *cobra.Command {
	c, cmd := p.gatewayClient(&cobra.Command{
		Use:   "actors",
		Short: "Look at and use the actors of a running gateway",
		Long: `Look at and use the actors of a running gateway.

An ADDRESS is written as in URLs: the type, then : and a percent-encoded part for each part of the key (counter, room:a:b,
room:a%3Ab), or @ and an actor id. Results are JSON; an error is its code and text, with exit code 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	})
	cmd.PersistentFlags().StringVar(&c.namespace, "namespace", "", "`name` of the namespace, if not default")
	cmd.AddCommand(p.list(c), p.get(c), p.call(c), p.destroy(c))
	return cmd
}

// gatewayClient gives a command the flags that lead to a gateway.
func (p *Program) gatewayClient(cmd *cobra.Command) (*client, *cobra.Command) {
	c := &client{http: http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}}
	flags := cmd.PersistentFlags()
	flags.StringVar(&c.endpoint, "endpoint", cmp.Or(p.Env("STAGEDOOR_ENDPOINT"), defaultEndpoint),
		"`url` of the gateway [STAGEDOOR_ENDPOINT]")
	// The token of the environment is no default, or the help would print it.
	flags.StringVar(&c.token, "token", "", "client or admin `token` [STAGEDOOR_TOKEN]")
	flags.DurationVar(&c.deadline, "deadline", time.Minute, "time for the gateway to answer")
	return c, cmd
}

// with completes the client and runs a command with it.
func (p *Program) with(c *client, run func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c.token = cmp.Or(c.token, p.Env("STAGEDOOR_TOKEN"))
		return run(cmd.Context(), args)
	}
}

func (p *Program) list(c *client) *cobra.Command {
	var typ, state string
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List actors, one JSON object per line", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&typ, "type", "", "only actors of this `type`")
	cmd.Flags().StringVar(&state, "state", "", "only actors in this `state`")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many; 0: all")
	cmd.RunE = p.with(c, func(ctx context.Context, _ []string) error {
		query := url.Values{}
		for name, value := range map[string]string{"type": typ, "state": state} {
			if value != "" {
				query.Set(name, value)
			}
		}
		return p.pages(ctx, c, query, limit)
	})
	return cmd
}

// maxPage is what every gateway gives at once.
const maxPage = 100

// pages prints page after page. A page may be short, even empty, before the end [LIST-1].
func (p *Program) pages(ctx context.Context, c *client, query url.Values, limit int) error {
	for printed := 0; ; {
		if limit > 0 {
			query.Set("limit", strconv.Itoa(min(limit-printed, maxPage)))
		}
		var page struct {
			Actors []json.RawMessage `json:"actors"`
			Cursor string            `json:"cursor"`
		}
		if err := c.do(ctx, http.MethodGet, "/v1/actors", query, nil, &page); err != nil {
			return err
		}
		for _, actor := range page.Actors {
			if err := p.print(actor); err != nil {
				return err
			}
			if printed++; printed == limit {
				return nil
			}
		}
		if page.Cursor == "" {
			return nil
		}
		if page.Cursor == query.Get("cursor") {
			return errors.New("client.invalid_response: the list does not advance")
		}
		query.Set("cursor", page.Cursor)
	}
}

func (p *Program) get(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "get ADDRESS", Short: "Describe an actor", Args: cobra.ExactArgs(1),
		RunE: p.with(c, func(ctx context.Context, args []string) error {
			path, err := c.actorPath(args[0])
			if err != nil {
				return err
			}
			var answer struct {
				Actor json.RawMessage `json:"actor"`
			}
			if err := c.do(ctx, http.MethodGet, path, nil, nil, &answer); err != nil {
				return err
			}
			return p.print(answer.Actor)
		}),
	}
}

func (p *Program) call(c *client) *cobra.Command {
	var onlyExisting bool
	cmd := &cobra.Command{
		Use:     "call [flags] ADDRESS ACTION [JSON-ARGUMENT...]",
		Short:   "Call an action and print its result; the actor is created if it does not exist",
		Example: `  stagedoor actors call counter:a increment 1` + "\n" + `  stagedoor actors call room:lobby say '"hello"'`,
		Args:    cobra.MinimumNArgs(2),
	}
	// Flags come first, so that an argument like -1 is none.
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().BoolVar(&onlyExisting, "existing", false, "do not create the actor")
	cmd.RunE = p.with(c, func(ctx context.Context, args []string) error {
		path, err := c.actorPath(args[0])
		if err != nil {
			return err
		}
		values, err := jsonArguments(args[2:])
		if err != nil {
			return err
		}
		query := url.Values{}
		if onlyExisting {
			query.Set("mode", "get")
		}
		var answer struct {
			Output json.RawMessage `json:"output"`
		}
		path += "/actions/" + url.PathEscape(args[1])
		body := map[string]any{"args": values}
		if err := c.do(ctx, http.MethodPost, path, query, body, &answer); err != nil {
			return err
		}
		return p.print(answer.Output)
	})
	return cmd
}

func jsonArguments(args []string) ([]json.RawMessage, error) {
	values := []json.RawMessage{}
	for i, arg := range args {
		if !json.Valid([]byte(arg)) {
			return nil, usageError{fmt.Errorf("argument %d of the action is not JSON: %s; a text needs its quotes: '%q'", i+1, arg, arg)}
		}
		values = append(values, json.RawMessage(arg))
	}
	return values, nil
}

func (p *Program) destroy(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "destroy ADDRESS", Short: "Destroy an actor with all its data", Args: cobra.ExactArgs(1),
		RunE: p.with(c, func(ctx context.Context, args []string) error {
			path, err := c.actorPath(args[0])
			if err != nil {
				return err
			}
			if err := c.do(ctx, http.MethodDelete, path, nil, nil, nil); err != nil {
				return err
			}
			return p.print(json.RawMessage(`{"destroyed":true}`))
		}),
	}
}

// print writes one JSON value on one line.
func (p *Program) print(value json.RawMessage) error {
	var line bytes.Buffer
	if err := json.Compact(&line, value); err != nil {
		return fmt.Errorf("client.invalid_response: %w", err)
	}
	line.WriteByte('\n')
	_, err := p.Stdout.Write(line.Bytes())
	return err
}
