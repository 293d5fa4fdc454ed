package address_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
)

func TestValidate(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	parts := func(n, size int) []string { return slices.Repeat([]string{long(size)}, n) }
	for name, row := range map[string]struct {
		a  address.Address
		ok bool
	}{
		"no key":             {address.Address{Namespace: "default", Type: "counter"}, true},
		"an empty part":      {address.Address{Namespace: "default", Type: "counter", Key: []string{""}}, true},
		"every name byte":    {address.Address{Namespace: "AZaz09_.-", Type: ".a"}, true},
		"longest names":      {address.Address{Namespace: long(64), Type: long(64)}, true},
		"longest part":       {address.Address{Namespace: "n", Type: "t", Key: []string{long(128)}}, true},
		"most parts":         {address.Address{Namespace: "n", Type: "t", Key: parts(16, 64)}, true},
		"any UTF-8 in a key": {address.Address{Namespace: "n", Type: "t", Key: []string{"\x00/:%é😀"}}, true},

		"zero":                  {address.Address{}, false},
		"no namespace":          {address.Address{Type: "t"}, false},
		"no type":               {address.Address{Namespace: "n"}, false},
		"namespace too long":    {address.Address{Namespace: long(65), Type: "t"}, false},
		"type too long":         {address.Address{Namespace: "n", Type: long(65)}, false},
		"type of dots":          {address.Address{Namespace: "n", Type: ".."}, false},
		"namespace of dots":     {address.Address{Namespace: "...", Type: "t"}, false},
		"colon in a type":       {address.Address{Namespace: "n", Type: "a:b"}, false},
		"space in a type":       {address.Address{Namespace: "n", Type: "a b"}, false},
		"non-ASCII type":        {address.Address{Namespace: "n", Type: "é"}, false},
		"slash in a namespace":  {address.Address{Namespace: "a/b", Type: "t"}, false},
		"too many parts":        {address.Address{Namespace: "n", Type: "t", Key: parts(17, 1)}, false},
		"part too long":         {address.Address{Namespace: "n", Type: "t", Key: []string{long(129)}}, false},
		"key too long":          {address.Address{Namespace: "n", Type: "t", Key: parts(9, 114)}, false},
		"key that is not UTF-8": {address.Address{Namespace: "n", Type: "t", Key: []string{"\xff"}}, false},
	} {
		err := row.a.Validate()
		if (err == nil) != row.ok || err != nil && !errors.Is(err, address.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSegment(t *testing.T) {
	for segment, key := range map[string][]string{
		"counter":           {},
		"counter:":          {""},
		"counter::":         {"", ""},
		"counter:a:b":       {"a", "b"},
		"counter:a%2Cb":     {"a,b"},
		"counter:a%2Fb":     {"a/b"},
		"counter:a%3Ab":     {"a:b"},
		"counter:%2E":       {"."},
		"counter:%2E%2E":    {".."},
		"counter:a..b":      {"a..b"},
		"counter:AZaz09-_~": {"AZaz09-_~"},
		"counter:%20%25%2B": {" %+"},
		"counter:%C3%A9":    {"\u00e9"},
		"counter:e%CC%81":   {"e\u0301"},
		"counter:%00":       {"\x00"},
		"counter:%40x":      {"@x"},
	} {
		a := address.Address{Namespace: "default", Type: "counter", Key: key}
		if got := a.Segment(); got != segment {
			t.Errorf("%q is written %q, want %q", key, got, segment)
		}
		got, id, err := address.ParseSegment(segment, "default")
		if err != nil || id != "" || !same(got, a) {
			t.Errorf("%q is read as %v, %q, %v", segment, got, id, err)
		}
	}
	if got := (address.Address{Namespace: "n", Type: "t", Key: []string{"a/b"}}).String(); got != "n/t:a%2Fb" {
		t.Errorf("string %q", got)
	}
}

func same(a, b address.Address) bool {
	return a.Namespace == b.Namespace && a.Type == b.Type && slices.Equal(a.Key, b.Key)
}

func TestParseSegmentIsLenientInWhatItDecodes(t *testing.T) {
	// Lower-case hex, needless escapes and bare bytes name the same key; a plus is a plus.
	for _, segment := range []string{"t:a+b%c3%a9", "t:%61+b\u00e9", "t:a%2Bb%C3%A9"} {
		a, _, err := address.ParseSegment(segment, "default")
		if err != nil || !slices.Equal(a.Key, []string{"a+b\u00e9"}) {
			t.Errorf("%q is read as %q (%v)", segment, a.Key, err)
		}
	}
}

func TestParseSegmentRefuses(t *testing.T) {
	for _, segment := range []string{
		"", ":", "..", "t%2Fx", "t:%", "t:%2", "t:%zz", "t:%FF", "@", "@x", "@local-", "t" + strings.Repeat(":", 17),
	} {
		if a, id, err := address.ParseSegment(segment, "default"); !errors.Is(err, address.ErrInvalid) {
			t.Errorf("%q is read as %v, %q (%v)", segment, a, id, err)
		}
	}
	if _, _, err := address.ParseSegment("t", "not a name"); !errors.Is(err, address.ErrInvalid) {
		t.Errorf("namespace: %v", err)
	}
}

func TestParseSegmentReadsIDs(t *testing.T) {
	id := address.NewID("local", 1023, time.Now())
	if a, got, err := address.ParseSegment("@"+id, "default"); err != nil || got != id || a.Type != "" {
		t.Errorf("read as %v, %q (%v)", a, got, err)
	}
}

func FuzzParseSegment(f *testing.F) {
	for _, seed := range []string{"counter", "counter:", "room:a:b", "room:a%3Ab", "room:%2E%2E", "@local-0000", "r:%", "r:é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, segment string) {
		a, id, err := address.ParseSegment(segment, "default")
		if err != nil {
			if !errors.Is(err, address.ErrInvalid) {
				t.Errorf("%q: %v", segment, err)
			}
			return
		}
		if id != "" {
			if _, err := address.ParseID(id); err != nil || "@"+id != segment {
				t.Errorf("%q is read as id %q (%v)", segment, id, err)
			}
			return
		}
		written := a.Segment()
		again, _, err := address.ParseSegment(written, "default")
		if err != nil || !same(again, a) {
			t.Errorf("%q is written %q and read as %v (%v)", segment, written, again, err)
		}
		if strings.ContainsAny(written, "/?#+ ") || strings.Trim(written, ".") == "" {
			t.Errorf("%q is not safe in a URL", written)
		}
	})
}

func drawAddress(t *rapid.T, label string) address.Address {
	// A small alphabet, so that parts are often each other's prefixes and lengths look like letters.
	part := rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', 0, 1, 2, ':', ','}), 0, 3, -1)
	name := rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b'}), 1, 3, -1)
	return address.Address{
		Namespace: name.Draw(t, label+" namespace"), Type: name.Draw(t, label+" type"),
		Key: rapid.SliceOfN(part, 0, 4).Draw(t, label+" key"),
	}
}

// Different addresses have different encodings, and none is a prefix of another [ADDR-5].
func TestKeyEncodingIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawAddress(t, "a"), drawAddress(t, "b")
		x, y := a.AppendKey(nil), b.AppendKey([]byte("prefix "))[7:]
		if bytes.HasPrefix(x, y) != same(a, b) {
			t.Fatalf("%q and %q are encoded as %x and %x", a, b, x, y)
		}
		if !bytes.HasPrefix(x, address.AppendTypeKey(nil, a.Namespace, a.Type)) {
			t.Fatalf("%x does not begin with its type", x)
		}
		if same(a, b) && a.Partition() != b.Partition() || a.Partition() >= address.Partitions {
			t.Fatalf("partitions %d and %d", a.Partition(), b.Partition())
		}
	})
}

func TestKeyEncodingIsTheSpecs(t *testing.T) {
	a := address.Address{Namespace: "default", Type: "room", Key: []string{"a", ""}}
	if got, want := string(a.AppendKey(nil)), "\x07default\x04room\x02\x01a\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	long := address.Address{Namespace: "n", Type: "t", Key: []string{strings.Repeat("x", 128)}}
	if got, want := string(long.AppendKey(nil)), "\x01n\x01t\x01\x80\x01"+strings.Repeat("x", 128); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestIDs(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	seen := make(map[string]bool)
	last := ""
	for i := range 1000 {
		region := "eu-west-1"
		id := address.NewID(region, 777, now.Add(time.Duration(i)*time.Millisecond))
		partition, err := address.ParseID(id)
		if err != nil || partition != 777 {
			t.Fatalf("%q is in partition %d (%v)", id, partition, err)
		}
		if !strings.HasPrefix(id, region+"-") || len(id) != len(region)+27 {
			t.Fatalf("id %q", id)
		}
		if seen[id] || id <= last {
			t.Fatalf("%q after %q", id, last)
		}
		seen[id], last = true, id
	}
}

func TestParseIDRefuses(t *testing.T) {
	id := address.NewID("local", 5, time.Now())
	for _, bad := range []string{
		"", "-", id[1:5], id[6:], "-" + id[6:], "Local" + id[5:], "local--" + id[7:], id + "0", id[:len(id)-1],
		strings.ToUpper(id), strings.Replace(id, "-", "_", 1), "local-" + strings.Repeat("w", 26),
		"local-" + strings.Repeat("v", 26), strings.Repeat("r", address.MaxRegion+1) + id[5:],
	} {
		if p, err := address.ParseID(bad); !errors.Is(err, address.ErrInvalid) {
			t.Errorf("%q is in partition %d (%v)", bad, p, err)
		}
	}
}

// One id, one spelling: what parses is what was given out.
func FuzzParseID(f *testing.F) {
	f.Add(address.NewID("local", 5, time.Now()))
	f.Add("local-00000000000000000000000000")
	f.Add("local-00000000000000000000000001")
	f.Fuzz(func(t *testing.T, id string) {
		partition, err := address.ParseID(id)
		if err == nil && (partition >= address.Partitions || strings.ToLower(id) != id || strings.ContainsAny(id, "/:@ \x00")) {
			t.Errorf("%q is in partition %d", id, partition)
		}
	})
}

func TestRegions(t *testing.T) {
	for region, ok := range map[string]bool{
		"local": true, "eu-west-1": true, "a": true, "0": true, strings.Repeat("r", 32): true,
		"": false, "-a": false, "a-": false, "A": false, "a_b": false, "a.b": false, "é": false, strings.Repeat("r", 33): false,
	} {
		if err := address.ValidateRegion(region); (err == nil) != ok {
			t.Errorf("region %q: %v", region, err)
		}
	}
}

// [ADDR-5]: an encoding reads back as what it was made of, and what is no encoding is refused.
func TestDecodeKey(t *testing.T) {
	for _, a := range []address.Address{
		{Namespace: "default", Type: "room", Key: []string{"a", ""}},
		{Namespace: "n", Type: "t", Key: []string{}},
		{Namespace: "n", Type: "t", Key: []string{strings.Repeat("x", 128)}},
	} {
		encoded := a.AppendKey(nil)
		got, err := address.DecodeKey(encoded)
		if err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%v, %v; want %v", got, err, a)
		}
		for n := range encoded {
			if _, err := address.DecodeKey(encoded[:n]); err == nil {
				t.Errorf("%x is taken", encoded[:n])
			}
		}
		if _, err := address.DecodeKey(append(encoded, 0)); err == nil {
			t.Errorf("%x 00 is taken", encoded)
		}
	}
	if _, err := address.DecodeKey([]byte("\x01n\x01t\xff\xff\xff\xff\x0f")); err == nil {
		t.Error("more parts than a key may have are taken")
	}
}
