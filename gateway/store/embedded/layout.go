package embedded

import (
	"encoding/binary"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
)

// The key layout. Every key begins with the partition (2 bytes, big-endian) and a kind (1 byte), so that an actor lies
// whole in its partition and listing by (partition, id) is one scan per partition.
//
//	partition 'r' id 00                  actor record, with a small state inside (record.go)
//	partition 's' id 00                  state that is too large for the record
//	partition 'i' id 00                  input, until version 1 [LIFE-4]
//	partition 'n' address key            the id of the actor with this address [ADDR-5]
//	partition 'v' id 00 key              a KV value, as it is
//	partition 'c' id 00 connection       a recorded connection [CONN-7]; no value
//	partition 'a' id 00 schedule         a schedule (schedule.go)
//	partition 't' time id 00 schedule    when ClaimDue may return it (8 bytes, big-endian, µs); no value
//	partition 'x' id 00 key              a keyed result (result.go)
//	partition 'o' id 00 number           the key of the keyed result with this number: oldest first (8 bytes, big-endian)
//	0 'y' type                           an actor type that some runner has announced; no value
//
// Ids hold no byte 00, so none of an actor's prefixes is a prefix of another's. The version of this layout is in the
// file FORMAT (dir.go); records carry a version byte of their own.
type kind byte

const (
	kindRecord     kind = 'r'
	kindState      kind = 's'
	kindInput      kind = 'i'
	kindName       kind = 'n'
	kindKV         kind = 'v'
	kindConnection kind = 'c'
	kindSchedule   kind = 'a'
	kindTimer      kind = 't'
	kindResult     kind = 'x'
	kindOrder      kind = 'o'
	kindType       kind = 'y'
)

// ref is an actor's place: its id and the partition in it.
type ref struct {
	partition uint16
	id        string
}

// parseRef reads an actor id; ok is false for one that no store ever gave out.
func parseRef(id string) (r ref, ok bool) {
	partition, err := address.ParseID(id)
	return ref{partition, id}, err == nil
}

func appendPartition(dst []byte, partition uint16, k kind) []byte {
	return append(binary.BigEndian.AppendUint16(dst, partition), byte(k))
}

// appendActor appends the prefix of what the actor has of a kind.
func appendActor(dst []byte, k kind, r ref) []byte {
	return append(append(appendPartition(dst, r.partition, k), r.id...), 0)
}

// appendActorEnd appends the end of that prefix's range.
func appendActorEnd(dst []byte, k kind, r ref) []byte {
	return append(append(appendPartition(dst, r.partition, k), r.id...), 1)
}

func actorKey(k kind, r ref, suffix []byte) []byte {
	key := make([]byte, 0, 4+len(r.id)+len(suffix))
	return append(appendActor(key, k, r), suffix...)
}

func actorEnd(k kind, r ref) []byte {
	return appendActorEnd(make([]byte, 0, 4+len(r.id)), k, r)
}

func nameKey(a address.Address) []byte {
	return a.AppendKey(appendPartition(make([]byte, 0, 64), a.Partition(), kindName))
}

// timerPrefixLen is how much of a timer's key comes before the id.
const timerPrefixLen = 3 + 8

func appendTimerTime(dst []byte, partition uint16, at uint64) []byte {
	return binary.BigEndian.AppendUint64(appendPartition(dst, partition, kindTimer), at)
}

func appendTimer(dst []byte, r ref, at uint64, schedule string) []byte {
	dst = append(append(appendTimerTime(dst, r.partition, at), r.id...), 0)
	return append(dst, schedule...)
}
