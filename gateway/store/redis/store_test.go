package redis

import (
	"context"
	flags "flag"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
	"github.com/stagedoor-dev/stagedoor/gateway/store/storetest"
)

// walks is how many walks against the model each suite makes: every one of them opens a store, and waits for the disk.
const walks = "30"

// rueidis puts off asking a Cluster for its slots by up to a second, and does not wait for that when it is closed.
func TestMain(m *testing.M) {
	if os.Getenv("STAGEDOOR_SOAK") == "" {
		_ = flags.Set("rapid.checks", walks) // rapid has it
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

// plainClient dials servers and loads the library on every master.
func plainClient(t testing.TB, servers *redistest.Servers) rueidis.Client {
	t.Helper()
	var addresses []string
	for _, n := range servers.Masters() {
		addresses = append(addresses, n.Addr)
		n.Must("FUNCTION", "LOAD", "REPLACE", librarySource)
	}
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: addresses, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// prefixes makes each store of a test process an empty one.
var prefixes atomic.Int64

func freshPrefix() string { return fmt.Sprintf("test%d:", prefixes.Add(1)) }

// durable servers give every class that the suite draws.
var durable = redistest.Options{AppendOnly: true, Fsync: "always"}

func suite(t *testing.T, servers *redistest.Servers) {
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock, limits store.Limits) store.Store {
		cfg := Config{URL: servers.URL(), Prefix: freshPrefix(), Limits: limits}.withDefaults()
		c, err := connect(context.Background(), cfg, library{libraryName, librarySource, refusals})
		if err != nil {
			t.Fatal(err)
		}
		return open(c, cfg.Prefix, limits, clock.Now)
	})
}

// TestSuite: the Redis store means what the model means [STORE-1].
func TestSuite(t *testing.T) { suite(t, redistest.Standalone(t, durable)) }

// TestLibraryIsWhole: every file of the folder is a part of the library.
func TestLibraryIsWhole(t *testing.T) {
	files, err := libraryFiles.ReadDir("library")
	if err != nil || len(files) != len(libraryParts) {
		t.Errorf("%d files, %d parts (%v)", len(files), len(libraryParts), err)
	}
	for _, file := range files {
		text, err := libraryFiles.ReadFile("library/" + file.Name())
		if err != nil || !strings.Contains(librarySource, string(text)) {
			t.Errorf("%s is not in the library (%v)", file.Name(), err)
		}
	}
}
