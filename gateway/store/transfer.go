package store

import (
	"context"
	"errors"
	"time"
)

// What moves a whole store into another one, while nobody uses either. gateway/store/transfer does it; both implementations
// are Movable.

var (
	// ErrHalfCopied: a copy into the store was begun and not finished [STORE-4].
	ErrHalfCopied = errors.New("a copy into the store was not finished; run it again")
	// ErrNothing: where a store was to be copied or backed up, none is.
	ErrNothing = errors.New("there is no store; is its name right?")
	// ErrExists: where a backup or a restored store is to be, something is.
	ErrExists = errors.New("something is there already; choose another name")
	// ErrNotEmpty: the target of a copy holds actors already.
	ErrNotEmpty = errors.New("the store holds actors already; choose an empty one")
)

// Movable is a store that can be moved as a whole.
type Movable interface {
	Store
	// Export visits what the actors of a partition hold: by actor id, of each actor its record first, then its state, values by
	// key, schedules by id, keyed results in the order of keeping, and connections by id. Memory is bounded by the largest
	// single thing. What is written meanwhile may be missed.
	Export(ctx context.Context, partition uint16, visit func(*Item) error) error
	// BeginImport prepares a store without actors, or one whose import was not finished and begins anew. From then until EndImport
	// the store is refused with ErrHalfCopied by whoever opens it for another purpose. ErrNotEmpty.
	BeginImport(context.Context) error
	// Import takes one partition's items in the order of Export. It may be used for several partitions at a time.
	Import(ctx context.Context, partition uint16) Import
	// EndImport ends what BeginImport began. What was imported is then as durable as what is committed in the store's default class.
	EndImport(context.Context) error
}

// Import is the import of one partition. After an error it is of no use.
type Import interface {
	Add(*Item) error
	Close() error
}

// Item is one thing that an actor holds. Whoever is given one borrows what it points to.
type Item struct {
	Kind     ItemKind
	ID       string   // the actor
	Record   Record   // with its input; of ItemRecord
	Schedule Schedule // of ItemSchedule
	Key      []byte   // of ItemKV and ItemResult; the id of ItemConnection
	Value    []byte   // of ItemState, ItemKV and ItemResult
	Finished bool     // of ItemResult: it is no mark of a call in doubt
	KeptAt   time.Time
}

// ItemKind says what an Item is.
type ItemKind uint8

// The kinds of items, in the order in which an actor's follow each other.
const (
	ItemRecord ItemKind = iota + 1
	ItemState
	ItemKV
	ItemSchedule
	ItemResult
	ItemConnection
)
