package redis

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// counting is a library with one counter per key that behaves like a commit: it is applied in order, once each.
var counting = library{
	name: "sdtest",
	source: `#!lua name=sdtest
local function bump(keys, args)
  local at, to = tonumber(redis.call('GET', keys[1] .. 'n') or '0'), tonumber(args[3])
  if to == at then redis.call('SET', keys[1] .. 'n', args[3]) return 'DUPLICATE' end
  if to < at then return redis.error_reply('STALE ' .. at) end
  if to > at + 1 then return redis.error_reply('GAP ' .. at) end
  redis.call('SET', keys[1] .. 'n', args[3])
  return 'OK'
end
local function value(keys) return redis.call('GET', keys[1] .. 'n') end
local function fault(keys) return redis.call('HGET', keys[1]) end
redis.register_function('sdtest_bump', bump)
redis.register_function{function_name='sdtest_value', callback=value, flags={'no-writes'}}
redis.register_function('sdtest_fault', fault)
`,
	refusals: map[string]error{"STALE": store.ErrStale, "GAP": store.ErrGap},
}

func dial(t testing.TB, cfg Config) (*client, error) {
	t.Helper()
	cfg = cfg.withDefaults()
	if cfg.Logger.Handler() == slog.DiscardHandler {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	c, err := connect(t.Context(), cfg, counting)
	if err == nil {
		t.Cleanup(func() {
			if err := c.close(); err != nil && !errors.Is(err, store.ErrClosed) {
				t.Error(err)
			}
		})
	}
	return c, err
}

func mustDial(t testing.TB, cfg Config) *client {
	t.Helper()
	c, err := dial(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func counterKeys(partition int) []string {
	base := fmt.Sprintf("stagedoor:{p%d}:", partition)
	return []string{base, base + "-"}
}

func (c *client) bump(d store.Durability, partition, to int) error {
	answer := make(chan error, 1)
	c.send(d, "sdtest_bump", counterKeys(partition), []string{"", fmt.Sprint(partition), fmt.Sprint(to)}, func(_ rueidis.RedisMessage, err error) { answer <- err })
	return <-answer
}

func (c *client) value(t testing.TB, partition int) string {
	t.Helper()
	m, err := c.call(t.Context(), store.DurabilityDefault, "sdtest_value", counterKeys(partition), nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.IsNil() {
		return ""
	}
	s, err := m.ToString()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnswersAndRefusalsAreDefinite(t *testing.T) {
	c := mustDial(t, Config{URL: redistest.Standalone(t, redistest.Options{}).URL()})
	if got := c.value(t, 7); got != "" {
		t.Errorf("a null reply came as %q", got)
	}
	for _, to := range []int{1, 2, 2} {
		if err := c.bump(store.DurabilityDefault, 7, to); err != nil {
			t.Fatal(err)
		}
	}
	for to, code := range map[int]string{1: "STALE", 9: "GAP"} {
		var r *refusal
		if err := c.bump(store.DurabilityDefault, 7, to); !errors.As(err, &r) || r.code != code || r.text != "2" {
			t.Errorf("%d after 2: %v", to, err)
		}
	}
	if got := c.value(t, 7); got != "2" {
		t.Errorf("value %q", got)
	}
}

// What the library did not say itself is an unknown outcome [COMMIT-4]; an error that will come again is not waited for.
func TestAnErrorOfRedisIsUnknown(t *testing.T) {
	c := mustDial(t, Config{URL: redistest.Standalone(t, redistest.Options{}).URL()})
	var r *refusal
	_, err := c.call(t.Context(), store.DurabilityDefault, "sdtest_fault", counterKeys(0), nil)
	if !errors.Is(err, ErrUnavailable) || errors.As(err, &r) || !strings.Contains(err.Error(), "Wrong number") {
		t.Errorf("got %v", err)
	}
}

func TestRequestsOfOneKeyKeepTheirOrder(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{AppendOnly: true})
	c := mustDial(t, Config{URL: s.URL()})
	const keys, requests = 50, 200
	var answered sync.WaitGroup
	answered.Add(keys * requests)
	for to := range requests {
		for key := range keys {
			c.send(store.Fast, "sdtest_bump", counterKeys(key), []string{"", fmt.Sprint(key), fmt.Sprint(to + 1)}, func(_ rueidis.RedisMessage, err error) {
				defer answered.Done()
				if err != nil {
					t.Errorf("key %d to %d: %v", key, to+1, err)
				}
			})
		}
		// Connections that break in the middle cost repetitions, not the order.
		if to == requests/2 {
			s.Nodes[0].Must("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		}
	}
	answered.Wait()
	for key := range keys {
		if got := c.value(t, key); got != fmt.Sprint(requests) {
			t.Errorf("key %d is %s", key, got)
		}
	}
}

func TestTheLibraryIsLoadedAgain(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{})
	c := mustDial(t, Config{URL: s.URL()})
	s.Nodes[0].Must("FUNCTION", "FLUSH")
	if err := c.bump(store.DurabilityDefault, 1, 1); err != nil {
		t.Error(err)
	}
}

func TestClosedAnswersClosed(t *testing.T) {
	c := mustDial(t, Config{URL: redistest.Standalone(t, redistest.Options{}).URL()})
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	_, err := c.call(t.Context(), store.DurabilityDefault, "sdtest_value", counterKeys(0), nil)
	for what, err := range map[string]error{
		"call": err, "send": c.bump(store.DurabilityDefault, 0, 1), "ready": c.ready(t.Context()), "close": c.close(),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
