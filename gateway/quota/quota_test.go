package quota

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

var (
	ann  = auth.Principal{Kind: auth.Client, Subject: "1"}
	bob  = auth.Principal{Kind: auth.Client, Subject: "2"}
	home = netip.MustParseAddr("192.0.2.1")
	work = netip.MustParseAddr("192.0.2.2")
)

// [LIMIT-2]
func TestSessionsOfAPrincipalAndOfAnAddress(t *testing.T) {
	q := New(wire.Limits{MaxSessionsPerPrincipal: 2, MaxSessionsPerAddress: 3}, new(stats.Stats))
	enter := func(p auth.Principal, from netip.Addr) *Client {
		c, e := q.Session(p, from)
		if e != nil {
			if !errors.Is(e, wire.SessionTooMany) || !e.Retryable {
				t.Errorf("%v", e)
			}
			return nil
		}
		return c
	}
	first := enter(ann, home)
	if first == nil || enter(ann, work) == nil || enter(ann, work) != nil {
		t.Error("ann may have two")
	}
	for i, from := range []netip.Addr{home, home, work} {
		if (enter(bob, from) != nil) != (i < 2) {
			t.Error("bob may have two")
		}
	}
	if enter(auth.Principal{Kind: auth.Admin}, home) != nil {
		t.Error("an address may have three")
	}
	first.Leave()
	first.Drop()
	if enter(auth.Principal{Kind: auth.Admin}, home) == nil {
		t.Error("one has left")
	}
}

// [LIMIT-2]
func TestCallsOfAPrincipalAndOfAnAddress(t *testing.T) {
	counters := new(stats.Stats)
	q := New(wire.Limits{MaxCallsPerPrincipal: 2, MaxCallsPerAddress: 3}, counters)
	atHome, atWork, other := q.Of(ann, home), q.Of(ann, work), q.Of(bob, home)
	want := func(c *Client, ok bool) {
		t.Helper()
		if e := c.Call(); (e == nil) != ok || e != nil && !errors.Is(e, wire.RequestTooMany) {
			t.Errorf("call: %v", e)
		}
	}
	want(atHome, true)
	want(atWork, true)
	want(atHome, false) // of ann
	want(other, true)
	want(other, true)
	want(other, false) // of bob
	want(q.Of(auth.Principal{}, home), false)
	atHome.Done()
	want(q.Of(auth.Principal{}, home), true)
	want(atWork, true)
	reached := map[string]uint64{}
	counters.EachLimit(func(name string, c *stats.Counter) { reached[name] = c.Value() })
	if reached[stats.MaxCallsPerPrincipal] != 2 || reached[stats.MaxCallsPerAddress] != 1 {
		t.Errorf("counted %v", reached)
	}
}

func TestSharesThatNobodyHoldsAreForgotten(t *testing.T) {
	q := New(wire.Limits{}, new(stats.Stats))
	s, _ := q.Session(ann, home)
	h := q.Of(ann, home)
	_ = s.Call()
	s.Leave()
	h.Drop()
	if len(q.principals) != 1 || len(q.addresses) != 1 {
		t.Error("a call is under way")
	}
	s.Done()
	s.Drop()
	if len(q.principals) != 0 || len(q.addresses) != 0 {
		t.Errorf("%d and %d are left", len(q.principals), len(q.addresses))
	}
}

func TestWhatCountsAsOneAddress(t *testing.T) {
	for a, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := subscriber(netip.MustParseAddr(a)).String(); got != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
	if subscriber(netip.Addr{}).IsValid() {
		t.Error("no address is one")
	}
}

func BenchmarkCall(b *testing.B) {
	q := New(wire.DefaultLimits(), new(stats.Stats))
	b.RunParallel(func(pb *testing.PB) {
		c := q.Of(ann, home)
		for pb.Next() {
			if e := c.Call(); e != nil {
				b.Fatal(e)
			}
			c.Done()
		}
	})
}
