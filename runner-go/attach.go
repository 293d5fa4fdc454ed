package runner

import (
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// runOpen is the turn of a ConnectionOpen [CONN-1].
func (in *instance) runOpen(t *turn) {
	if refused := in.refuse(t); refused != nil {
		in.mu.Lock()
		in.answerUnrun(t, refused)
		in.mu.Unlock()
		return
	}
	err := guard(func() error { return in.accept(t) })
	if failed := in.connStates(); failed != nil {
		t.fail(failed)
	}
	if err == nil {
		err = t.failed
	}
	var report *runnerv1alpha1.ConnectionState
	if err == nil && t.conn.touched {
		t.conn.touched = false
		report, err = t.conn.stateReport()
	}
	in.answerOpen(t, report, err)
}

// accept runs the hooks of an open. The connection is visible from OnConnect on.
func (in *instance) accept(t *turn) error {
	def := in.def
	if def.beforeConnect != nil {
		if err := def.beforeConnect(in.self, t, t.open.Params); err != nil {
			return err
		}
	}
	conn, err := in.openConnection(t.open)
	if err != nil {
		return err
	}
	if def.createConnState != nil {
		if err := def.createConnState(in.self, t, conn); err != nil {
			return err
		}
	}
	t.conn = conn
	in.addConn(conn)
	if def.onConnect == nil {
		return nil
	}
	return def.onConnect(in.self, t, conn)
}

// answerOpen flushes the turn: the answer comes first, so that what OnConnect sent arrives after it.
func (in *instance) answerOpen(t *turn, report *runnerv1alpha1.ConnectionState, err error) {
	t.result = wire.CallResult{Actor: in.ref, ID: t.id}
	first := []wire.Message{&t.result}
	if err != nil {
		t.result.Error = t.callError(err)
		if t.conn != nil && t.conn.index >= 0 {
			in.removeConn(t.conn)
		}
	} else if report != nil {
		first = append(first, wire.Runner(report))
	}
	state, broken := in.changedState()
	in.mu.Lock()
	defer in.mu.Unlock()
	if err == nil && in.def.onDisconnect != nil {
		in.changes().added = append(in.changes().added, t.conn.id)
	}
	for _, m := range first {
		in.bytes += wire.FrameSize(m)
	}
	in.held = append(first, in.held...)
	in.flush(state, broken, true)
	in.afterTurn()
}

// runGone is the turn of a connection that has left, by its client's or the actor's will, or before this start. It is
// onDisconnect's one chance: its failure changes nothing.
func (in *instance) runGone(t *turn) {
	if t.gone != nil {
		t.conn = in.goneConnection(t.gone)
	} else if t.conn == nil {
		t.conn = in.byRef[t.connRef]
	}
	conn := t.conn
	if conn == nil {
		return // the actor disconnected it meanwhile
	}
	if conn.index >= 0 {
		in.removeConn(conn)
	}
	if in.def.onDisconnect == nil {
		return
	}
	in.disconnected(t, conn)
	_ = t.settle(nil, nil) // its errors were logged
}

// disconnected runs onDisconnect, and has the commit say so [CONN-7].
func (in *instance) disconnected(t *turn, conn *connection) {
	if err := guard(func() error { return in.def.onDisconnect(in.self, t, conn) }); err != nil {
		in.logFault(t, err)
	}
	in.mu.Lock()
	in.changes().removed = append(in.changes().removed, conn.id)
	in.mu.Unlock()
}

// goneConnection is what is known of a connection that ended while nobody hosted the actor. Its state is left zero where
// it is not known, or no longer fits: onDisconnect runs all the same.
func (in *instance) goneConnection(m *runnerv1alpha1.GoneConnection) *connection {
	c := in.self.newConnection()
	c.id, c.params = m.ConnectionId, m.Params
	if err := guard(func() error { return c.restoreState(m.State) }); err != nil {
		in.log().Warn("a connection that has left comes without its state", "error", err)
	}
	return c
}
