package redis

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// refused opens the store and wants this error.
func refused(t *testing.T, cfg Config, want error) {
	t.Helper()
	c, err := dial(t, cfg)
	if err == nil {
		_ = c.close() // The test has failed.
	}
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func opens(t *testing.T, cfg Config) {
	t.Helper()
	if err := mustDial(t, cfg).close(); err != nil {
		t.Error(err)
	}
}

func TestForeignKeysAreRefused(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{})
	n := s.Nodes[0]
	cfg := Config{URL: s.URL(), Prefix: "s*[x]:"}
	n.Must("SET", "sab[x]:other", "1") // matches the prefix as a pattern only
	opens(t, cfg)
	n.Must("FLUSHALL")
	n.Must("FUNCTION", "FLUSH")
	n.Must("SET", "s*[x]:cache", "1")
	refused(t, cfg, ErrForeign)
	if keys := n.Must("DBSIZE"); keys != int64(1) {
		t.Errorf("a refused store has %v keys afterwards", keys)
	}
	if got := n.Must("FUNCTION", "LIST").([]any); len(got) != 0 {
		t.Errorf("a refused store has a library: %v", got)
	}
	n.Must("FLUSHALL")
	n.Must("SET", "s*[x]:{cluster}:m", "1")
	refused(t, cfg, ErrForeign)
}

// Gateways that are started together make one store, whoever comes first to write into it.
func TestGatewaysMakeOneStoreTogether(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{})
	const gateways = 8
	ids := make([]string, gateways)
	var wg sync.WaitGroup
	for i := range gateways {
		wg.Go(func() {
			c, err := connect(t.Context(), Config{URL: s.URL()}.withDefaults(), counting)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.close()
			if err := c.bump(store.DurabilityDefault, i, 1); err != nil {
				t.Error(err)
			}
			client := c.surveyor.topology.Load().masters[0].client
			if ids[i], err = client.Do(t.Context(), client.B().Get().Key("stagedoor:{p0}:m").Build()).ToString(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if slices.Sort(ids); ids[0] == "" || ids[0] != ids[gateways-1] {
		t.Errorf("ids %q", ids)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{})
	opens(t, Config{URL: s.URL()})
	s.Nodes[0].Must("HSET", "stagedoor:{cluster}:m", "format", "2")
	refused(t, Config{URL: s.URL()}, ErrNewer)
}

func TestEmptiedStoreIsRefusedUntilTheLossIsAccepted(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{})
	cfg := Config{URL: s.URL(), DataDir: t.TempDir()}
	opens(t, cfg)
	opens(t, cfg)
	s.Nodes[0].Must("FLUSHALL")
	refused(t, cfg, ErrEmptied)
	accepting := cfg
	accepting.AcceptDataLoss = true
	opens(t, accepting)
	opens(t, cfg)
	opens(t, Config{URL: s.URL(), DataDir: t.TempDir()})
}

func TestExchangedStoreIsRefused(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{})
	cfg := Config{URL: s.URL(), DataDir: t.TempDir()}
	opens(t, cfg)
	s.Nodes[0].Must("FLUSHALL")
	opens(t, Config{URL: s.URL()})
	refused(t, cfg, ErrExchanged)
	accepting := cfg
	accepting.AcceptDataLoss = true
	opens(t, accepting)
	opens(t, cfg)
}

// One master of a Cluster comes back empty: the others still say what the store is.
func TestPartlyEmptiedStoreIsRefused(t *testing.T) {
	s := redistest.Cluster(t, redistest.Options{}, 3, 0)
	cfg := Config{URL: s.URL(), DataDir: t.TempDir()}
	opens(t, cfg)
	named := s.MasterOf("stagedoor:{cluster}:m")
	for _, n := range s.Masters() {
		if n != named {
			n.Must("FLUSHALL")
			break
		}
	}
	refused(t, cfg, ErrEmptied)
	cfg.AcceptDataLoss = true
	opens(t, cfg)
	named.Must("FLUSHALL")
	cfg.AcceptDataLoss = false
	refused(t, cfg, ErrEmptied)
	cfg.AcceptDataLoss = true
	opens(t, cfg)
}

// A server that loses its data while the store is open is given nothing more.
func TestStoreEmptiedWhileOpen(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{})
	c := mustDial(t, Config{URL: s.URL()})
	s.Nodes[0].Kill()
	s.Nodes[0].Restart() // without a log: empty
	s.Await("the loss to be noticed", func() error {
		if err := c.ready(t.Context()); !errors.Is(err, ErrEmptied) {
			return errors.Join(errors.New("not yet"), err)
		}
		return nil
	})
	if err := c.bump(store.DurabilityDefault, 1, 1); !errors.Is(err, ErrEmptied) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if keys := s.Nodes[0].Must("DBSIZE"); keys != int64(0) {
		t.Errorf("the emptied server was given %v keys", keys)
	}
}

func TestReplicaIsRefused(t *testing.T) {
	s := redistest.Replicated(t, redistest.Options{}, 1)
	refused(t, Config{URL: "redis://" + s.Nodes[1].Addr}, ErrReplica)
	// Among several the master is found.
	opens(t, Config{URL: "redis://" + s.Nodes[1].Addr + "," + s.Nodes[0].Addr})
}

func TestEvictingServerIsRefused(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{Config: []string{"maxmemory 100mb", "maxmemory-policy allkeys-lru"}})
	refused(t, Config{URL: s.URL()}, ErrEvicting)
	s.Nodes[0].Must("CONFIG", "SET", "maxmemory-policy", "noeviction")
	opens(t, Config{URL: s.URL()})
}

// There is no older server here to start; it is told from what it says of itself.
func TestOldServerIsRefused(t *testing.T) {
	for said, old := range map[string]bool{"6.2.14": true, "": true, "7.0.0": false, "7.2.4": false, "10.0": false} {
		f := facts{info: map[string]string{"role": "master", "maxmemory": "0", "redis_version": said}, version: parseVersion(said)}
		if err := f.acceptable(); errors.Is(err, ErrVersion) != old {
			t.Errorf("version %q: %v", said, err)
		}
	}
}

func TestWrongClusterSettingIsRefused(t *testing.T) {
	alone := redistest.Standalone(t, redistest.Options{}).URL()
	cluster := redistest.Cluster(t, redistest.Options{}, 1, 0).URL()
	for url, why := range map[string]string{
		alone + "?cluster=true":                 "does not belong to a Cluster",
		cluster + "?cluster=false":              "belongs to a Cluster",
		strings.TrimSuffix(cluster, "/") + "/2": "database 0 only",
	} {
		if _, err := dial(t, Config{URL: url}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
