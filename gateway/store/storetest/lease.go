package storetest

import (
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

var leaseTests = map[string]func(*harness){
	"a lease is granted, renewed and runs out": testLease,
	"one session at a time":                    testLeaseHeld, // [LEASE-5]
	"live leases are listed by kind and id":    testLive,
	"malformed leases are refused":             testLeaseInvalid,
}

func lease(id, session string) store.Lease {
	return store.Lease{ID: id, Kind: store.RunnerLease, Session: session, Detail: []byte("of " + session)}
}

func testLease(h *harness) {
	_, err := h.s.Lease(h.ctx, "r")
	h.is(err, store.ErrNotFound)
	until, err := h.s.Grant(h.ctx, lease("r", "s1"), time.Minute)
	h.noError(err)
	h.equal("until", until, h.clock.Now().Add(time.Minute))
	h.clock.Advance(30 * time.Second)
	renewed := lease("r", "s1")
	renewed.Detail = []byte("busy")
	until, err = h.s.Grant(h.ctx, renewed, time.Minute)
	h.noError(err)
	got, err := h.s.Lease(h.ctx, "r")
	h.noError(err)
	renewed.Until = until
	h.equal("lease", got, renewed)
	h.clock.Advance(time.Minute)
	live, err := h.s.Live(h.ctx, store.RunnerLease)
	h.noError(err)
	h.equal("live", len(live), 0)
	got, err = h.s.Lease(h.ctx, "r")
	h.noError(err)
	h.equal("run out", got, renewed)
}

func testLeaseHeld(h *harness) {
	_, err := h.s.Grant(h.ctx, lease("r", "s1"), time.Minute)
	h.noError(err)
	_, err = h.s.Grant(h.ctx, lease("r", "s2"), time.Minute)
	h.is(err, store.ErrHeld)
	h.is(h.s.Revoke(h.ctx, "r", "s2"), store.ErrHeld)
	h.is(h.s.Revoke(h.ctx, "none", "s2"), store.ErrNotFound)
	h.clock.Advance(time.Minute - time.Microsecond)
	_, err = h.s.Grant(h.ctx, lease("r", "s2"), time.Minute)
	h.is(err, store.ErrHeld)
	h.clock.Advance(time.Microsecond)
	_, err = h.s.Grant(h.ctx, lease("r", "s2"), time.Minute)
	h.noError(err)
	_, err = h.s.Grant(h.ctx, lease("r", "s1"), time.Minute)
	h.is(err, store.ErrHeld)
	h.is(h.s.Revoke(h.ctx, "r", "s1"), store.ErrHeld)
	h.noError(h.s.Revoke(h.ctx, "r", "s2"))
	h.is(h.s.Revoke(h.ctx, "r", "s2"), store.ErrNotFound)
	_, err = h.s.Grant(h.ctx, lease("r", "s1"), time.Minute)
	h.noError(err)
}

func testLive(h *harness) {
	gateway := lease("g", "s")
	gateway.Kind = store.GatewayLease
	for _, l := range []store.Lease{lease("r2", "s"), lease("r10", "s"), gateway, lease("r1", "s")} {
		_, err := h.s.Grant(h.ctx, l, time.Minute)
		h.noError(err)
	}
	_, err := h.s.Grant(h.ctx, lease("short", "s"), time.Second)
	h.noError(err)
	h.clock.Advance(time.Second)
	for kind, want := range map[store.LeaseKind]string{store.RunnerLease: "r1 r10 r2 ", store.GatewayLease: "g "} {
		live, err := h.s.Live(h.ctx, kind)
		h.noError(err)
		ids := ""
		for _, l := range live {
			ids += l.ID + " "
			h.equal("detail", string(l.Detail), "of s")
		}
		h.equal("live", ids, want)
	}
}

func testLeaseInvalid(h *harness) {
	for _, l := range []store.Lease{
		{Kind: store.RunnerLease, Session: "s"},
		{ID: "r", Kind: store.RunnerLease},
		{ID: "r", Session: "s"},
		{ID: "r", Session: "s", Kind: store.RunnerLease + 1},
	} {
		_, err := h.s.Grant(h.ctx, l, time.Minute)
		h.is(err, store.ErrInvalid)
	}
	_, err := h.s.Grant(h.ctx, lease("r", "s"), 0)
	h.is(err, store.ErrInvalid)
}
