package bare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
)

// task is what a writer is asked to do.
type task struct {
	Writers int           `json:"writers"`
	Records int           `json:"records"` // one after another, in each operation
	Fresh   bool          `json:"fresh"`   // under new keys each time
	Length  time.Duration `json:"length"`
}

func serveWriter(ctx context.Context, dir string, l net.Listener) error {
	g, err := openGroup(dir)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var t task
			if err := json.NewDecoder(r.Body).Decode(&t); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			_ = json.NewEncoder(w).Encode(g.do(r.Context(), t)) // the one who asked may be gone
		}),
	}
	ending := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { ending <- server.Shutdown(context.WithoutCancel(ctx)) }) // no request outlives ctx
	defer stop()
	err = server.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		err = <-ending
	}
	return errors.Join(err, g.close())
}

func (g *group) do(ctx context.Context, t task) load.Result {
	records := make([]*record, t.Writers)
	for i := range records {
		records[i] = &record{
			key: fmt.Appendf(nil, "%0*d", keySize, i), value: make([]byte, recordSize), done: make(chan error, 1),
		}
	}
	return load.Run(ctx, load.Open(t.Length), t.Writers, func(_ context.Context, worker int) error {
		r := records[worker]
		if t.Fresh {
			r.key = fmt.Appendf(r.key[:0], "%0*d", keySize, load.Now())
		}
		for range t.Records {
			if err := g.put(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// Writer is a client of a process in WriterRole.
type Writer struct {
	// Address is where it listens.
	Address string
}

// Commit lets writers commit records for a while, each one after another.
func (w Writer) Commit(ctx context.Context, writers int, length time.Duration) (load.Result, error) {
	return w.do(ctx, task{Writers: writers, Records: 1, Length: length})
}

// CommitTwice lets one writer commit two records of a new key for one operation, one after another, for a while.
func (w Writer) CommitTwice(ctx context.Context, length time.Duration) (load.Result, error) {
	return w.do(ctx, task{Writers: 1, Records: 2, Fresh: true, Length: length})
}

func (w Writer) do(ctx context.Context, t task) (load.Result, error) {
	var result load.Result
	body, err := json.Marshal(t)
	if err != nil {
		return result, err
	}
	return result, post(ctx, "http://"+w.Address+"/", body, &result)
}

// post sends JSON and decodes the answer into result. The connection is not kept.
func post(ctx context.Context, url string, body []byte, result any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the bare writer: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("ask the bare writer: %s: %s", response.Status, text)
	}
	return json.NewDecoder(response.Body).Decode(result)
}
