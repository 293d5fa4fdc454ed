package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// fill makes a store of the servers with a few actors, and closes it.
func fill(t *testing.T, url string) {
	t.Helper()
	s, err := Open(t.Context(), Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 20 {
		o := newOwner(t, s, address.Address{Namespace: "default", Type: "wiped", Key: []string{fmt.Sprint(i)}})
		o.must(store.Commit{State: make([]byte, 100), HasState: true})
	}
}

// sizes are how many keys the masters have.
func sizes(s *redistest.Servers) (n int64) {
	for _, master := range s.Masters() {
		n += master.Must("DBSIZE").(int64)
	}
	return n
}

func TestWipeRemovesOneStore(t *testing.T) {
	for name, servers := range map[string]*redistest.Servers{
		"standalone": redistest.Standalone(t, redistest.Options{}),
		"cluster":    redistest.Cluster(t, redistest.Options{}, 3, 0),
	} {
		t.Run(name, func(t *testing.T) {
			fill(t, servers.URL())
			before := sizes(servers)
			own := servers.URL() + "?prefix=own:"
			fill(t, own)
			if after := sizes(servers); after != 2*before {
				t.Errorf("%d keys, then %d", before, after)
			}
			if err := Wipe(t.Context(), own); err != nil {
				t.Fatal(err)
			}
			if after := sizes(servers); after != before {
				t.Errorf("%d keys are left of %d", after, before)
			}
		})
	}
}

func TestWipeWantsAPrefix(t *testing.T) {
	servers := redistest.Standalone(t, redistest.Options{})
	fill(t, servers.URL())
	before := sizes(servers)
	if err := Wipe(t.Context(), servers.URL()); err == nil || !strings.Contains(err.Error(), "names no prefix") {
		t.Errorf("got %v", err)
	}
	if after := sizes(servers); after != before {
		t.Errorf("%d keys are left of %d", after, before)
	}
}

func TestWipeSaysWhyItCannot(t *testing.T) {
	if err := Wipe(t.Context(), "redis://127.0.0.1:1?prefix=x"); err == nil || !strings.HasPrefix(err.Error(), "wipe redis://127.0.0.1:1: ") {
		t.Errorf("got %v", err)
	}
}
