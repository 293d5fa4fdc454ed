package bare

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/task"
)

// The operations of a process in WriterRole, for package task.
const (
	// Commit commits a record of each worker.
	Commit = "commit"
	// CommitTwice commits two records of a new key, one after the other.
	CommitTwice = "commit twice"
)

func serveWriter(ctx context.Context, dir string, l net.Listener) error {
	g, err := openGroup(dir)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return errors.Join(task.Serve(ctx, l, g.do), g.close())
}

func (g *group) do(ctx context.Context, t task.Task) (load.Result, error) {
	records := make([]*record, t.Workers)
	for i := range records {
		records[i] = &record{
			key: fmt.Appendf(nil, "%0*d", keySize, i), value: make([]byte, recordSize), done: make(chan error, 1),
		}
	}
	operation := map[string]func(*record) error{Commit: g.put, CommitTwice: g.putTwice}[t.Do]
	if operation == nil {
		return load.Result{}, t.Unknown()
	}
	return load.Run(ctx, load.Open(t.Length), t.Workers, func(_ context.Context, worker int) error {
		return operation(records[worker])
	}), nil
}

// putTwice writes the record under a new key, and once more.
func (g *group) putTwice(r *record) error {
	r.key = fmt.Appendf(r.key[:0], "%0*d", keySize, load.Now())
	if err := g.put(r); err != nil {
		return err
	}
	return g.put(r)
}
