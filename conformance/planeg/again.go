package planeg

import (
	"strconv"
	"time"
)

// DefaultStartTimeout is how long a gateway may take until it is ready.
const DefaultStartTimeout = 20 * time.Second

// again is the command that repeats a case as it was run here. Tokens are secrets, so they stand in it as variables of the shell.
func (cfg *Config) again(id string) string {
	words := []string{"gateway", "--gateway", cfg.Command, "--case", id}
	if t := cfg.Transport; t != "" && t != WebSocket {
		words = append(words, "--transport", string(t))
	}
	if h := cfg.HTTP; h != "" && h != HTTP1 {
		words = append(words, "--http", string(h))
	}
	if cfg.Repeat > 1 {
		words = append(words, "--repeat", strconv.Itoa(cfg.Repeat))
	}
	if p := cfg.Patience; p != 0 && p != 1 {
		words = append(words, "--patience", strconv.FormatFloat(p, 'g', -1, 64))
	}
	if d := cfg.StartTimeout; d != 0 && d != DefaultStartTimeout {
		words = append(words, "--start-timeout", d.String())
	}
	line := cfg.Again.Line(words...)
	for _, token := range []struct{ value, words string }{
		{cfg.RunnerToken, ` --runner-token "$RUNNER_TOKEN"`},
		{cfg.ClientToken, ` --client-token "$CLIENT_TOKEN"`},
		{cfg.AdminToken, ` --admin-token "$ADMIN_TOKEN"`},
	} {
		if token.value != "" {
			line += token.words
		}
	}
	return line
}
