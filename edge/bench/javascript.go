//go:build unix

package bench

import (
	"context"
	"path/filepath"

	"github.com/stagedoor-dev/stagedoor/edge/bench/task"
)

// javaScript measures the runner of JavaScript as calls and commits measure that of Go: actions that change nothing, many at
// once and one at a time, then actions that change state, each durable before it is answered.
//
// The baseline of calls is what bare Node can do: a WebSocket server (package ws) that sends every message back, called
// by as many sockets, with nothing in between. That of commits is the writer of scenario commits.
func javaScript(ctx context.Context, o Options) (_ []Row, err error) {
	if o.js, err = o.findScripts(ctx); err != nil {
		return nil, err
	}
	o.Via = ViaConnection
	s, err := openSite(ctx, o)
	if err != nil {
		return nil, err
	}
	defer closing(s, &err)
	_, echo, err := s.playCommand("bare Node", o.js.command("", "echo.mjs")...)
	if err != nil {
		return nil, err
	}
	many, err := s.callsOf("js-calls", echo, o.Connections, o.InFlight)
	if err != nil {
		return nil, err
	}
	one, err := s.callsOf("js-calls-1x1", echo, 1, 1)
	if err != nil {
		return nil, err
	}
	durable, err := s.commitsOf("js-commits")
	return []Row{many, one, durable}, err
}

// peer measures our runner and client beside rivetkit, whose API they have: both in JavaScript, run by the same Node, called by
// the same load. Each connection is to a counter of its own, and has a WebSocket of its own, though those of one client would
// share one; rows that say so let them. What a row calls bare is the peer.
//
// The peer hosts its actors in the process that clients call, and answers an action before what it has changed is saved, which
// happens at most every ten seconds. Ours are called by way of a gateway, and saved first.
func peer(ctx context.Context, o Options) (_ []Row, err error) {
	ours, err := o.findScripts(ctx)
	if err != nil {
		return nil, err
	}
	theirs, version, err := ours.peerScripts(ctx)
	if err != nil {
		return nil, err
	}
	if o.js, err = ours.with(ctx, theirs.node); err != nil {
		return nil, err
	}
	s, err := openSite(ctx, o)
	if err != nil {
		return nil, err
	}
	defer closing(s, &err)
	_, load, err := s.playCommand("load", o.js.command(o.profileOf("client"), "client.mjs", "http://"+s.address)...)
	if err != nil {
		return nil, err
	}
	_, server, err := s.playCommand("peer", theirs.command("", "server.mjs", filepath.Join(s.dir, "peer"))...)
	if err != nil {
		return nil, err
	}
	_, peerLoad, err := s.playCommand("peer's load", theirs.command("", "client.mjs", "http://"+server)...)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, l := range peerLoads(o.Connections, o.InFlight) {
		row, err := s.besidePeer(l, load, peerLoad)
		if err != nil {
			return nil, err
		}
		row.Unit, row.Connections, row.InFlight, row.Node = l.unit, l.connections, l.inFlight, o.js.version
		row.Note = "bare is rivetkit " + version
		rows = append(rows, row)
	}
	return rows, nil
}

// besidePeer makes a row of what two processes measure.
func (s *site) besidePeer(l peerLoad, ours, theirs string) (Row, error) {
	t := task.Task{Do: l.do, Workers: l.connections, Each: l.inFlight, Length: s.options.Duration / 3}
	for _, load := range []string{ours, theirs} { // a turn that does not count: Node compiles what it finds to be used much
		if _, err := s.asking(load, t)(s.ctx); err != nil {
			return Row{}, err
		}
	}
	t.Length = s.options.Duration
	return takeTurns(s.ctx, s.options, l.row, s.asking(ours, t), s.asking(theirs, t))
}

// peerLoad is what a row of scenario peer asks of both sides.
type peerLoad struct {
	row, do, unit         string
	connections, inFlight int
}

// peerLoads are a call under way on each connection, of one client or of many, as many on one connection, and the full load.
func peerLoads(connections, inFlight int) (loads []peerLoad) {
	seen := map[peerLoad]bool{}
	for _, l := range []peerLoad{
		{"peer-calls", "own getCount", "calls", connections, 1},
		{"peer-shared", "shared getCount", "calls", connections, 1},
		{"peer-calls", "own getCount", "calls", 1, connections},
		{"peer-calls", "own getCount", "calls", connections, inFlight},
		{"peer-commits", "own increment", "commits", connections, 1},
		{"peer-commits", "own increment", "commits", connections, inFlight},
	} {
		if !seen[l] {
			seen[l] = true
			loads = append(loads, l)
		}
	}
	return loads
}
