package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

const (
	// exportPage is how many actors are asked for at once, and how many keys of one of them.
	exportPage = 256
	// exportBytes is about how much of an actor's values is asked for at once.
	exportBytes = 1 << 20
	// littleBytes is how much of keys and values an actor may have to be asked for together with a page of others.
	littleBytes = 4 << 10
	// inlineState is INLINE_STATE of library/base.lua.
	inlineState = 64
)

var errPlain = errors.New("only an opened store can be moved")

// nodeAt is the master of a partition.
func (s *Store) nodeAt(partition uint16) (*node, error) {
	c, ok := s.caller.(*client)
	if !ok {
		return nil, errPlain
	}
	if n := c.surveyor.topology.Load().bySlot[partitionSlots[partition]]; n != nil {
		return n, nil
	}
	return nil, errUnserved
}

// Export reads with plain commands: nobody writes, and what an actor holds may be more than one answer should have.
func (s *Store) Export(ctx context.Context, partition uint16, visit func(*store.Item) error) error {
	n, err := s.nodeAt(partition)
	if err != nil {
		return err
	}
	e := exporter{ctx: ctx, client: n.client, base: s.keys.partitions[partition][0], visit: visit}
	for from := "-"; ; {
		ids, err := e.list(e.b().Zrange().Key(e.base+"x").Min(from).Max("+").Bylex().Limit(0, exportPage).Build())
		if err != nil {
			return err
		}
		if err := e.actors(ids); err != nil || len(ids) < exportPage {
			return err
		}
		from = "(" + ids[len(ids)-1]
	}
}

type exporter struct {
	ctx    context.Context
	client rueidis.Client
	base   string
	visit  func(*store.Item) error
}

func (e *exporter) b() rueidis.Builder { return e.client.B() }

func (e *exporter) list(c rueidis.Completed) ([]string, error) {
	return e.client.Do(e.ctx, c).AsStrSlice()
}

// holding is what is known of an actor before it is visited. What may be much is asked for when its turn comes, a part at a
// time.
type holding struct {
	id                              string
	record                          map[string]string
	schedules, results, connections int64 // how many
	bytes                           int64 // of keys and values
	keys                            []string
	values                          map[string]string // of keys, if bytes are few
}

// actors asks for what every actor has, of all of them at once.
func (e *exporter) actors(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	const each = 4
	commands := make([]rueidis.Completed, 0, each*len(ids))
	for _, id := range ids {
		commands = append(commands,
			e.b().Hgetall().Key(e.base+"a:"+id).Build(), e.b().Hlen().Key(e.base+"t:"+id).Build(),
			e.b().Zcard().Key(e.base+"o:"+id).Build(), e.b().Scard().Key(e.base+"c:"+id).Build())
	}
	replies := e.client.DoMulti(e.ctx, commands...)
	held := make([]holding, len(ids))
	for i, id := range ids {
		if err := held[i].read(id, replies[each*i:]); err != nil {
			return fmt.Errorf("actor %s: %w", id, err)
		}
	}
	if err := e.littleValues(held); err != nil {
		return err
	}
	for i := range held {
		if err := e.actor(&held[i]); err != nil {
			return fmt.Errorf("actor %s: %w", held[i].id, err)
		}
	}
	return nil
}

func (h *holding) read(id string, replies []rueidis.RedisResult) error {
	var errs [5]error
	h.id = id
	h.record, errs[0] = replies[0].AsStrMap()
	h.schedules, errs[1] = replies[1].AsInt64()
	h.results, errs[2] = replies[2].AsInt64()
	h.connections, errs[3] = replies[3].AsInt64()
	if bytes := h.record["k"]; bytes != "" {
		h.bytes, errs[4] = strconv.ParseInt(bytes, 10, 64)
	}
	return errors.Join(errs[:]...)
}

func (h *holding) hasLittle() bool { return h.bytes > 0 && h.bytes <= littleBytes }

// littleValues asks for the values of those that have few, of all of them at once.
func (e *exporter) littleValues(held []holding) error {
	var commands []rueidis.Completed
	for i := range held {
		if h := &held[i]; h.hasLittle() {
			commands = append(commands,
				e.b().Zrange().Key(e.base+"l:"+h.id).Min("-").Max("+").Bylex().Build(), e.b().Hgetall().Key(e.base+"k:"+h.id).Build())
		}
	}
	if len(commands) == 0 {
		return nil
	}
	replies := e.client.DoMulti(e.ctx, commands...)
	for i := range held {
		h := &held[i]
		if !h.hasLittle() {
			continue
		}
		var err1, err2 error
		h.keys, err1 = replies[0].AsStrSlice()
		h.values, err2 = replies[1].AsStrMap()
		if err := errors.Join(err1, err2, sameCount(len(h.keys), len(h.values))); err != nil {
			return fmt.Errorf("actor %s: %w", h.id, err)
		}
		replies = replies[2:]
	}
	return nil
}

func (e *exporter) actor(h *holding) error {
	record, err := e.record(h.id, h.record)
	if err == nil {
		err = e.visit(&store.Item{Kind: store.ItemRecord, ID: h.id, Record: record})
	}
	if err == nil {
		err = e.state(h.id, h.record)
	}
	if err == nil && h.bytes > 0 {
		err = e.values(h)
	}
	if err == nil && h.schedules > 0 {
		err = e.schedules(h.id)
	}
	if err == nil && h.results > 0 {
		err = e.results(h.id)
	}
	if err == nil && h.connections > 0 {
		err = e.connections(h.id)
	}
	return err
}

func (e *exporter) record(id string, fields map[string]string) (r store.Record, err error) {
	r = store.Record{ID: id, Runner: fields["r"], HasInput: fields["i"] == "1"}
	if r.Address, err = address.DecodeKey([]byte(fields["a"])); err != nil {
		return r, fmt.Errorf("decode actor record: %w: %w", errCorrupt, err)
	}
	created, err := strconv.ParseUint(fields["t"], 10, 64)
	r.CreatedAt = fromMicros(created)
	for name, to := range map[string]*uint64{"g": &r.Generation, "v": &r.Version} {
		if fields[name] != "" && err == nil {
			*to, err = strconv.ParseUint(fields[name], 10, 64)
		}
	}
	if err != nil {
		return r, fmt.Errorf("decode actor record: %w: %w", errCorrupt, err)
	}
	copy(r.Nonce[:], fields["n"])
	copy(r.CommitID[:], fields["c"])
	if r.HasInput {
		r.Input, err = e.client.Do(e.ctx, e.b().Get().Key(e.base+"i:"+id).Build()).AsBytes()
	}
	return r, err
}

func (e *exporter) state(id string, fields map[string]string) error {
	length, has := fields["l"]
	if !has {
		return nil
	}
	state, inside := fields["s"]
	if !inside {
		var err error
		if state, err = e.client.Do(e.ctx, e.b().Get().Key(e.base+"s:"+id).Build()).ToString(); err != nil {
			return err
		}
	}
	if strconv.Itoa(len(state)) != length {
		return fmt.Errorf("state of %d bytes instead of %s: %w", len(state), length, errCorrupt)
	}
	return e.visit(&store.Item{Kind: store.ItemState, ID: id, Value: []byte(state)})
}

// values visits all keys in their order, a page at a time.
func (e *exporter) values(h *holding) error {
	visit := func(key, value string) error {
		return e.visit(&store.Item{Kind: store.ItemKV, ID: h.id, Key: []byte(key), Value: []byte(value)})
	}
	for _, key := range h.keys {
		value, has := h.values[key]
		if !has {
			return fmt.Errorf("value of key %q: %w", key, errCorrupt)
		}
		if err := visit(key, value); err != nil {
			return err
		}
	}
	if h.hasLittle() {
		return nil
	}
	visited := 0
	for from := "-"; ; {
		keys, err := e.list(e.b().Zrange().Key(e.base+"l:"+h.id).Min(from).Max("+").Bylex().Limit(0, exportPage).Build())
		if err == nil {
			err = e.fields("k:"+h.id, keys, visit)
		}
		if err != nil {
			return err
		}
		if visited += len(keys); len(keys) < exportPage {
			break
		}
		from = "(" + keys[len(keys)-1]
	}
	there, err := e.client.Do(e.ctx, e.b().Hlen().Key(e.base+"k:"+h.id).Build()).AsInt64()
	if err == nil {
		err = sameCount(visited, int(there))
	}
	return err
}

// sameCount: a value whose key is not in the order of keys would be missed.
func sameCount(keys, values int) error {
	if keys != values {
		return fmt.Errorf("%d keys of %d values: %w", keys, values, errCorrupt)
	}
	return nil
}

func (e *exporter) schedules(id string) error {
	names, err := e.list(e.b().Hkeys().Key(e.base + "t:" + id).Build())
	if err != nil {
		return err
	}
	slices.Sort(names)
	return e.fields("t:"+id, names, func(name, text string) error {
		s, err := decodeSchedule(name, text)
		if err != nil {
			return err
		}
		return e.visit(&store.Item{Kind: store.ItemSchedule, ID: id, Schedule: s})
	})
}

// results visits them in the order of keeping.
func (e *exporter) results(id string) error {
	keys, err := e.list(e.b().Zrange().Key(e.base + "o:" + id).Min("0").Max("-1").Build())
	if err != nil {
		return err
	}
	return e.fields("r:"+id, keys, func(key, kept string) error {
		it, err := decodeResult(id, key, kept)
		if err != nil {
			return err
		}
		return e.visit(it)
	})
}

// decodeResult reads the text of library/result.lua.
func decodeResult(id, key, kept string) (*store.Item, error) {
	head, value, cut := strings.Cut(kept, " ")
	if !cut || head == "" {
		return nil, fmt.Errorf("result %q: %w", key, errCorrupt)
	}
	at, err := strconv.ParseUint(head[1:], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("result %q: %w", key, errCorrupt)
	}
	return &store.Item{
		Kind: store.ItemResult, ID: id, Key: []byte(key), Value: []byte(value), Finished: head[0] == 'F', KeptAt: fromMicros(at),
	}, nil
}

func (e *exporter) connections(id string) error {
	names, err := e.list(e.b().Smembers().Key(e.base + "c:" + id).Build())
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := e.visit(&store.Item{Kind: store.ItemConnection, ID: id, Key: []byte(name)}); err != nil {
			return err
		}
	}
	return nil
}
