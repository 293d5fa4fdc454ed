package runner

import (
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// runOpen is the turn of a ConnectionOpen [CONN-1].
func (in *instance) runOpen(t *turn) {
	err := guard(func() error { return in.accept(t) })
	if failed := in.connStates(); failed != nil {
		t.fail(failed)
	}
	if err == nil {
		err = t.failed
	}
	var conn []byte
	if err == nil && t.conn.touched {
		t.conn.touched = false
		conn, err = t.conn.changedState()
	}
	in.answerOpen(t, conn, err)
}

// accept runs the hooks of an open. The connection is visible from OnConnect on.
func (in *instance) accept(t *turn) error {
	def, open := in.def, t.what.(*runnerv1alpha1.ConnectionOpen)
	if def.beforeConnect != nil {
		if err := def.beforeConnect(in.self, t, open.Params); err != nil {
			return err
		}
	}
	conn, err := in.openConnection(open)
	if err != nil {
		return err
	}
	if def.createConnState != nil {
		if err := def.createConnState(in.self, t, conn); err != nil {
			return err
		}
	}
	in.addConn(conn)
	if def.onConnect == nil {
		return nil
	}
	return def.onConnect(in.self, t, conn)
}

// answerOpen flushes the turn: the answer comes first, so that what OnConnect sent arrives after it.
func (in *instance) answerOpen(t *turn, conn []byte, err error) {
	result := &wire.CallResult{ID: t.id}
	if err != nil {
		result.Error = t.callError(err)
	}
	state, broken := in.changedState()
	in.mu.Lock()
	defer in.mu.Unlock()
	if (err != nil || t.lost) && t.conn != nil && t.conn.index >= 0 {
		in.removeConn(t.conn)
	}
	if err == nil && in.def.onDisconnect != nil {
		in.changes().accept(t.conn.id)
		if t.lost { // nobody will know that it was accepted, but the actor does
			in.leaves(t.conn)
		}
	}
	if !t.lost {
		result.Actor = in.ref
		first := []wire.Message{result}
		if conn != nil {
			first = append(first, newConnOutput(t.conn, conn, ""))
		}
		in.bytes += sizeOf(first)
		in.held = append(first, in.held...)
	}
	in.flush(state, broken, true)
	in.afterTurn()
}

// runGone is the turn of a connection that has left, by its client's or the actor's will, or before this start. It is
// onDisconnect's one chance: its failure changes nothing.
func (in *instance) runGone(t *turn) {
	conn := t.conn
	gone, known := t.what.(*runnerv1alpha1.GoneConnection)
	switch {
	case known:
		conn = in.goneConnection(gone)
	case conn == nil:
		in.mu.Lock()
		if conn = in.byRef[t.connRef]; t.lost || conn == nil || conn.leaving { // the actor disconnected it meanwhile
			in.mu.Unlock()
			return
		}
		conn.leaving = true
		in.mu.Unlock()
	}
	t.conn = conn
	in.conceal(conn)
	if in.def.onDisconnect == nil {
		return
	}
	in.disconnected(t, conn)
	_ = t.settle(nil) // its errors were logged
}

// conceal makes the connection invisible to the actor.
func (in *instance) conceal(conn *connection) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if conn.index >= 0 {
		in.removeConn(conn)
	}
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
