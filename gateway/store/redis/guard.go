package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Format is the version of the layout that this build writes, and the newest that it reads.
const Format = 1

// Why a store is refused. Each error says what to do.
var (
	// ErrForeign: the keys under the prefix are not a store of ours.
	ErrForeign = errors.New("keys under the prefix belong to something else; choose another prefix or database")
	// ErrNewer: the store was written by a newer build.
	ErrNewer = errors.New("the store was written by a newer Stagedoor; start that one")
	// ErrEmptied: the store, or a part of it, has lost what it held.
	ErrEmptied = errors.New("the store has lost its data; restore it, or start with --accept-data-loss")
	// ErrExchanged: the URL leads to another store than before.
	ErrExchanged = errors.New("the URL leads to another store than before; correct it, or start with --accept-data-loss")
)

// guard recognizes a store. Its keys: {cluster}:m, a hash that says what the store is (magic, format, id, ready), and in
// each partition {pN}:m, the id once more: a master that comes back empty lacks those of its partitions, whatever the
// others have.
type guard struct {
	client *client
	prefix string
	file   guardPath
	id     string // set by enter
}

const magic = "stagedoor"

func (g *guard) storeKey() string { return g.prefix + "{cluster}:m" }

func (g *guard) marker(partition int) string {
	return g.prefix + "{p" + strconv.Itoa(partition) + "}:m"
}

// enter recognizes the store, or makes one where there is none, and remembers it.
func (g *guard) enter(ctx context.Context) error {
	known, err := g.file.read()
	if err != nil {
		return err
	}
	accept := g.client.cfg.AcceptDataLoss
	found, err := g.read(ctx)
	if err != nil {
		return err
	}
	switch {
	case found == nil && known != "" && !accept:
		return ErrEmptied
	case found == nil && g.client.cfg.Existing:
		return store.ErrNothing
	case found == nil:
		if err := g.found(ctx, known); err != nil {
			return err
		}
	case known != "" && known != found.id && !accept:
		return ErrExchanged
	default:
		g.id = found.id
	}
	whole := found != nil && found.ready && !accept
	if err := g.mark(ctx, whole); err != nil {
		return err
	}
	return g.file.write(g.id)
}

// description is what the store says of itself.
type description struct {
	id    string
	ready bool // every partition was marked
}

// read returns nil where nothing is.
func (g *guard) read(ctx context.Context) (*description, error) {
	n, err := g.nodeOf(g.storeKey())
	if err != nil {
		return nil, err
	}
	fields, err := n.client.Do(ctx, n.client.B().Hgetall().Key(g.storeKey()).Build()).AsStrMap()
	if _, ok := rueidis.IsRedisErr(err); ok {
		return nil, fmt.Errorf("%q: %w: %w", g.storeKey(), ErrForeign, err)
	}
	if err != nil || len(fields) == 0 {
		return nil, err
	}
	format, err := strconv.Atoi(fields["format"])
	if fields["magic"] != magic || fields["id"] == "" || err != nil {
		return nil, fmt.Errorf("%q: %w", g.storeKey(), ErrForeign)
	}
	if format > Format {
		return nil, fmt.Errorf("format %d, this build reads up to %d: %w", format, Format, ErrNewer)
	}
	if fields[copyingField] != "" && !g.client.cfg.Importing {
		return nil, store.ErrHalfCopied
	}
	return &description{id: fields["id"], ready: fields["ready"] == "1"}, nil
}

// found makes a new store where no key of the prefix is. After an accepted loss there may be some: what other masters
// still have stays, under the id that it was known by.
func (g *guard) found(ctx context.Context, known string) error {
	if known == "" {
		err := g.refuseForeign(ctx)
		if errors.Is(err, ErrForeign) {
			// Or another gateway has made the store a moment ago, and works with it already.
			if made, again := g.read(ctx); again == nil && made != nil {
				g.id = made.id
				return nil
			}
		}
		if err != nil {
			return err
		}
		known = rand.Text()
	}
	n, err := g.nodeOf(g.storeKey())
	if err != nil {
		return err
	}
	b := n.client.B()
	// Of two gateways that do this at once, one gives the id.
	replies := n.client.DoMulti(ctx,
		b.Hsetnx().Key(g.storeKey()).Field("id").Value(known).Build(),
		b.Hset().Key(g.storeKey()).FieldValue().FieldValue("magic", magic).FieldValue("format", strconv.Itoa(Format)).Build(),
		b.Hget().Key(g.storeKey()).Field("id").Build())
	for _, reply := range replies {
		if err := reply.Error(); err != nil {
			return fmt.Errorf("mark the store: %w", err)
		}
	}
	g.id, err = replies[2].ToString()
	return err
}

// refuseForeign looks for keys that begin with the prefix. It reads all key names, once in a store's life.
func (g *guard) refuseForeign(ctx context.Context) error {
	for _, n := range g.client.surveyor.topology.Load().masters {
		for cursor := uint64(0); ; {
			page, err := n.client.Do(ctx, n.client.B().Scan().Cursor(cursor).Match(globOf(g.prefix)).Count(10_000).Build()).AsScanEntry()
			if err != nil {
				return fmt.Errorf("look for keys: %w", err)
			}
			for _, key := range page.Elements {
				if key != g.storeKey() && !g.ours(key) {
					return fmt.Errorf("%q: %w", key, ErrForeign)
				}
			}
			if cursor = page.Cursor; cursor == 0 {
				break
			}
		}
	}
	return nil
}

// ours tells a marker, which another gateway may be setting now.
func (g *guard) ours(key string) bool {
	for p := range address.Partitions {
		if key == g.marker(p) {
			return true
		}
	}
	return false
}

// mark checks the partitions' marks. Unless the store was whole, missing ones are set.
func (g *guard) mark(ctx context.Context, whole bool) error {
	t := g.client.surveyor.topology.Load()
	for p, slot := range partitionSlots {
		if t.bySlot[slot] == nil {
			return fmt.Errorf("partition %d: %w", p, errUnserved)
		}
	}
	for _, n := range t.masters {
		partitions := t.partitionsOf(n)
		if !whole {
			if err := g.setMarks(ctx, n, partitions); err != nil {
				return err
			}
		}
		if err := g.checkMarks(ctx, n, partitions); err != nil {
			return err
		}
	}
	n, err := g.nodeOf(g.storeKey())
	if err != nil || whole {
		return err
	}
	return n.client.Do(ctx, n.client.B().Hset().Key(g.storeKey()).FieldValue().FieldValue("ready", "1").Build()).Error()
}

func (g *guard) setMarks(ctx context.Context, n *node, partitions []int) error {
	commands := make([]rueidis.Completed, len(partitions))
	for i, p := range partitions {
		commands[i] = n.client.B().Set().Key(g.marker(p)).Value(g.id).Nx().Build()
	}
	for _, reply := range n.client.DoMulti(ctx, commands...) {
		if err := reply.Error(); err != nil && !rueidis.IsRedisNil(err) {
			return fmt.Errorf("mark the partitions of %s: %w", n.addr, err)
		}
	}
	return nil
}

// checkMarks: a mark that is missing was lost with all that the partition held.
func (g *guard) checkMarks(ctx context.Context, n *node, partitions []int) error {
	commands := make([]rueidis.Completed, len(partitions))
	for i, p := range partitions {
		commands[i] = n.client.B().Get().Key(g.marker(p)).Build()
	}
	for i, reply := range n.client.DoMulti(ctx, commands...) {
		id, err := reply.ToString()
		switch {
		case rueidis.IsRedisNil(err):
			return fmt.Errorf("partition %d on %s: %w", partitions[i], n.addr, ErrEmptied)
		case err != nil:
			return fmt.Errorf("read the mark of partition %d: %w", partitions[i], err)
		case id != g.id:
			return fmt.Errorf("partition %d on %s is of the store %q: %w", partitions[i], n.addr, id, ErrForeign)
		}
	}
	return nil
}

// inspect looks at one partition of a master: what empties one empties all.
func (g *guard) inspect(ctx context.Context, n *node, t *topology) error {
	if partitions := t.partitionsOf(n); len(partitions) > 0 {
		return g.checkMarks(ctx, n, partitions[:1])
	}
	return nil
}

func (t *topology) partitionsOf(n *node) (partitions []int) {
	for p, slot := range partitionSlots {
		if t.bySlot[slot] == n {
			partitions = append(partitions, p)
		}
	}
	return partitions
}

func (g *guard) nodeOf(key string) (*node, error) {
	if n := g.client.surveyor.topology.Load().bySlot[slotOf(key)]; n != nil {
		return n, nil
	}
	return nil, errUnserved
}

// globOf matches keys that begin with the prefix, whatever characters it has.
func globOf(prefix string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(prefix) + "*"
}
