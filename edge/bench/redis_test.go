//go:build unix

package bench_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench"
	"github.com/stagedoor-dev/stagedoor/edge/cli"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// somebodysKey is in each Redis before the bench is. It begins as the keys of a usual store do.
const somebodysKey = "stagedoor:{p1}:m"

// startRedis starts a Redis that has to hold that key, and no other, when the test is over.
func startRedis(t *testing.T, o redistest.Options) (url string) {
	t.Helper()
	servers := redistest.Standalone(t, o)
	servers.Nodes[0].Must("SET", somebodysKey, "x")
	t.Cleanup(func() {
		if got := fmt.Sprint(servers.Nodes[0].Must("KEYS", "*")); got != fmt.Sprint([]any{somebodysKey}) {
			t.Errorf("the keys are %s", got)
		}
	})
	return servers.URL()
}

func TestCommitsAreMeasuredInEachStore(t *testing.T) {
	url := startRedis(t, redistest.Options{AppendOnly: true})
	found := rows(t, run(t, append([]string{"commits", "--json", "--connections", "3", "--in-flight", "2", "--store", url, "--store", "embedded"}, tiny...)...))
	if len(found) != 2 {
		t.Errorf("%d rows", len(found))
	}
	for name, store := range map[string]string{"commits": "embedded", "commits-redis": "redis"} {
		row := found[name]
		if row["store"] != store || row["connections"] != 3.0 || row["in_flight"] != 2.0 {
			t.Errorf("%s: %v", name, row)
		}
		checkRow(t, row)
	}
}

func TestClaimsAreMeasuredInEachStore(t *testing.T) {
	url := startRedis(t, redistest.Options{AppendOnly: true})
	found := rows(t, run(t, append([]string{"claims", "--json", "--actors", "3", "--in-flight", "9", "--store", "embedded", "--store", url}, tiny...)...))
	for name, store := range map[string]string{"claims": "embedded", "claims-redis": "redis"} {
		row := found[name]
		if row["store"] != store || row["actors"] != 3.0 || row["in_flight"] != 3.0 || row["unit"] != "claims" {
			t.Errorf("%s: %v", name, row)
		}
		if operations := number(t, row, "operations"); operations < 100 || int(operations)%100 != 0 {
			t.Errorf("%s: %v claims", name, operations)
		}
	}
	checkRow(t, found["claims-redis"])
	if embedded := found["claims"]; embedded["bare_rate_per_s"] != 0.0 || embedded["ratio"] != 0.0 || number(t, embedded, "rate_per_s") <= 0 {
		t.Errorf("%v", embedded)
	}
}

// The server is no place for commits in class fast: the gateway finds that out when it has made its store.
func TestAGatewayThatRefusesTheRedisLeavesNothing(t *testing.T) {
	url := startRedis(t, redistest.Options{})
	var stdout, stderr bytes.Buffer
	if code := cli.Main(program(&stdout, &stderr, "bench", "commits", "--store", url, "--dir", t.TempDir())); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(stderr.String(), "set appendonly yes") {
		t.Errorf("it said %s", stderr.String())
	}
}

func TestADeadGatewayLeavesNothingInRedis(t *testing.T) {
	s := scenario(t, "commits")
	o := options(t, s)
	o.Stores = []string{startRedis(t, redistest.Options{AppendOnly: true})}
	began := make(chan string, 100)
	o.Progress = func(text string) { began <- text }
	mark := filepath.Join(t.TempDir(), "pid")
	o.Program = marking(t, "gateway --insecure", mark)
	go func() {
		<-began
		kill(t, mark)
	}()
	if _, err := s.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "the gateway ended ") {
		t.Errorf("got %v", err)
	}
}

func TestARedisThatIsAwayIsAnError(t *testing.T) {
	s := scenario(t, "claims")
	o := options(t, s)
	o.Stores = []string{"redis://u:sesame@127.0.0.1:1"}
	_, err := s.Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "sesame") {
		t.Errorf("got %v", err)
	}
}

func TestStoresAreNamedOnceAndWithMeaning(t *testing.T) {
	s := scenario(t, "commits")
	o := s.Options
	for name, stores := range map[string][]string{
		"embedded, redis://": {"mysql://a"}, "each kind once": {"redis://a", "rediss://b"}, "kind embedded": {bench.Embedded, bench.Embedded},
	} {
		o.Stores = stores
		if err := s.Check(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v", stores, err)
		}
	}
}

// Without a store named, everything is what it was before there were several.
func TestStoresChangeWhatEverythingIs(t *testing.T) {
	names := func(all []bench.Scenario) (names []string) {
		for _, s := range all {
			names = append(names, s.Name)
		}
		return names
	}
	if slices.Contains(names(bench.All()), "claims") || !slices.Contains(names(bench.All("redis://a")), "claims") {
		t.Errorf("without stores %v, with %v", names(bench.All()), names(bench.All("redis://a")))
	}
	limit := bench.Options{Stores: []string{"redis://a"}, Rounds: 1, Duration: time.Second}
	if got := scenario(t, "commits").AtMost(limit).Stores; !slices.Equal(got, limit.Stores) {
		t.Errorf("commits in %v", got)
	}
	if got := scenario(t, "claims").AtMost(bench.Options{}).Stores; !slices.Equal(got, []string{bench.Embedded}) {
		t.Errorf("claims in %v", got)
	}
	if got := scenario(t, "calls").AtMost(limit).Stores; got != nil {
		t.Errorf("calls in %v", got)
	}
}
