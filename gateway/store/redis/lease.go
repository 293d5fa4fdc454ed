package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Grant makes or renews a lease. A lease that ran out is forgotten a week later.
func (s *Store) Grant(ctx context.Context, l store.Lease, ttl time.Duration) (until time.Time, err error) {
	if l.ID == "" || l.Session == "" || l.Kind < store.GatewayLease || l.Kind > store.RunnerLease || ttl <= 0 {
		return until, fmt.Errorf("lease %q for %v: %w", l.ID, ttl, store.ErrInvalid)
	}
	m, err := s.change(ctx, store.DurabilityDefault, fnGrant, s.keys.cluster,
		l.ID, strconv.Itoa(int(l.Kind)), l.Session, string(l.Detail), strconv.FormatInt(ttl.Microseconds(), 10))
	if err != nil {
		return until, err
	}
	us, err := m.AsUint64()
	if err != nil {
		return until, fmt.Errorf("decode lease %q: %w", l.ID, errCorrupt)
	}
	return fromMicros(us), nil
}

// Revoke removes a lease, likewise.
func (s *Store) Revoke(ctx context.Context, id, session string) error {
	_, err := s.change(ctx, store.DurabilityDefault, fnRevoke, s.keys.cluster, id, session)
	if gone(err) {
		return nil
	}
	return err
}

// Live lists the leases of a kind that have not run out.
func (s *Store) Live(ctx context.Context, kind store.LeaseKind) ([]store.Lease, error) {
	m, err := s.ask(ctx, fnLive, s.keys.cluster, strconv.Itoa(int(kind)))
	if err != nil {
		return nil, err
	}
	var live []store.Lease
	r := newReply(m)
	for r.more() {
		l, err := decodeLease(r.text(), r.text())
		if err != nil {
			return nil, err
		}
		live = append(live, l)
	}
	slices.SortFunc(live, func(a, b store.Lease) int { return strings.Compare(a.ID, b.ID) })
	return live, r.finish("leases")
}

// Lease looks one up.
func (s *Store) Lease(ctx context.Context, id string) (store.Lease, error) {
	m, err := s.ask(ctx, fnLease, s.keys.cluster, id)
	if err != nil {
		return store.Lease{}, err
	}
	return leaseOf(id, m)
}

func leaseOf(id string, m rueidis.RedisMessage) (store.Lease, error) {
	text, err := m.ToString()
	if err != nil {
		return store.Lease{}, fmt.Errorf("decode lease %q: %w", id, errCorrupt)
	}
	return decodeLease(id, text)
}

// decodeLease reads the text of library/cluster.lua.
func decodeLease(id, text string) (store.Lease, error) {
	corrupt := fmt.Errorf("decode lease %q: %w", id, errCorrupt)
	fields := strings.SplitN(text, " ", 4)
	if len(fields) != 4 {
		return store.Lease{}, corrupt
	}
	kind, kindErr := strconv.ParseUint(fields[0], 10, 8)
	until, untilErr := strconv.ParseUint(fields[1], 10, 64)
	length, lengthErr := strconv.Atoi(fields[2])
	if kindErr != nil || untilErr != nil || lengthErr != nil || length < 0 || length > len(fields[3]) {
		return store.Lease{}, corrupt
	}
	return store.Lease{
		ID: id, Kind: store.LeaseKind(kind), Until: fromMicros(until),
		Session: fields[3][:length], Detail: []byte(fields[3][length:]),
	}, nil
}
