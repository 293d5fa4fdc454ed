// Package store is the durable interface of the gateway: directory, state, KV, schedules, keyed results and leases.
//
// It defines what an implementation promises; gateway/store/embedded and gateway/store/redis keep it, and
// gateway/store/storetest proves that they do, with one suite. gateway/place and gateway/route call it. Every method is
// safe for concurrent use. Slices passed in belong to the store until the answer; slices returned belong to the caller.
//
// Atomicity. Each method is one atomic step on one actor, one partition or one lease, but for List, Live, KnownTypes and
// RememberTypes, which look at many things one after another.
//
// Errors. The sentinel errors of this package, and only those, are definite: the operation did not and will never take
// effect. Every other error is unknown: the operation may have taken effect, or may yet. Each method says what a caller
// then does. A context that ends makes an unknown outcome, too. Methods that only read have no effect to be in doubt of.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
)

// Definite refusals.
var (
	// ErrNotFound: no such actor, key or lease.
	ErrNotFound = errors.New("not found")
	// ErrFenced: another acquisition owns the actor [FENCE-1].
	ErrFenced = errors.New("fenced: another owner has acquired the actor")
	// ErrGone is the ErrFenced of an owner whose actor was destroyed, be it by an earlier attempt of the same commit.
	ErrGone = fmt.Errorf("the actor is gone: %w", ErrFenced)
	// ErrConflict: this version was applied with other bytes [COMMIT-2].
	ErrConflict = errors.New("conflict: another commit has this version")
	// ErrStale: a later version was applied already.
	ErrStale = errors.New("stale: a later version was applied")
	// ErrGap: a version in between is missing.
	ErrGap = errors.New("gap: an earlier version is missing")
	// ErrQuota: the actor would hold more than Limits.Storage.
	ErrQuota = errors.New("the actor's storage quota is used up")
	// ErrTooLarge: one part of the operation exceeds Limits.
	ErrTooLarge = errors.New("exceeds a size limit of the store")
	// ErrInvalid: the operation is malformed; the caller has a bug.
	ErrInvalid = errors.New("malformed operation")
	// ErrHeld: the lease is held by another session [LEASE-5].
	ErrHeld = errors.New("the lease is held by another session")
	// ErrClosed: the store was closed before the operation began.
	ErrClosed = errors.New("the store is closed")
)

// Store is everything a gateway needs to remember. Callers declare the part that they use.
type Store interface {
	Directory
	Types
	Owner
	Alarms
	Leases
	// Supports reports whether commits can be acknowledged in the class. What it says does not change while the store is
	// open: where a class cannot be given for a while, commits of it have an unknown outcome.
	Supports(Durability) bool
	// Ready reports why the store cannot serve now, or not all of its data; nil: it can.
	Ready(context.Context) error
	// Interrupted is when the store last came back after it had been away, or was first reached on a server that took the
	// place of another; zero: never since it was opened. What was acknowledged shortly before may be missing, so that of
	// leases only what they say from then on counts [PLACE-10].
	Interrupted() time.Time
	// Close waits for operations under way. Later ones fail with ErrClosed.
	Close() error
}

// Durability is the class in which a write is acknowledged [CLASS-1]. The zero value is the store's default.
type Durability uint8

// The durability classes: independent promises, not a ladder.
const (
	DurabilityDefault Durability = iota
	// Volatile: the caller writes nothing; the store never sees it in a Commit.
	Volatile
	// Fast survives the death of the store's process.
	Fast
	// Disk survives the loss of power.
	Disk
	// Replicated survives the loss of the store's master.
	Replicated
)

// Limits bound single operations; embedded and Redis check them alike.
type Limits struct {
	State   int // bytes; default 8 MiB
	KVKey   int // bytes; default 2 KiB
	KVValue int // bytes; default 1 MiB
	// Storage bounds state, keys and values of one actor together, in bytes; default 1 GiB.
	Storage int64
	// Schedules bounds the schedules of one actor; default 1,000.
	Schedules int
	// Results bounds the kept results of one actor; default 1,024. The oldest go first.
	Results int
	// ResultTTL is how long a keyed result is kept; default 24 h.
	ResultTTL time.Duration
}

// DefaultLimits are the limits of LIMIT-7 as far as the store checks them.
func DefaultLimits() Limits {
	return Limits{
		State: 8 << 20, KVKey: 2 << 10, KVValue: 1 << 20, Storage: 1 << 30,
		Schedules: 1000, Results: 1024, ResultTTL: 24 * time.Hour,
	}
}

// Record is what the directory knows of an actor.
type Record struct {
	ID         string
	Address    address.Address
	Generation uint64 // 0: never acquired
	Nonce      [16]byte
	Version    uint64   // commits applied
	CommitID   [16]byte // of the last one
	Runner     string   // lease id of the last owner; empty: none, or released
	CreatedAt  time.Time
	// Input is kept until version 1 [LIFE-4]. HasInput tells an absent input from an empty one.
	Input    []byte
	HasInput bool
}

// Directory knows which actors exist.
type Directory interface {
	// Resolve returns the record of the actor with this address, or ErrNotFound.
	Resolve(context.Context, address.Address) (Record, error)
	// Describe returns the record of an actor by id, or ErrNotFound.
	Describe(ctx context.Context, id string) (Record, error)
	// Create makes an actor unless its address is taken; created tells which. Atomic: the record, its key entry and its
	// place in the listing come together. Acknowledged in its durability class, also where it finds an actor. After an
	// unknown outcome the same Create finds the actor that it may have made, and says that it was not created.
	// Definite: ErrInvalid.
	Create(ctx context.Context, c Create) (r Record, created bool, err error)
	// List returns at most limit records in (partition, id) order behind the cursor, and the next cursor; an empty one:
	// the end. Pages may be short or even empty before the end [LIST-1]. A foreign cursor is ErrInvalid. Of an actor that is
	// made or destroyed meanwhile nothing is promised; all others are listed once.
	List(ctx context.Context, f Filter, cursor string, limit int) ([]Record, string, error)
	// Destroy removes an actor that nobody is meant to own, with all it holds, whoever owned it: its owner's next
	// commit or read is ErrGone. Acknowledged in the strongest class the store has for it. Definite: ErrNotFound, if it was
	// gone before. After an unknown outcome it is repeated; ErrNotFound then means that it is done.
	Destroy(ctx context.Context, id string) error
}

// Types remembers which actor types runners have ever announced [LIFE-5].
type Types interface {
	// RememberTypes adds names. Adding a known one is nothing. Acknowledged in class Disk if the store has it. After an
	// unknown outcome some may have been added; it is repeated.
	RememberTypes(ctx context.Context, names []string) error
	// KnownTypes returns all names, sorted.
	KnownTypes(context.Context) ([]string, error)
}

// Create asks for a new actor.
type Create struct {
	Address    address.Address
	Region     string
	Input      []byte
	HasInput   bool
	Durability Durability
}

// Filter selects actors. Empty fields match all; Key counts only with HasKey and then needs Type.
type Filter struct {
	Namespace string
	Type      string
	Key       []string
	HasKey    bool
}

// Owner is what the current owner of an actor does.
type Owner interface {
	// Acquire makes the caller the owner: it raises the generation, sets a new nonce and reads all it returns in the
	// same atomic step [COMMIT-3] [FENCE-2]. Every earlier owner is fenced from then on. With a non-zero
	// Acquire.Generation it compares first, and fails with ErrFenced if the stored (generation, nonce) are not those.
	// Acknowledged in its durability class [RDS-5]. Definite: ErrNotFound, ErrFenced, ErrInvalid. After an unknown outcome
	// somebody who will never know of it may own the actor: earlier owners are to be taken for fenced, and the caller
	// acquires again, without comparison or from what Describe says.
	Acquire(context.Context, Acquire) (Acquired, error)
	// Release forgets the owner, if (generation, nonce) still are its own; the generation stays. ErrFenced otherwise. When it
	// is lost, the actor names a runner that is gone, as after a crash.
	Release(ctx context.Context, id string, generation uint64, nonce [16]byte) error
	// Commit applies a commit in one atomic, fenced step and calls done exactly once, with nil (applied now, or DUPLICATE
	// [COMMIT-2]), a definite refusal, or an unknown error. done runs on a goroutine of the store: it must not block and
	// must not call the store's blocking methods. Commit itself never blocks on I/O. One commit of an actor is under way at
	// a time.
	//
	// Definite: ErrFenced, ErrGone, ErrConflict, ErrStale, ErrGap, ErrQuota, ErrTooLarge, ErrInvalid, ErrClosed. After an
	// unknown outcome the same commit is sent again [COMMIT-1]: nil says that it stands, whichever attempt it was; ErrQuota and
	// ErrTooLarge that none was applied; the others only that this one was not, except that ErrGone tells a destroying commit
	// that its work is done [COMMIT-4] [COMMIT-5].
	Commit(c Commit, done func(error))
	// Read serves KV reads, fenced. The answer reflects every commit acknowledged before the call.
	Read(context.Context, Read) (ReadResult, error)
	// Result looks up what is known of an idempotency key, fenced.
	Result(ctx context.Context, id string, generation uint64, nonce [16]byte, key []byte) (KeyedResult, error)
}

// Acquire asks for ownership.
type Acquire struct {
	ID         string
	Runner     string // lease id, kept in the record
	Generation uint64 // compare (with Nonce) before taking over; 0: take over whoever owns it
	Nonce      [16]byte
	Preload    []Range // KV ranges to return, as far as PreloadBytes allows
	// PreloadBytes bounds the preloaded keys and values; a range that does not fit is left out whole.
	PreloadBytes int
	Durability   Durability
}

// Acquired is the new ownership and what the actor starts from.
type Acquired struct {
	Record       Record
	State        []byte
	HasState     bool
	Schedules    []Schedule // by id
	Connections  []string   // recorded connection ids, sorted [CONN-7]
	Preload      []KV       // of all Preloaded ranges, in their order
	Preloaded    []Range
	PreviousOwns bool // the record named a runner before
}

// Commit is the only write an actor makes.
type Commit struct {
	ID         string
	Generation uint64
	Nonce      [16]byte
	Version    uint64
	CommitID   [16]byte
	Durability Durability

	State       []byte
	HasState    bool
	KV          []KVOp // applied in order
	Schedules   []ScheduleOp
	Finished    []Finished
	Open        []Open
	Connections ConnectionsDelta
	Destroy     bool // removes the actor; the rest is ignored
}

// ConnectionsDelta changes the recorded connections; adding a present one or removing an absent one changes nothing.
type ConnectionsDelta struct {
	Added   []string
	Removed []string
}

// KVOp puts (HasValue), deletes a range [Key, Until) (IsRange; empty Until: to the end) or deletes one key.
type KVOp struct {
	Key      []byte
	Value    []byte
	HasValue bool
	Until    []byte
	IsRange  bool
}

// KV is a key and its value.
type KV struct {
	Key   []byte
	Value []byte
	Found bool // false only for a Key asked for by name that is absent
}

// Range is [From, Until) in byte order; an empty Until is the end.
type Range struct {
	From  []byte
	Until []byte
}

// Read asks for Keys, or for Range if it is not nil.
type Read struct {
	ID         string
	Generation uint64
	Nonce      [16]byte
	Keys       [][]byte
	Range      *Range
	Reverse    bool
	Limit      int // entries; at least 1
	// MaxBytes bounds the sum of keys and values. The page of a range ends there, but has at least one entry; Keys that have
	// more together are ErrTooLarge, unless MaxBytes is 0.
	MaxBytes int
}

// ReadResult has one entry per key asked for, in order, or the page of a range.
type ReadResult struct {
	Entries []KV
	More    bool // the range goes on behind the last entry
}

// Schedule is a durable future action of an actor. Its spec is opaque to the store except for the times.
type Schedule struct {
	ID      string
	Fire    uint64    // number of the next fire, from 1
	DueAt   time.Time // of the next fire
	Spec    []byte    // what the owner stored with it
	Attempt uint32    // claims of this fire so far
	Claimed time.Time // hidden until then; zero: not claimed
	InDoubt bool      // a commit was made while this fire was open and unfinished
}

// ScheduleOp sets a schedule (new: fire 1; existing: next fire number) or cancels it. Canceling an absent one is
// nothing. After, if set, is added to the store's clock inside the commit [ALARM-7].
type ScheduleOp struct {
	ID     string
	Cancel bool
	At     time.Time
	After  *time.Duration
	Spec   []byte
}

// Finished consumes fire Fire of Schedule, if it is still that one, or keeps the result of Key. A repeating schedule
// gets its next time by NextAt; a zero NextAt removes the schedule.
type Finished struct {
	Schedule string
	Fire     uint64
	NextAt   time.Time

	Key    []byte
	Result []byte
}

// Open names a keyed call or a fire that has begun and is not finished: the commit marks it in doubt [ONCE-1].
type Open struct {
	Schedule string
	Fire     uint64
	Key      []byte
}

// KeyedResult is what is known of an idempotency key.
type KeyedResult struct {
	State  ResultState
	Result []byte // with ResultFinished
}

// ResultState says how far a keyed call came.
type ResultState uint8

// The states of a keyed call.
const (
	ResultUnknown ResultState = iota
	ResultInDoubt
	ResultFinished
)

// Alarms hands out due schedules.
type Alarms interface {
	// ClaimDue claims at most limit due fires of the partition in due order and hides each for visibility; each claim
	// counts its attempt [ALARM-6]. Due by the store's clock, never early; a claim that ran out comes again, and so do
	// the fires of a claim whose answer was lost.
	ClaimDue(ctx context.Context, partition uint16, limit int, visibility time.Duration) ([]Due, error)
	// ExtendClaim hides a claimed fire for visibility from now. ErrNotFound if it was consumed, canceled or set anew.
	ExtendClaim(ctx context.Context, d Due, visibility time.Duration) error
	// NextDue is the earliest time at which ClaimDue of the partition has something; zero: nothing scheduled. Behind the year
	// 2255 it may be rounded to a later microsecond.
	NextDue(ctx context.Context, partition uint16) (time.Time, error)
}

// Due is a claimed fire.
type Due struct {
	ActorID  string
	Schedule Schedule
}

// Leases are time-bounded rights of gateways and runners, compared by session [LEASE-5].
type Leases interface {
	// Grant makes or renews the lease for ttl from the store's now. ErrHeld while another session's lease lives. Repeating it
	// after an unknown outcome renews.
	Grant(ctx context.Context, l Lease, ttl time.Duration) (until time.Time, err error)
	// Revoke removes the lease if it is that session's. ErrHeld if it is another's, ErrNotFound if there is none, which after
	// an unknown outcome means that it is done.
	Revoke(ctx context.Context, id, session string) error
	// Live returns the leases of a kind that have not run out, by id.
	Live(ctx context.Context, kind LeaseKind) ([]Lease, error)
	// Lease returns a lease, run out or not, or ErrNotFound. One that ran out is kept for a week at least, or as long as the
	// store is open.
	Lease(ctx context.Context, id string) (Lease, error)
}

// LeaseKind tells gateways from runners.
type LeaseKind uint8

// The kinds of lease holders.
const (
	GatewayLease LeaseKind = iota + 1
	RunnerLease
)

// Lease is the record of a right to hold generations.
type Lease struct {
	ID      string
	Kind    LeaseKind
	Session string
	Detail  []byte    // the holder's own words, for display
	Until   time.Time // set by the store
}
