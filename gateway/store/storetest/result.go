package storetest

import (
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// What the limits do to results is in limit.go.
var resultTests = map[string]func(*harness){
	"a result is kept with its commit":       testResultKept,  // [ONCE-1]
	"an open call is in doubt until it ends": testCallInDoubt, // [ONCE-1]
	"keys are any bytes, of one actor":       testResultKeys,
}

func testResultKept(h *harness) {
	o := h.actor("a")
	h.equal("before", o.result("k"), store.KeyedResult{})
	o.must(store.Commit{Finished: []store.Finished{{Key: []byte("k"), Result: []byte("r")}, {Key: []byte("empty")}}})
	want := store.KeyedResult{State: store.ResultFinished, Result: []byte("r")}
	h.equal("after", o.result("k"), want)
	h.equal("empty", o.result("empty"), store.KeyedResult{State: store.ResultFinished})
	o.must(store.Commit{Open: []store.Open{{Key: []byte("k")}}})
	h.equal("a finished call is not in doubt", o.result("k"), want)
	h.reacquire(o)
	h.equal("the next owner knows it", o.result("k"), want)
	o.must(store.Commit{Finished: []store.Finished{{Key: []byte("k"), Result: []byte("other")}}})
	h.equal("the last one counts", string(o.result("k").Result), "other")
}

func testCallInDoubt(h *harness) {
	o := h.actor("a")
	o.must(store.Commit{Open: []store.Open{{Key: []byte("k")}}})
	o.must(store.Commit{Open: []store.Open{{Key: []byte("k")}}})
	h.equal("open", o.result("k"), store.KeyedResult{State: store.ResultInDoubt})
	h.reacquire(o)
	h.equal("still open", o.result("k"), store.KeyedResult{State: store.ResultInDoubt})
	o.must(store.Commit{
		Finished: []store.Finished{{Key: []byte("k"), Result: []byte("r")}},
		Open:     []store.Open{{Key: []byte("k")}},
	})
	h.equal("finished", o.result("k"), store.KeyedResult{State: store.ResultFinished, Result: []byte("r")})
}

func testResultKeys(h *harness) {
	a, b := h.actor("a"), h.actor("b")
	a.must(finished("k", "k\x00", "\x00", "\xff\xff", "kk"))
	for _, key := range []string{"k", "k\x00", "\x00", "\xff\xff", "kk"} {
		h.equal(key, string(a.result(key).Result), "of "+key)
		h.equal("of another actor", b.result(key), store.KeyedResult{})
	}
	h.equal("unknown", a.result("kkk"), store.KeyedResult{})
	h.equal("no key", a.result(""), store.KeyedResult{})
}
