package redis

import (
	"strconv"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
)

// The key layout. Every key begins with the prefix and the hash tag of a partition, so that all an actor has lies in one
// slot, with the sets that the partition keeps of all its actors:
//
//	{pN}:a:id  hash    the record: a address, t created at, g generation, n nonce, v version, c commit id, r runner,
//	                   p '1' if the last acquisition found a runner, i '1' while there is an input, l length of the
//	                   state, s the state if it is small, k bytes of keys and values
//	{pN}:s:id  string  the state, if it is larger
//	{pN}:i:id  string  the input, until version 1 [LIFE-4]
//	{pN}:k:id  hash    the values by key
//	{pN}:l:id  zset    the keys, all with score 0: ordered by their bytes
//	{pN}:t:id  hash    the schedules by id (library/schedule.lua)
//	{pN}:r:id  hash    the keyed results by key (library/result.lua)
//	{pN}:o:id  zset    the keys of the results, by order of keeping
//	{pN}:c:id  set     the recorded connections [CONN-7]
//	{pN}:n     hash    ids by address [ADDR-5]
//	{pN}:x     zset    ids, all with score 0
//	{pN}:d     zset    id 00 schedule, by when ClaimDue may return it
//	{pN}:m     string  which store this is, for the guard (guard.go)
//	{cluster}:m  hash  the same, with the format
//	{cluster}:l  hash  the leases by id (library/cluster.lua)
//	{cluster}:u  zset  the ids of the leases, by when they run out
//	{cluster}:y  set   the actor types that some runner has announced
//
// Times are in microseconds. Ids hold no byte 00. What has a key of its own is there only if there is something in it.
type keyspace struct {
	partitions [address.Partitions][]string
	cluster    []string
}

func newKeyspace(prefix string) *keyspace {
	k := &keyspace{cluster: declared(prefix + "{cluster}:")}
	for i := range k.partitions {
		k.partitions[i] = declared(prefix + "{p" + strconv.Itoa(i) + "}:")
	}
	return k
}

// declared are the keys that a function is called with (library/base.lua): two different ones that never exist.
func declared(base string) []string { return []string{base, base + "-"} }

// of returns the keys for an actor id; ok is false for one that no store ever gave out.
func (k *keyspace) of(id string) (keys []string, ok bool) {
	partition, err := address.ParseID(id)
	if err != nil {
		return nil, false
	}
	return k.partitions[partition], true
}

// The store's clock counts whole microseconds, rounded up for what is due, so that nothing is early [ALARM-1].

func toMicros(t time.Time) uint64 { return uint64(max(t.UnixMicro(), 0)) }

func ceilMicros(t time.Time) uint64 { return toMicros(t.Add(time.Microsecond - 1)) }

func fromMicros(us uint64) time.Time { return time.UnixMicro(int64(us)).UTC() }

func ceilDuration(d time.Duration) string {
	us := d.Microseconds()
	if d%time.Microsecond > 0 {
		us++
	}
	return strconv.FormatInt(us, 10)
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
