//go:build unix

package bench

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
)

// turns gives results one after another, and notes whose turn it was.
func turns(order *[]string, name string, results ...load.Result) turn {
	return func(context.Context) (load.Result, error) {
		*order = append(*order, name)
		r := results[0]
		results = results[1:]
		return r, nil
	}
}

func result(operations, errors int) load.Result {
	r := load.Result{Operations: operations, Seconds: 2, P50: time.Millisecond, P99: 3 * time.Millisecond, Errors: errors}
	if errors > 0 {
		r.Fault = "broken"
	}
	return r
}

func TestTheMiddleRoundIsReportedWithItsBaseline(t *testing.T) {
	var order []string
	row, err := takeTurns(t.Context(), Options{Rounds: 3, Progress: func(string) {}}, "calls",
		turns(&order, "product", result(30, 0), result(10, 2), result(20, 0)),
		turns(&order, "bare", result(100, 1), result(50, 0), result(20, 0)))
	if err != nil {
		t.Fatal(err)
	}
	want := Row{
		Name: "calls", Rate: 15, P50: 1, P99: 3, BareRate: 50, BareP50: 1, BareP99: 3, Ratio: 0.3,
		Rounds: 3, Operations: 60, Errors: 3, Fault: "broken",
	}
	if row != want {
		t.Errorf("%+v, not %+v", row, want)
	}
	if got := strings.Join(order, " "); got != "product bare bare product product bare" {
		t.Errorf("the turns were %s", got)
	}
}

func TestAFailedTurnEndsTheRounds(t *testing.T) {
	broken := errors.New("broken")
	var order []string
	_, err := takeTurns(t.Context(), Options{Rounds: 3, Progress: func(string) {}}, "calls",
		turns(&order, "product", result(1, 0), result(1, 0), result(1, 0)),
		func(context.Context) (load.Result, error) { return load.Result{}, broken })
	if !errors.Is(err, broken) || !slices.Equal(order, []string{"product"}) {
		t.Errorf("%v after %v", err, order)
	}
}

func TestTooManySocketsAreToldOf(t *testing.T) {
	if n, note := reachable(1, 1); n != 1 || note != "" {
		t.Errorf("%d, %q", n, note)
	}
	n, note := reachable(1<<40, 2)
	if n >= 1<<40 || !strings.Contains(note, "ulimit -n") {
		t.Errorf("%d, %q", n, note)
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0.000", 0.1234: "0.123", 1.5: "1.50", 12.34: "12.3", 123.4: "123", 1234567: "1,234,567",
	} {
		if got := digits(value); got != want {
			t.Errorf("%v is %q, not %q", value, got, want)
		}
	}
	for value, want := range map[float64]string{0: "0", 999: "999", -999: "-999", -1000: "-1,000", 1e6: "1,000,000"} {
		if got := thousands(value); got != want {
			t.Errorf("%v is %q, not %q", value, got, want)
		}
	}
}
