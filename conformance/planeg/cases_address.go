package planeg

import (
	"encoding/base32"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func addressCases() []*Case {
	return []*Case{
		{ID: "GADR-01", Title: "six segments of a URL are six keys: it is split first and decoded after", Requirements: needs("ADDR-2:7c6810 ADDR-3:6223c1"), run: segments},
		{ID: "GADR-02", Title: "an actor's id tells its partition and when it was made, and is an address", Requirements: needs("ADDR-4:bedf54 ADDR-5:95041e"), run: ids},
	}
}

func segments(p *play) {
	r := p.runner()
	for segment, key := range map[string][]string{
		"": nil, ":": {""}, ":a:b": {"a", "b"}, ":a%2Cb": {"a,b"}, ":a%2Fb": {"a/b"}, ":a%3Ab": {"a:b"}, ":%2e%2e": {".."},
	} {
		for namespace, query := range map[string]string{"default": "", "other": "?namespace=other"} {
			answers := p.asking("POST", p.action(segment)+query, "")
			start := r.begin()
			p.check(slices.Equal(start.Key, key) && start.Namespace == namespace, "key", "the segment %s%s%s starts %s", p.kind, segment, query, show(start))
			r.reply(want[*runnerv1alpha1.Call](r), "\x01")
			p.says(p.answered(answers), 200, "")
		}
	}
	answers := p.asking("POST", p.action(":a:b"), "", "Stagedoor-Namespace", "other")
	call := want[*runnerv1alpha1.Call](r) // to one that lives
	r.reply(call, "\x01")
	p.says(p.answered(answers), 200, "")
	p.says(p.ask("POST", p.action(":a%ff"), ""), 400, "request.invalid_address")
}

// idForm is the second part of an actor's id [ADDR-4].
var idForm = base32.HexEncoding.WithPadding(base32.NoPadding)

func ids(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	start := r.begin()
	r.reply(want[*runnerv1alpha1.Call](r), "\x01")
	c.answered(1, "\x01")
	at := strings.LastIndexByte(start.Id, '-')
	p.check(at > 0 && start.Id[:at] == start.Region, "region", "the id %s is of region %q", start.Id, start.Region)
	text := start.Id[at+1:]
	b, err := idForm.DecodeString(strings.ToUpper(text))
	p.check(err == nil && len(b) == 16 && text == strings.ToLower(text), "form", "the id is %s", start.Id)
	partition := uint64(binary.BigEndian.Uint16(b))
	p.check(partition == partitionOf("default", p.kind, "a"), "partition", "the id %s says partition %d, the key's is %d", start.Id, partition, partitionOf("default", p.kind, "a"))
	made := time.UnixMilli(int64(binary.BigEndian.Uint64(b) & (1<<48 - 1)))
	p.check(time.Since(made).Abs() < 24*time.Hour, "time", "the id %s says that the actor was made at %v", start.Id, made)
	answers := p.asking("POST", "/v1/actors/@"+start.Id+"/actions/x", "")
	call := want[*runnerv1alpha1.Call](r)
	p.check(call.Actor == start.Actor, "address", "a call by id goes to ref %d, not %d", call.Actor, start.Actor)
	r.reply(call, "\x02")
	p.says(p.answered(answers), 200, "")
}

// partitionOf is the partition of a key [ADDR-5].
func partitionOf(namespace, kind string, key ...string) uint64 {
	var b []byte
	add := func(part string) {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	add(namespace)
	add(kind)
	b = binary.AppendUvarint(b, uint64(len(key)))
	for _, part := range key {
		add(part)
	}
	return xxhash.Sum64(b) % 1024
}
