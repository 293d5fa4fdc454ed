//go:build unix

package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stagedoor-dev/stagedoor/edge/bench/stores"
)

// Embedded is the store that a gateway has by itself. Any other one is a Redis, by its URL.
const Embedded = "embedded"

// prefixMark begins the keys of all stores that the bench makes in a Redis. It is no beginning of a usual store's keys, nor
// the other way round: a gateway refuses to make a store where keys begin as its own would.
const prefixMark = "stagedoor-bench-"

// isRedis tells whether a store is none of the gateway's own.
func isRedis(store string) bool { return store != "" && store != Embedded }

// kind is the name of a store in rows; its URL may hold a password.
func kind(store string) string {
	if isRedis(store) {
		return "redis"
	}
	return Embedded
}

// checkStores says what is wrong with Options.Stores.
func checkStores(all []string) error {
	seen := map[string]bool{}
	for _, store := range all {
		scheme, _, _ := strings.Cut(store, "://")
		switch {
		case store != Embedded && !slices.Contains([]string{"redis", "rediss"}, scheme):
			return errors.New("--store is embedded, redis://host:port or rediss://host:port")
		case seen[kind(store)]:
			return fmt.Errorf("--store names two stores of the kind %s; name each kind once", kind(store))
		}
		seen[kind(store)] = true
	}
	return nil
}

// inEachStore makes a row for each store, one after another.
func inEachStore(ctx context.Context, o Options, measure func(context.Context, Options) (Row, error)) ([]Row, error) {
	var rows []Row
	for _, store := range o.Stores {
		o.store = store
		row, err := measure(ctx, o)
		if err != nil {
			return nil, err
		}
		row.Store = kind(store)
		rows = append(rows, row)
	}
	return rows, nil
}

// ownStore is the URL of a store in the same Redis that is nobody else's.
func ownStore(url string) (own, prefix string) {
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	prefix = prefixMark + rand.Text() + ":"
	return url + separator + "prefix=" + prefix, prefix
}

// wipe removes what is left of the site in a Redis, when nobody writes to it any more.
func (s *site) wipe() error {
	if s.prefix == "" {
		return nil
	}
	if err := stores.Wipe(s.ctx, s.options.store); err != nil {
		return fmt.Errorf("keys that begin with %s may be left: %w", s.prefix, err)
	}
	return nil
}
