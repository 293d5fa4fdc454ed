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

// actors asks for what most actors have, of all of them at once.
func (e *exporter) actors(ids []string) error {
	const each = 4
	commands := make([]rueidis.Completed, 0, each*len(ids))
	for _, id := range ids {
		commands = append(commands,
			e.b().Hgetall().Key(e.base+"a:"+id).Build(), e.b().Hgetall().Key(e.base+"t:"+id).Build(),
			e.b().Zcard().Key(e.base+"o:"+id).Build(), e.b().Smembers().Key(e.base+"c:"+id).Build())
	}
	if len(commands) == 0 {
		return nil
	}
	replies := e.client.DoMulti(e.ctx, commands...)
	for i, id := range ids {
		record, err1 := replies[each*i].AsStrMap()
		schedules, err2 := replies[each*i+1].AsStrMap()
		results, err3 := replies[each*i+2].AsInt64()
		connections, err4 := replies[each*i+3].AsStrSlice()
		err := errors.Join(err1, err2, err3, err4)
		if err == nil {
			err = e.actor(id, record, schedules, results, connections)
		}
		if err != nil {
			return fmt.Errorf("actor %s: %w", id, err)
		}
	}
	return nil
}

func (e *exporter) actor(id string, fields, schedules map[string]string, results int64, connections []string) error {
	record, err := e.record(id, fields)
	if err == nil {
		err = e.visit(&store.Item{Kind: store.ItemRecord, ID: id, Record: record})
	}
	if err == nil {
		err = e.state(id, fields)
	}
	if err == nil && fields["k"] != "" && fields["k"] != "0" {
		err = e.values(id, fields["k"])
	}
	for _, name := range sortedKeys(schedules) {
		if err != nil {
			return err
		}
		var s store.Schedule
		if s, err = decodeSchedule(name, schedules[name]); err == nil {
			err = e.visit(&store.Item{Kind: store.ItemSchedule, ID: id, Schedule: s})
		}
	}
	if err == nil && results > 0 {
		err = e.results(id)
	}
	slices.Sort(connections)
	for _, c := range connections {
		if err == nil {
			err = e.visit(&store.Item{Kind: store.ItemConnection, ID: id, Key: []byte(c)})
		}
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

// values visits all keys in their order, a page at a time, and few enough values of a page at once.
func (e *exporter) values(id, size string) error {
	for from := "-"; ; {
		keys, err := e.list(e.b().Zrange().Key(e.base+"l:"+id).Min(from).Max("+").Bylex().Limit(0, exportPage).Build())
		if err != nil || len(keys) == 0 {
			return err
		}
		lengths := make([]int64, len(keys)) // all of an actor that has little fits
		if all, err := strconv.ParseUint(size, 10, 64); err != nil || all > exportBytes {
			if lengths, err = e.lengths(id, keys); err != nil {
				return err
			}
		}
		for at := 0; at < len(keys); {
			end, sum := at+1, lengths[at]
			for end < len(keys) && sum+lengths[end] <= exportBytes {
				sum += lengths[end]
				end++
			}
			if err := e.some(id, keys[at:end]); err != nil {
				return err
			}
			at = end
		}
		if len(keys) < exportPage {
			return nil
		}
		from = "(" + keys[len(keys)-1]
	}
}

func (e *exporter) lengths(id string, keys []string) ([]int64, error) {
	commands := make([]rueidis.Completed, len(keys))
	for i, key := range keys {
		commands[i] = e.b().Hstrlen().Key(e.base + "k:" + id).Field(key).Build()
	}
	lengths := make([]int64, len(keys))
	for i, reply := range e.client.DoMulti(e.ctx, commands...) {
		var err error
		if lengths[i], err = reply.AsInt64(); err != nil {
			return nil, err
		}
	}
	return lengths, nil
}

func (e *exporter) some(id string, keys []string) error {
	values, err := e.client.Do(e.ctx, e.b().Hmget().Key(e.base+"k:"+id).Field(keys...).Build()).ToArray()
	if err != nil {
		return err
	}
	for i := range values {
		value, err := values[i].AsBytes()
		if err != nil {
			return fmt.Errorf("value of key %q: %w: %w", keys[i], errCorrupt, err)
		}
		if err := e.visit(&store.Item{Kind: store.ItemKV, ID: id, Key: []byte(keys[i]), Value: value}); err != nil {
			return err
		}
	}
	return nil
}

// results visits them in the order of keeping, one after another: each may be large.
func (e *exporter) results(id string) error {
	keys, err := e.list(e.b().Zrange().Key(e.base + "o:" + id).Min("0").Max("-1").Build())
	if err != nil {
		return err
	}
	for _, key := range keys {
		kept, err := e.client.Do(e.ctx, e.b().Hget().Key(e.base+"r:"+id).Field(key).Build()).ToString()
		if err != nil {
			return fmt.Errorf("result %q: %w", key, err)
		}
		head, value, cut := strings.Cut(kept, " ")
		if !cut || head == "" {
			return fmt.Errorf("result %q: %w", key, errCorrupt)
		}
		at, err := strconv.ParseUint(head[1:], 10, 64)
		if err != nil {
			return fmt.Errorf("result %q: %w", key, errCorrupt)
		}
		it := &store.Item{
			Kind: store.ItemResult, ID: id, Key: []byte(key), Value: []byte(value), Finished: head[0] == 'F', KeptAt: fromMicros(at),
		}
		if err := e.visit(it); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
