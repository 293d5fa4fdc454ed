package embedded

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// inlineState is the largest state that is kept inside the record: one read and one write less per commit, at the price
// of rewriting it with commits that leave it alone.
const inlineState = 1024

// actor is the decoded record. addr, runner and inline borrow from the bytes it was decoded from.
type actor struct {
	ref
	addr       []byte // address.AppendKey
	createdAt  uint64 // µs
	hasInput   bool
	generation uint64 // 0: never acquired
	nonce      [16]byte
	version    uint64
	commitID   [16]byte
	runner     []byte

	hasState bool
	inline   []byte // the state, if stateLen <= inlineState
	stateLen uint64

	// What the actor holds under other keys, so that nothing is looked for where there is nothing.
	kvBytes     uint64 // keys and values
	schedules   uint64
	connections uint64
	results     uint64
	resultSeq   uint64 // the last number given to a keyed result
}

const (
	flagInput = 1 << iota
	flagAcquired
	flagCommitted
	flagRunner
	flagHolds
	flagInlineState
	flagLargeState
)

func (a *actor) flags() byte {
	var f byte
	set := func(on bool, bit byte) {
		if on {
			f |= bit
		}
	}
	set(a.hasInput, flagInput)
	set(a.generation > 0, flagAcquired)
	set(a.version > 0, flagCommitted)
	set(len(a.runner) > 0, flagRunner)
	set(a.kvBytes|a.schedules|a.connections|a.results|a.resultSeq != 0, flagHolds)
	set(a.hasState && a.stateLen <= inlineState, flagInlineState)
	set(a.hasState && a.stateLen > inlineState, flagLargeState)
	return f
}

// appendTo appends the encoding of the record.
func (a *actor) appendTo(dst []byte) []byte {
	flags := a.flags()
	dst = append(dst, recordVersion, flags)
	dst = binary.AppendUvarint(dst, a.createdAt)
	dst = appendPrefixed(dst, a.addr)
	if flags&flagAcquired != 0 {
		dst = append(binary.AppendUvarint(dst, a.generation), a.nonce[:]...)
	}
	if flags&flagCommitted != 0 {
		dst = append(binary.AppendUvarint(dst, a.version), a.commitID[:]...)
	}
	if flags&flagRunner != 0 {
		dst = appendPrefixed(dst, a.runner)
	}
	if flags&flagHolds != 0 {
		for _, n := range [...]uint64{a.kvBytes, a.schedules, a.connections, a.results, a.resultSeq} {
			dst = binary.AppendUvarint(dst, n)
		}
	}
	if flags&flagLargeState != 0 {
		dst = binary.AppendUvarint(dst, a.stateLen)
	}
	if flags&flagInlineState != 0 {
		dst = append(dst, a.inline...)
	}
	return dst
}

// decodeActor reads a record; the result borrows from b.
func decodeActor(r ref, b []byte) (actor, error) {
	d := newDecoder(b)
	a := actor{ref: r}
	flags := d.byte()
	a.hasInput = flags&flagInput != 0
	a.createdAt = d.uvarint()
	a.addr = d.prefixed()
	if flags&flagAcquired != 0 {
		a.generation = d.uvarint()
		copy(a.nonce[:], d.bytes(16))
	}
	if flags&flagCommitted != 0 {
		a.version = d.uvarint()
		copy(a.commitID[:], d.bytes(16))
	}
	if flags&flagRunner != 0 {
		a.runner = d.prefixed()
	}
	if flags&flagHolds != 0 {
		for _, n := range [...]*uint64{&a.kvBytes, &a.schedules, &a.connections, &a.results, &a.resultSeq} {
			*n = d.uvarint()
		}
	}
	if flags&flagLargeState != 0 {
		a.hasState, a.stateLen = true, d.uvarint()
	}
	if flags&flagInlineState != 0 {
		a.hasState, a.inline = true, d.remainder()
		a.stateLen = uint64(len(a.inline))
	}
	return a, d.finish("actor record")
}

// stateIsLarge says that the state has a key of its own.
func (a *actor) stateIsLarge() bool { return a.hasState && a.stateLen > inlineState }

// storage is what counts against Limits.Storage.
func (a *actor) storage() uint64 { return a.stateLen + a.kvBytes }

// record is the form for callers, without the input.
func (a *actor) record() (store.Record, error) {
	addr, err := address.DecodeKey(a.addr)
	if err != nil {
		err = fmt.Errorf("record of actor %q: %w: %w", a.id, errCorrupt, err)
	}
	return store.Record{
		ID: a.id, Address: addr,
		Generation: a.generation, Nonce: a.nonce,
		Version: a.version, CommitID: a.commitID,
		Runner:    string(a.runner),
		CreatedAt: fromMicros(a.createdAt),
	}, err
}

// The store's clock counts whole microseconds, rounded up for what is due, so that nothing is early [ALARM-1].

func toMicros(t time.Time) uint64 { return uint64(max(t.UnixMicro(), 0)) }

func ceilMicros(t time.Time) uint64 { return toMicros(t.Add(time.Microsecond - 1)) }

func fromMicros(us uint64) time.Time { return time.UnixMicro(int64(us)).UTC() }
