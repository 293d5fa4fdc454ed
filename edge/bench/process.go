//go:build unix

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/dev"
)

// startWait bounds how long a process may take to say where it listens.
const startWait = 30 * time.Second

// stopGrace is given to processes that have a profile to write; all others are killed.
const stopGrace = 10 * time.Second

// process is one that we have started.
type process struct {
	*dev.Child
	name string
	said *output
}

// startProcess starts a command, with its output kept for the case that it fails.
func startProcess(name string, command ...string) (*process, error) {
	said := &output{listens: make(chan string, 1)}
	child, err := dev.Start(dev.Options{Command: command, Env: withoutSettings(os.Environ()), Stdout: said, Stderr: said})
	if err != nil {
		return nil, fmt.Errorf("start the %s: %w", name, err)
	}
	return &process{child, name, said}, nil
}

// settings begin the names of variables that configure us, Node, or a peer.
var settings = []string{"STAGEDOOR_", "NODE_", "RIVET_", "RIVETKIT_"}

// withoutSettings empties the variables that would configure the processes: what is measured does not depend on them. What
// is written in JavaScript runs as in production.
func withoutSettings(env []string) []string {
	var changed []string
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		if slices.ContainsFunc(settings, func(s string) bool { return strings.HasPrefix(name, s) }) {
			changed = append(changed, name+"=")
		}
	}
	return append(changed, "NODE_ENV=production")
}

// address waits for the process to listen.
func (p *process) address(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startWait, fmt.Errorf("the %s does not listen after %v", p.name, startWait))
	defer cancel()
	select {
	case address := <-p.said.listens:
		return address, nil
	case <-p.Ended():
		return "", p.failure()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// failure is why the process ended, with the last that it said.
func (p *process) failure() error {
	how := "with exit code 0"
	if err := p.Err(); err != nil {
		how = "by " + err.Error()
	}
	text := fmt.Sprintf("the %s ended %s", p.name, how)
	if last := p.said.last(); last != "" {
		text += ": " + last
	}
	return errors.New(text)
}

// output reads what a process says, stdout and stderr alike: lines in JSON, or in the form of a log for people, of which the
// first with an address says where it listens. Others are remembered, but not many.
type output struct {
	listens chan string // capacity 1

	mu    sync.Mutex
	rest  []byte // a line without its end
	final string
}

// maxLine bounds what is kept of a line.
const maxLine = 4 << 10

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rest = append(o.rest, p...)
	for {
		line, rest, whole := bytes.Cut(o.rest, []byte("\n"))
		if !whole {
			break
		}
		o.line(line)
		o.rest = rest
	}
	o.rest = bytes.Clone(o.rest[:min(len(o.rest), maxLine)])
	return len(p), nil
}

func (o *output) line(line []byte) {
	var said struct {
		Address string `json:"address"`
	}
	if json.Unmarshal(line, &said) != nil {
		_, rest, _ := strings.Cut(string(line), `msg="gateway started" `)
		_, rest, _ = strings.Cut(rest, "address=")
		said.Address, _, _ = strings.Cut(rest, " ")
	}
	if said.Address != "" {
		select {
		case o.listens <- said.Address:
		default: // it was said before
		}
	}
	o.final = string(line[:min(len(line), maxLine)])
}

func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.final
}
