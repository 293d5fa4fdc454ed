package stats_test

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

var word = regexp.MustCompile(`KV|[A-Z][a-z]+`)

// [LIMIT-1]: every limit of the table is counted, and by its own name.
func TestEveryLimitIsCountedByItsName(t *testing.T) {
	want := map[string]uint64{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[wire.Limits]()) {
		want[strings.ToLower(strings.Join(word.FindAllString(f.Name, -1), "_"))] = 0
	}
	var s stats.Stats
	for i, name := range slices.Sorted(maps.Keys(want)) {
		for range i + 1 {
			s.Limit(name)
		}
		want[name] = uint64(i + 1)
	}
	s.Limit("no_such_limit")
	got := map[string]uint64{}
	s.EachLimit(func(name string, reached *stats.Counter) { got[name] = reached.Value() })
	if !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
