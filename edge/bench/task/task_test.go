package task_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve returns the address of a process that does what the test says.
func serve(t *testing.T, do func(context.Context, task.Task) (load.Result, error)) string {
	t.Helper()
	var address string
	l, err := task.Listen(t.Context(), func(a string) error { address = a; return nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- task.Serve(ctx, l, do) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return address
}

func TestATaskAndItsResultArriveWhole(t *testing.T) {
	want := task.Task{Do: "wave", Workers: 3, Each: 4, Length: time.Second}
	result := load.Result{Operations: 5, Seconds: 1.5, P50: 6, P99: 7, Errors: 8, Fault: "tired"}
	address := serve(t, func(_ context.Context, got task.Task) (load.Result, error) {
		if got != want {
			t.Errorf("asked for %+v", got)
		}
		return result, nil
	})
	for range 2 {
		got, err := task.Ask(t.Context(), address, want)
		if err != nil || got != result {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestWhatCannotBeDoneIsAnError(t *testing.T) {
	address := serve(t, func(_ context.Context, t task.Task) (load.Result, error) { return load.Result{}, t.Unknown() })
	if _, err := task.Ask(t.Context(), address, task.Task{Do: "sing"}); err == nil || !strings.Contains(err.Error(), `no operation "sing"`) {
		t.Errorf("got %v", err)
	}
}

func TestAProcessThatIsGoneIsAnError(t *testing.T) {
	if _, err := task.Ask(t.Context(), "127.0.0.1:1", task.Task{Do: "wave"}); err == nil {
		t.Error("it answered")
	}
}

func TestNobodyToTellIsAnError(t *testing.T) {
	deaf := errors.New("deaf")
	if _, err := task.Listen(t.Context(), func(string) error { return deaf }); !errors.Is(err, deaf) {
		t.Errorf("got %v", err)
	}
}
