//go:build unix

// Package bench measures a gateway, a runner and clients on this machine, each against a bare baseline of its own.
//
// A scenario starts a gateway and a runner as processes of their own, from the program that it is told, uses them from this
// one, and ends them. Where many calls or events are measured the clients are light ones (edge/bench/callers, sockets): on
// the cores that they share with gateway and runner, those of the SDK would measure themselves. The product and its baseline
// (edge/bench/bare) take turns, so that what else the machine does hits both, and the round whose ratio is in the middle is
// reported. Nothing is installed, no port is fixed, and the data goes to a temporary directory. In a Redis that it is told
// to use the bench makes a store of its own beside all others, and removes its keys in the end.
//
// edge/cli calls Run, once at a time, and Serve in the processes that Run starts; Compare reads what two runs have written.
// Whatever Run starts has ended when it returns, and dies with us if we are killed.
package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Options say how a scenario is run. Scenario.Options has the usual ones.
type Options struct {
	// Program is the stagedoor command that is started for gateway, runner and baselines.
	Program string
	// Dir is where the temporary directory is made; empty: the system's place for them.
	Dir string
	// Version is that of the program, for the result.
	Version string
	// Progress is told what is being done; nil: nobody is.
	Progress func(string)
	// Profile, if not empty, is where CPU profiles go: with .gateway and .runner behind it, and in scenario peer .client.
	Profile string
	// JS is the repository's folder bench/js; empty: it is looked for.
	JS string

	// Rounds is how often product and baseline take turns, Duration how long each one's turn is.
	Rounds   int
	Duration time.Duration
	// Connections is the number of WebSockets, or of what else Transport has, InFlight how many calls or events each has under way, Actors the number of
	// actors. Each scenario uses those that its own Options have.
	Connections, InFlight, Actors int
	// Via is how actions are called: ViaConnection, ViaSDK or ViaHandle.
	Via string
	// Transport is what actions are called over: WebSocket, WebTransport, HTTP1 or HTTP3.
	Transport string
	// Stores are what is measured, one after another: Embedded, and a Redis by its URL.
	Stores []string

	store string   // that of the present site; empty: Embedded
	js    *scripts // of which one hosts the actors; nil: the Go runner does
	quic  bool     // the gateway listens to QUIC, too
	flags []string // more of the gateway
}

// The values of Options.Via.
const (
	// ViaConnection: on connections, by callers as light as those of the baseline.
	ViaConnection = "connection"
	// ViaSDK: on connections of clients/go, by a goroutine for each call under way. The rows are named so.
	ViaSDK = "sdk"
	// ViaHandle: likewise, without connection.
	ViaHandle = "handle"
)

// The values of Options.Transport.
const (
	WebSocket    = "ws"
	WebTransport = "wt" // with a stream for each connection
	HTTP1        = "h1" // without session: a request for each call
	HTTP3        = "h3" // likewise
)

// Transports are all of them.
func Transports() []string { return []string{WebSocket, WebTransport, HTTP1, HTTP3} }

// requests tells whether each call is a request of its own.
func (o Options) requests() bool { return o.Transport == HTTP1 || o.Transport == HTTP3 }

// profileOf is the file for the CPU profile of a process; empty: none is wanted.
func (o Options) profileOf(name string) string {
	if o.Profile == "" {
		return ""
	}
	return o.Profile + "." + name
}

// named is the name of a row of this store, of actions called so.
func (o Options) named(row string) string {
	if o.Transport != "" && o.Transport != WebSocket {
		row += "-" + o.Transport
	}
	if isRedis(o.store) {
		row += "-redis"
	}
	if o.Via == ViaSDK || o.Via == ViaHandle {
		row += "-sdk"
	}
	return row
}

// Scenario is something that can be measured.
type Scenario struct {
	// Name is its name on the command line, About a sentence.
	Name, About string
	// Options are the usual ones. A number that is 0 has no meaning here.
	Options Options
	// JS tells that it uses Options.JS, and is over with Missing where that has not what it needs.
	JS bool

	run func(context.Context, Options) ([]Row, error)
}

// The usual number and length of rounds.
const (
	usualRounds   = 3
	usualDuration = 3 * time.Second
)

// Scenarios are all that can be measured, in the order in which Run takes them.
func Scenarios() []Scenario {
	all := []Scenario{
		{
			Name: "calls", About: "actions that change nothing: many at once, then one at a time",
			Options: Options{Connections: 64, InFlight: 16, Via: ViaConnection, Transport: WebSocket}, run: calls,
		},
		{
			Name: "commits", About: "actions that change state, durable before the answer; an actor for each connection",
			Options: Options{Connections: 64, InFlight: 4, Via: ViaConnection, Stores: []string{Embedded}}, run: commits,
		},
		{
			Name: "claims", About: "claims of due alarms, a hundred at once, at the store: no gateway has alarms yet",
			Options: Options{Actors: 64, InFlight: 16, Stores: []string{Embedded}}, run: claims,
		},
		{
			Name: "fanout", About: "events of one actor to many WebSockets",
			Options: Options{Connections: 5_000, InFlight: 4}, run: fanout,
		},
		{
			Name: "cold", About: "a new actor and its first durable action, one after another",
			run: cold,
		},
		{
			Name: "wake", About: "the call that wakes a sleeping actor, one after another",
			Options: Options{Actors: 300}, run: wake,
		},
		{
			Name: "idle", About: "memory of WebSockets and of actors that do nothing",
			Options: Options{Connections: 10_000, Actors: 100_000}, run: idle,
		},
		{
			Name: "sessions", About: "memory of sessions that do nothing, a quarter of them over WebTransport, and what they leave behind",
			Options: Options{Connections: 20_000}, run: sessions,
		},
		{
			Name: "memory", About: "memory of actors that do nothing, the second half of idle",
			Options: Options{Actors: 100_000}, run: memory,
		},
		{
			Name: "js", About: "the JavaScript runner: actions that change nothing, then actions that change state",
			Options: Options{Connections: 64, InFlight: 16}, JS: true, run: javaScript,
		},
		{
			Name: "peer", About: "runner and client of JavaScript beside rivetkit, if that is installed",
			Options: Options{Connections: 64, InFlight: 16}, JS: true, run: peer,
		},
	}
	for i := range all {
		all[i].Options.Rounds, all[i].Options.Duration = usualRounds, usualDuration
	}
	return all
}

// All is the scenarios that are run when none is named: with the SDK, and over each transport, where that makes a difference,
// and without the one that is part of another, and the one that takes most of the memory there is. What is measured without a gateway is among them if stores are.
func All(stores ...string) []Scenario {
	var all []Scenario
	for _, s := range Scenarios() {
		if s.Name == "memory" || s.Name == "sessions" || s.Name == "claims" && len(stores) == 0 {
			continue
		}
		all = append(all, s)
		if s.Options.Via == ViaConnection {
			s.Options.Via = ViaSDK
			all = append(all, s)
		}
		if s.Options.Transport != "" {
			s.Options.Via = ViaConnection
			for _, s.Options.Transport = range Transports()[1:] {
				all = append(all, s)
			}
		}
	}
	return all
}

// AtMost is the scenario's usual options, with the numbers of limit where these are smaller and not 0.
func (s Scenario) AtMost(limit Options) Options {
	o := limit
	o.Connections = atMost(s.Options.Connections, limit.Connections)
	o.InFlight = atMost(s.Options.InFlight, limit.InFlight)
	o.Actors = atMost(s.Options.Actors, limit.Actors)
	o.Via, o.Transport = s.Options.Via, s.Options.Transport
	if len(limit.Stores) == 0 || s.Options.Stores == nil {
		o.Stores = s.Options.Stores
	}
	return o
}

func atMost(usual, limit int) int {
	if limit == 0 {
		return usual
	}
	return min(usual, limit)
}

// Check says what is wrong with options for this scenario.
func (s Scenario) Check(o Options) error {
	for _, number := range []struct {
		name         string
		value, usual int
	}{
		{"rounds", o.Rounds, s.Options.Rounds},
		{"connections", o.Connections, s.Options.Connections},
		{"in-flight", o.InFlight, s.Options.InFlight},
		{"actors", o.Actors, s.Options.Actors},
	} {
		if number.usual > 0 && number.value < 1 {
			return fmt.Errorf("--%s is %d; it is at least 1", number.name, number.value)
		}
	}
	if err := checkStores(o.Stores); err != nil {
		return err
	}
	switch {
	case o.Duration <= 0:
		return fmt.Errorf("--duration is %v; it is more than 0", o.Duration)
	case s.Options.Via != "" && !slices.Contains([]string{ViaConnection, ViaSDK, ViaHandle}, o.Via):
		return fmt.Errorf("--via is %q; it is %s, %s or %s", o.Via, ViaConnection, ViaSDK, ViaHandle)
	case s.Options.Transport != "" && !slices.Contains(Transports(), o.Transport):
		return fmt.Errorf("--transport is %q; it is one of %s", o.Transport, strings.Join(Transports(), ", "))
	case o.requests() && o.Via != ViaConnection:
		return fmt.Errorf("--via %s has no meaning with --transport %s, where each call is a request", o.Via, o.Transport)
	}
	return nil
}

// Run measures the scenario. Rows hold operations that failed, too; an error is what kept it from measuring.
func (s Scenario) Run(ctx context.Context, o Options) ([]Row, error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	began := time.Now()
	rows, err := s.run(ctx, o)
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	for i := range rows {
		rows[i].describe(o, time.Since(began))
	}
	return rows, nil
}
