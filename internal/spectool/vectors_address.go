package main

import (
	"encoding/base32"
	"encoding/binary"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
)

type addressVector struct {
	Name        string   `json:"name"`
	Rules       rules    `json:"rules"`
	Segment     string   `json:"segment"`
	Write       *bool    `json:"write,omitempty"`
	Namespace   string   `json:"namespace"`
	Type        string   `json:"type"`
	Key         []string `json:"key"`
	KeyEncoding hexBytes `json:"keyEncoding"`
	Partition   uint64   `json:"partition"`
}

type invalidAddress struct {
	Name      string   `json:"name"`
	Rules     rules    `json:"rules"`
	Segment   *string  `json:"segment,omitempty"`
	Namespace *string  `json:"namespace,omitempty"`
	Type      *string  `json:"type,omitempty"`
	Key       []string `json:"key,omitempty"`
}

type idVector struct {
	Name      string   `json:"name"`
	Rules     rules    `json:"rules"`
	ID        string   `json:"id"`
	Region    string   `json:"region"`
	Bytes     hexBytes `json:"bytes"`
	Partition uint16   `json:"partition"`
	CreatedMs uint64   `json:"createdMs"`
}

type invalidID struct {
	Name  string `json:"name"`
	Rules rules  `json:"rules"`
	ID    string `json:"id"`
}

func addressVectors() (any, error) {
	ids := []idVector{
		newID("of the first partition", "local", 0, 1700000000000, 0x0123456789abcdef),
		newID("of the last partition", "eu-west-1", address.Partitions-1, 1<<48-1, 1<<64-1),
		newID("of zeros", "a", 0, 0, 0),
	}
	return map[string]any{
		"addresses":        validAddresses(),
		"invalidAddresses": invalidAddresses(),
		"ids":              ids,
		"invalidIds":       invalidIDs(ids[0].ID),
	}, nil
}

func validAddresses() []addressVector {
	vectors := []addressVector{
		{Name: "empty key", Segment: "counter", Type: "counter", Key: []string{}},
		{Name: "one empty part", Segment: "counter:", Type: "counter", Key: []string{""}},
		{Name: "two parts", Segment: "room:a:b", Type: "room", Key: []string{"a", "b"}},
		{Name: "comma in a part", Segment: "room:a%2Cb", Type: "room", Key: []string{"a,b"}},
		{Name: "slash in a part", Segment: "room:a%2Fb", Type: "room", Key: []string{"a/b"}},
		{Name: "colon in a part", Segment: "room:a%3Ab", Type: "room", Key: []string{"a:b"}},
		{Name: "part of dots", Segment: "room:%2E%2E:a.b", Type: "room", Key: []string{"..", "a.b"}},
		{Name: "what stays as it is", Segment: "room:Az09-_.~", Type: "room", Key: []string{"Az09-_.~"}},
		{Name: "text beyond ASCII", Segment: "room:%C3%A9%F0%9F%98%80", Type: "room", Key: []string{"é😀"}},
		{Name: "no normalisation", Segment: "room:e%CC%81", Type: "room", Key: []string{"e\u0301"}},
		{Name: "a percent sign", Segment: "room:100%25", Type: "room", Key: []string{"100%"}},
		{Name: "an @ in a part", Segment: "room:%40a", Type: "room", Key: []string{"@a"}},
		{Name: "another namespace", Segment: "room:a", Namespace: "team-1", Type: "room", Key: []string{"a"}},
		{Name: "split before decoding, small hex", Segment: "room:a%3ab:%63", Write: no, Type: "room", Key: []string{"a:b", "c"}},
		{Name: "sixteen parts", Segment: "t" + strings.Repeat(":", 16), Type: "t", Key: make([]string, 16)},
		{
			Name: "as long as may be", Segment: "t" + strings.Repeat(":"+strings.Repeat("k", 128), 8), Type: "t",
			Key: strings.Split(strings.Repeat(","+strings.Repeat("k", 128), 8)[1:], ","),
		},
	}
	for i := range vectors {
		v := &vectors[i]
		v.Rules = rules{"ADDR-2", "ADDR-3", "ADDR-5"}
		if v.Namespace == "" {
			v.Namespace = "default"
		}
		v.KeyEncoding = keyEncoding(v.Namespace, v.Type, v.Key)
		v.Partition = xxhash.Sum64(v.KeyEncoding) % address.Partitions
	}
	return vectors
}

// keyEncoding is [ADDR-5], word by word.
func keyEncoding(namespace, typ string, key []string) []byte {
	var b []byte
	add := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	add(namespace)
	add(typ)
	b = binary.AppendUvarint(b, uint64(len(key)))
	for _, part := range key {
		add(part)
	}
	return b
}

func invalidAddresses() []invalidAddress {
	segment := func(name, s string) invalidAddress {
		return invalidAddress{Name: name, Rules: rules{"ADDR-1", "ADDR-3"}, Segment: &s}
	}
	fields := func(name, namespace, typ string, key ...string) invalidAddress {
		return invalidAddress{Name: name, Rules: rules{"ADDR-1"}, Namespace: &namespace, Type: &typ, Key: key}
	}
	return []invalidAddress{
		segment("nothing", ""),
		segment("no type", ":a"),
		segment("type of dots", "..:a"),
		segment("type with an escape", "ro%6Fm:a"),
		segment("cut escape", "room:%4"),
		segment("no hex", "room:%zz"),
		segment("not UTF-8", "room:%FF"),
		segment("seventeen parts", "t"+strings.Repeat(":", 17)),
		segment("part too long", "t:"+strings.Repeat("k", 129)),
		segment("key too long", "t"+strings.Repeat(":"+strings.Repeat("k", 115), 9)),
		segment("type too long", strings.Repeat("t", 65)),
		fields("no namespace", "", "room"),
		fields("namespace of dots", ".", "room"),
		fields("space in the type", "default", "a room"),
	}
}

func newID(name, region string, partition uint16, ms, random uint64) idVector {
	raw := binary.BigEndian.AppendUint16(nil, partition)
	raw = append(raw, binary.BigEndian.AppendUint64(nil, ms)[2:]...)
	raw = binary.BigEndian.AppendUint64(raw, random)
	text := strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(raw))
	return idVector{
		Name: name, Rules: rules{"ADDR-4"}, ID: region + "-" + text, Region: region, Bytes: raw, Partition: partition, CreatedMs: ms,
	}
}

func invalidIDs(valid string) []invalidID {
	region, text, _ := strings.Cut(valid, "-")
	of := func(name, id string) invalidID { return invalidID{Name: name, Rules: rules{"ADDR-4"}, ID: id} }
	return []invalidID{
		of("nothing", ""),
		of("no region", "-"+text),
		of("no hyphen", region+text),
		of("a character short", region+"-"+text[1:]),
		of("capitals", region+"-"+strings.ToUpper(text)),
		of("outside of base32hex", region+"-"+text[:25]+"z"),
		of("a partition that is none", region+"-"+"0g"+text[2:]),
		of("a region in capitals", strings.ToUpper(region)+"-"+text),
	}
}
