package storetest

import (
	"fmt"
	"strings"
	"sync"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

var kvTests = map[string]func(*harness){
	"keys are read by name, in the order asked":      testReadKeys,
	"keys are ordered by their bytes":                testKeyOrder,
	"ranges page forwards and backwards":             testRangePages,
	"an answer has no more bytes than asked for":     testMaxBytes,
	"operations apply in order":                      testKVInOrder,
	"a batch is seen whole or not at all":            testKVAtomic,
	"one actor's keys are not another's":             testKVSeparate,
	"values may be empty, and keys may be any bytes": testKVBytes,
}

func testReadKeys(h *harness) {
	o := h.actor("a")
	o.must(store.Commit{KV: []store.KVOp{put("a", "1"), put("b", ""), put("c", "3")}})
	h.equal("entries", o.read("c", "nope", "b", "c", ""), []store.KV{
		{Key: []byte("c"), Value: []byte("3"), Found: true},
		{Key: []byte("nope")},
		{Key: []byte("b"), Value: []byte{}, Found: true},
		{Key: []byte("c"), Value: []byte("3"), Found: true},
		{},
	})
	h.equal("of none", len(o.read()), 0)
}

func testKeyOrder(h *harness) {
	o := h.actor("a")
	keys := []string{"\x00", "\x00\x00", "\x00\xff", "\x01", "A", "B", "a", "aa", "a\xff", "b", "\u00e9", "\xff", "\xff\xff"}
	var ops []store.KVOp
	var want []string
	for i := range keys {
		ops = append(ops, put(keys[len(keys)-1-i], "v"))
		want = append(want, keys[i]+"=v")
	}
	o.must(store.Commit{KV: ops})
	h.equal("all", o.all(), want)
}

func (o *owner) page(from, until string, reverse bool, limit, maxBytes int) (entries []string, more bool) {
	o.h.Helper()
	q := o.readOf()
	q.Range = &store.Range{From: []byte(from), Until: []byte(until)}
	q.Reverse, q.Limit, q.MaxBytes = reverse, limit, maxBytes
	result, err := o.h.s.Read(o.h.ctx, q)
	o.h.noError(err)
	return words(result.Entries), result.More
}

func testRangePages(h *harness) {
	o := h.actor("a")
	var ops []store.KVOp
	for _, key := range strings.Fields("a b1 b2 b3 b4 c") {
		ops = append(ops, put(key, "v"))
	}
	o.must(store.Commit{KV: ops})
	for _, q := range []struct {
		from, until string
		reverse     bool
		limit       int
		want        string
		more        bool
	}{
		{"", "", false, 100, "a b1 b2 b3 b4 c", false},
		{"", "", true, 100, "c b4 b3 b2 b1 a", false},
		{"", "", false, 6, "a b1 b2 b3 b4 c", false},
		{"", "", false, 5, "a b1 b2 b3 b4", true},
		{"b", "c", false, 100, "b1 b2 b3 b4", false},
		{"b", "c", false, 2, "b1 b2", true},
		{"b", "c", true, 2, "b4 b3", true},
		{"b2\x00", "c", false, 2, "b3 b4", false},
		{"b1", "b3", true, 4, "b2 b1", false},
		{"b4", "", false, 100, "b4 c", false},
		{"", "b1", false, 100, "a", false},
		{"x", "", false, 100, "", false},
		{"c", "b", false, 100, "", false},
		{"b", "b", true, 100, "", false},
	} {
		got, more := o.page(q.from, q.until, q.reverse, q.limit, 1<<20)
		name := fmt.Sprintf("[%q, %q) reverse %v limit %d", q.from, q.until, q.reverse, q.limit)
		h.equal(name, strings.ReplaceAll(strings.Join(got, " "), "=v", ""), q.want)
		h.equal(name+" more", more, q.more)
	}
	q := o.readOf()
	q.Range = &store.Range{}
	_, err := h.s.Read(h.ctx, q)
	h.is(err, store.ErrInvalid)
}

func testMaxBytes(h *harness) {
	o := h.actor("a")
	o.must(store.Commit{KV: []store.KVOp{put("a", "123456789"), put("b", "123456789"), put("c", "123456789")}})
	for maxBytes, want := range map[int]int{0: 1, 1: 1, 10: 1, 19: 1, 20: 2, 29: 2, 30: 3, 1000: 3} {
		for _, reverse := range []bool{false, true} {
			got, more := o.page("", "", reverse, 100, maxBytes)
			h.equal(fmt.Sprintf("entries in %d bytes", maxBytes), len(got), want)
			h.equal("more", more, want < 3)
		}
	}
	q := o.readOf()
	q.Keys, q.MaxBytes = [][]byte{[]byte("a"), []byte("x"), []byte("c")}, 21
	_, err := h.s.Read(h.ctx, q)
	h.noError(err)
	q.MaxBytes = 20
	_, err = h.s.Read(h.ctx, q)
	h.is(err, store.ErrTooLarge)
}

func testKVInOrder(h *harness) {
	o := h.actor("a")
	o.must(store.Commit{KV: []store.KVOp{put("a", "1"), put("b", "1"), put("c", "1"), put("d", "1")}})
	for _, step := range []struct {
		ops  []store.KVOp
		want string
	}{
		{[]store.KVOp{put("a", "2"), del("a"), put("a", "3")}, "a=3 b=1 c=1 d=1"},
		{[]store.KVOp{put("bb", "x"), delRange("b", "c"), put("b", "4")}, "a=3 b=4 c=1 d=1"},
		{[]store.KVOp{delRange("c", ""), delRange("a", "a"), delRange("z", "a"), del("nope")}, "a=3 b=4"},
		{[]store.KVOp{delRange("", "b"), put("a", "5"), delRange("", "b")}, "b=4"},
		{[]store.KVOp{delRange("", ""), put("x", "1"), put("y", "2"), del("x")}, "y=2"},
		{[]store.KVOp{put("z", "1"), delRange("", "")}, ""},
		{[]store.KVOp{put("z", "1")}, "z=1"},
		{[]store.KVOp{del("z"), delRange("", "")}, ""},
	} {
		o.must(store.Commit{KV: step.ops})
		h.equal("after "+step.want, strings.Join(o.all(), " "), step.want)
	}
}

func testKVAtomic(h *harness) {
	o := h.actor("a")
	batch := func(value string) store.Commit {
		return store.Commit{Durability: store.Fast, KV: []store.KVOp{
			delRange("", ""), put("a", value), put("b", value), put("c", value),
		}}
	}
	o.must(batch("0"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				q := o.readOf()
				q.Range, q.Limit, q.MaxBytes = &store.Range{}, 10, 1<<10
				result, err := h.s.Read(h.ctx, q)
				if err != nil {
					h.Error(err)
					return
				}
				got := words(result.Entries)
				if len(got) != 3 || got[0][2:] != got[1][2:] || got[1][2:] != got[2][2:] {
					h.Errorf("half a batch: %q", got)
					return
				}
			}
		})
	}
	for i := range 200 {
		o.must(batch(fmt.Sprint(i)))
	}
	close(stop)
	wg.Wait()
}

func testKVSeparate(h *harness) {
	a, b := h.actor("a"), h.actor("b")
	a.must(store.Commit{KV: []store.KVOp{put("k", "a")}})
	b.must(store.Commit{KV: []store.KVOp{put("k", "b"), put("l", "b")}})
	a.must(store.Commit{KV: []store.KVOp{delRange("", "")}})
	h.equal("a", a.all(), []string(nil))
	h.equal("b", b.all(), []string{"k=b", "l=b"})
}

func testKVBytes(h *harness) {
	o := h.actor("a")
	long := strings.Repeat("k", 2<<10)
	o.must(store.Commit{KV: []store.KVOp{put("\x00", ""), put(long, strings.Repeat("v", 1<<20))}})
	got := o.read("\x00", long)
	h.equal("found", []bool{got[0].Found, got[1].Found}, []bool{true, true})
	h.equal("lengths", []int{len(got[0].Value), len(got[1].Value)}, []int{0, 1 << 20})
}
