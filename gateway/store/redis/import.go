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

// copyingField of {cluster}:m marks a store whose import was not finished, and names the last one that was begun [STORE-4].
const copyingField = "copying"

func (s *Store) storeNode() (*node, error) {
	c, ok := s.caller.(*client)
	if !ok {
		return nil, errPlain
	}
	if n := c.surveyor.topology.Load().bySlot[slotOf(s.keys.cluster[0])]; n != nil {
		return n, nil
	}
	return nil, errUnserved
}

// BeginImport removes what an import that was not finished has left, and what one that still goes on has written: that one
// cannot end any more.
func (s *Store) BeginImport(ctx context.Context) error {
	begun, err := s.begunImport(ctx)
	if err != nil {
		return fmt.Errorf("begin an import: %w", err)
	}
	if begun == "" {
		if err := s.eachPartition(func(p uint16) error {
			return s.Export(ctx, p, func(*store.Item) error { return store.ErrNotEmpty })
		}); err != nil {
			return err
		}
	}
	n, err := s.storeNode()
	if err != nil {
		return err
	}
	s.importing = rand.Text()
	mark := n.client.B().Hset().Key(s.markKey()).FieldValue().FieldValue(copyingField, s.importing).Build()
	if err := n.client.Do(ctx, mark).Error(); err != nil {
		return fmt.Errorf("begin an import: %w", err)
	}
	if begun == "" {
		return nil
	}
	if err := s.eachPartition(func(p uint16) error { return s.empty(ctx, p) }); err != nil {
		return err
	}
	if err := n.client.Do(ctx, n.client.B().Unlink().Key(s.keys.cluster[0]+"y").Build()).Error(); err != nil {
		return fmt.Errorf("begin an import: %w", err)
	}
	return nil
}

func (s *Store) markKey() string { return s.keys.cluster[0] + "m" }

// begunImport is the name of the import that was begun and not finished; empty: none.
func (s *Store) begunImport(ctx context.Context) (string, error) {
	n, err := s.storeNode()
	if err != nil {
		return "", err
	}
	name, err := n.client.Do(ctx, n.client.B().Hget().Key(s.markKey()).Field(copyingField).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return "", nil
	}
	return name, err
}

func (s *Store) eachPartition(f func(uint16) error) error {
	for p := range uint16(address.Partitions) {
		if err := f(p); err != nil {
			return fmt.Errorf("begin an import into partition %d: %w", p, err)
		}
	}
	return nil
}

// empty removes all that a partition has but for its mark, going by its list of actors.
func (s *Store) empty(ctx context.Context, partition uint16) error {
	n, err := s.nodeAt(partition)
	if err != nil {
		return err
	}
	base := s.keys.partitions[partition][0]
	e := exporter{ctx: ctx, client: n.client, base: base}
	for {
		ids, err := e.list(e.b().Zrange().Key(base+"x").Min("-").Max("+").Bylex().Limit(0, exportPage).Build())
		if err != nil {
			return err
		}
		commands := []rueidis.Completed{e.b().Unlink().Key(base+"d", base+"n").Build()}
		for _, id := range ids {
			for _, kind := range []string{"a:", "s:", "i:", "k:", "l:", "t:", "r:", "o:", "c:"} {
				commands = append(commands, e.b().Unlink().Key(base+kind+id).Build())
			}
			commands = append(commands, e.b().Zrem().Key(base+"x").Member(id).Build()) // last: it finds the others again
		}
		if err := all(e.client.DoMulti(ctx, commands...)); err != nil || len(ids) < exportPage {
			return err
		}
	}
}

func all(replies []rueidis.RedisResult) error {
	for _, reply := range replies {
		if err := reply.Error(); err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
	}
	return nil
}

// EndImport removes the mark, unless another import was begun meanwhile.
func (s *Store) EndImport(ctx context.Context) error {
	begun, err := s.begunImport(ctx)
	if err != nil {
		return fmt.Errorf("end the import: %w", err)
	}
	if begun == "" || begun != s.importing {
		return fmt.Errorf("another one was begun meanwhile: %w", store.ErrHalfCopied)
	}
	n, err := s.storeNode()
	if err != nil {
		return err
	}
	if err := n.client.Do(ctx, n.client.B().Hdel().Key(s.markKey()).Field(copyingField).Build()).Error(); err != nil {
		return fmt.Errorf("end the import: %w", err)
	}
	return nil
}

// Import writes with plain commands: nobody reads before all of it is there.
func (s *Store) Import(ctx context.Context, partition uint16) store.Import {
	im := &importing{ctx: ctx, base: s.keys.partitions[partition][0]}
	n, err := s.nodeAt(partition)
	if err != nil {
		im.err = err
		return im
	}
	im.client = n.client
	return im
}

const (
	importCommands = 512
	importBytes    = 1 << 20
)

type importing struct {
	ctx      context.Context
	client   rueidis.Client
	base     string
	err      error // of the beginning
	commands []rueidis.Completed
	bytes    int

	id      string // whose items come
	kvBytes int
	results int
}

func (im *importing) b() rueidis.Builder { return im.client.B() }

func (im *importing) key(kind string) string { return im.base + kind + im.id }

func (im *importing) Add(it *store.Item) error {
	if im.err != nil {
		return im.err
	}
	if it.Kind == store.ItemRecord {
		im.endActor()
		im.id, im.kvBytes, im.results = it.ID, 0, 0
		im.record(&it.Record)
	} else if it.ID != im.id {
		return fmt.Errorf("import of actor %q: an item without record", it.ID)
	}
	key, value := string(it.Key), string(it.Value)
	switch it.Kind {
	case store.ItemState:
		im.state(value)
	case store.ItemKV:
		im.kvBytes += len(key) + len(value)
		im.hset(im.key("k:"), key, value)
		im.zadd(im.key("l:"), 0, key)
	case store.ItemSchedule:
		im.schedule(&it.Schedule)
	case store.ItemResult:
		im.results++
		kind := "D"
		if it.Finished {
			kind = "F"
		}
		im.hset(im.key("r:"), key, kind+decimal(toMicros(it.KeptAt))+" "+value)
		im.zadd(im.key("o:"), float64(im.results), key)
	case store.ItemConnection:
		im.put(len(key), im.b().Sadd().Key(im.key("c:")).Member(key).Build())
	case store.ItemRecord:
	}
	if len(im.commands) < importCommands && im.bytes < importBytes {
		return nil
	}
	return im.flush()
}

// record puts the actor into the list first: BeginImport finds by it whatever an interruption leaves.
func (im *importing) record(r *store.Record) {
	im.zadd(im.base+"x", 0, im.id)
	addr := string(r.Address.AppendKey(nil))
	fields := []string{"a", addr, "t", decimal(toMicros(r.CreatedAt))}
	if r.Generation > 0 {
		fields = append(fields, "g", decimal(r.Generation), "n", string(r.Nonce[:]), "r", r.Runner)
	}
	if r.Version > 0 {
		fields = append(fields, "v", decimal(r.Version), "c", string(r.CommitID[:]))
	}
	if r.HasInput {
		fields = append(fields, "i", "1")
		im.put(len(r.Input), im.b().Set().Key(im.key("i:")).Value(string(r.Input)).Build())
	}
	im.hset(im.key("a:"), fields...)
	im.hset(im.base+"n", addr, im.id)
}

func (im *importing) state(state string) {
	im.hset(im.key("a:"), "l", strconv.Itoa(len(state)))
	if len(state) <= inlineState {
		im.hset(im.key("a:"), "s", state)
		return
	}
	im.put(len(state), im.b().Set().Key(im.key("s:")).Value(state).Build())
}

func (im *importing) schedule(s *store.Schedule) {
	claimed := uint64(0)
	if !s.Claimed.IsZero() {
		claimed = toMicros(s.Claimed)
	}
	doubt := "0"
	if s.InDoubt {
		doubt = "1"
	}
	due := toMicros(s.DueAt)
	im.hset(im.key("t:"), s.ID, strings.Join([]string{
		decimal(s.Fire), decimal(due), decimal(uint64(s.Attempt)), decimal(claimed), doubt, string(s.Spec),
	}, " "))
	im.zadd(im.base+"d", float64(max(due, claimed)), im.id+"\x00"+s.ID)
}

func (im *importing) endActor() {
	if im.kvBytes > 0 {
		im.hset(im.key("a:"), "k", strconv.Itoa(im.kvBytes))
	}
}

func (im *importing) hset(key string, pairs ...string) {
	c := im.b().Hset().Key(key).FieldValue()
	size := 0
	for i := 0; i < len(pairs); i += 2 {
		c = c.FieldValue(pairs[i], pairs[i+1])
		size += len(pairs[i]) + len(pairs[i+1])
	}
	im.put(size, c.Build())
}

func (im *importing) zadd(key string, score float64, member string) {
	im.put(len(member), im.b().Zadd().Key(key).ScoreMember().ScoreMember(score, member).Build())
}

func (im *importing) put(size int, c rueidis.Completed) {
	im.commands = append(im.commands, c)
	im.bytes += size
}

func (im *importing) flush() error {
	if len(im.commands) == 0 {
		return nil
	}
	commands := im.commands
	im.commands, im.bytes = nil, 0
	return all(im.client.DoMulti(im.ctx, commands...))
}

func (im *importing) Close() error {
	if im.err != nil {
		return im.err
	}
	im.endActor()
	return errors.Join(im.ctx.Err(), im.flush())
}
