package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Sum is what a partition's contents come to: the same in every store that holds the same.
type Sum [sha256.Size]byte

// digest makes the sum of a partition. It hashes each item by itself, with the lengths of its parts, so that where a store
// divides what it reads makes no difference.
type digest struct {
	hash   hash.Hash
	line   []byte
	actors int
	bytes  int64
}

func newDigest() *digest { return &digest{hash: sha256.New()} }

func (d *digest) add(it *store.Item) {
	b := append(d.line[:0], byte(it.Kind))
	b = text(b, it.ID)
	switch it.Kind {
	case store.ItemRecord:
		d.actors++
		b = record(b, &it.Record)
	case store.ItemSchedule:
		b = schedule(b, &it.Schedule)
	case store.ItemResult:
		b = instant(flag(b, it.Finished), it.KeptAt)
	case store.ItemState, store.ItemKV, store.ItemConnection:
	}
	b = text(text(b, it.Key), it.Value)
	_, _ = d.hash.Write(b) // never fails
	d.bytes += int64(len(b))
	d.line = b
}

func (d *digest) sum() (s Sum) {
	d.hash.Sum(s[:0])
	return s
}

func record(b []byte, r *store.Record) []byte {
	b = text(b, r.Address.AppendKey(nil))
	b = number(append(number(b, r.Generation), r.Nonce[:]...), r.Version)
	b = append(b, r.CommitID[:]...)
	b = instant(text(b, r.Runner), r.CreatedAt)
	return text(flag(b, r.HasInput), r.Input)
}

func schedule(b []byte, s *store.Schedule) []byte {
	b = instant(number(text(b, s.ID), s.Fire), s.DueAt)
	b = number(text(b, s.Spec), uint64(s.Attempt))
	return flag(instant(b, s.Claimed), s.InDoubt)
}

func text[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func number(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }

func flag(b []byte, set bool) []byte {
	if set {
		return append(b, 1)
	}
	return append(b, 0)
}

// instant is a time in whole microseconds, as stores keep it; the zero time is none.
func instant(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return number(b, 0)
	}
	return number(b, uint64(t.UnixMicro())+1)
}
