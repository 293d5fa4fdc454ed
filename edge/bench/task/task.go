// Package task has another process of the bench repeat an operation for a while, and brings its result back.
//
// The process serves a Task by Serve, over HTTP on the loopback interface; edge/bench asks it by Ask, once at a time.
// What the operations are is the server's matter: edge/bench/bare and edge/bench/stores have some.
package task

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

// Task is what a process is asked to do.
type Task struct {
	Do      string        `json:"do"` // one of the operations that it knows
	Workers int           `json:"workers"`
	Each    int           `json:"each"`   // how much a worker does at once, where an operation asks for that
	Length  time.Duration `json:"length"` // of the window in which operations count
}

// Listen listens on a free port of the loopback interface, and tells ready where.
func Listen(ctx context.Context, ready func(address string) error) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if err := ready(l.Addr().String()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Serve does what it is asked to until ctx ends, and closes the listener.
func Serve(ctx context.Context, l net.Listener, do func(context.Context, Task) (load.Result, error)) error {
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var t Task
			if err := json.NewDecoder(r.Body).Decode(&t); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			result, err := do(r.Context(), t)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			_ = json.NewEncoder(w).Encode(result) // the one who asked may be gone
		}),
	}
	ending := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { ending <- server.Shutdown(context.WithoutCancel(ctx)) }) // no request outlives ctx
	defer stop()
	err := server.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		err = <-ending
	}
	return err
}

// Ask has the process at address do a task. The connection is not kept.
func Ask(ctx context.Context, address string, t Task) (result load.Result, err error) {
	body, err := json.Marshal(t)
	if err != nil {
		return result, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/", bytes.NewReader(body))
	if err != nil {
		return result, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return result, fmt.Errorf("ask for %q: %w", t.Do, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return result, fmt.Errorf("ask for %q: %s", t.Do, bytes.TrimSpace(text))
	}
	return result, json.NewDecoder(response.Body).Decode(&result)
}

// Unknown is the error of a process that does not know the operation.
func (t Task) Unknown() error { return fmt.Errorf("there is no operation %q", t.Do) }
