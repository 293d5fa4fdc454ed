package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// copyingFile marks a directory whose import was not finished [STORE-4].
const copyingFile = "COPYING"

// halfCopied tells whether it is there.
func (d *directory) halfCopied() (bool, error) {
	_, err := d.fs.Stat(d.fs.PathJoin(d.path, copyingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// BeginImport empties a store whose import was not finished. The writer is idle: nobody else uses the store.
func (s *Store) BeginImport(ctx context.Context) error {
	half, err := s.dir.halfCopied()
	if err != nil {
		return fmt.Errorf("begin an import: %w", err)
	}
	if half {
		end := appendPartition(nil, address.Partitions, 0)
		if err := s.db.DeleteRange(nil, end, pebble.Sync); err != nil {
			return fmt.Errorf("empty the store: %w", err)
		}
		return nil
	}
	for p := range uint16(address.Partitions) {
		if err := s.Export(ctx, p, func(*store.Item) error { return store.ErrNotEmpty }); err != nil {
			return err
		}
	}
	if err := s.dir.write(copyingFile, "an import into this store was not finished\n"); err != nil {
		return fmt.Errorf("begin an import: %w", err)
	}
	return nil
}

// EndImport brings everything to the disk.
func (s *Store) EndImport(context.Context) error {
	// Pebble reports a failed write of the log to its logger only.
	if err := errors.Join(s.db.Flush(), s.failed()); err != nil {
		return fmt.Errorf("end the import: %w", err)
	}
	if err := s.dir.remove(copyingFile); err != nil {
		return fmt.Errorf("end the import: %w", err)
	}
	return nil
}

// Import writes past the writer, which has nothing to do.
func (s *Store) Import(ctx context.Context, partition uint16) store.Import {
	return &importing{ctx: ctx, s: s, partition: partition, batch: s.db.NewBatch()}
}

// importBatch is about how many bytes are written at once.
const importBatch = 4 << 20

type importing struct {
	ctx       context.Context
	s         *Store
	partition uint16
	batch     *pebble.Batch
	actor     *actor // whose items come; its record is written behind them, since it counts them
}

func (im *importing) Add(it *store.Item) error {
	if err := im.ctx.Err(); err != nil {
		return err
	}
	if it.Kind == store.ItemRecord {
		if err := im.endActor(); err != nil {
			return err
		}
		return im.beginActor(it)
	}
	a := im.actor
	if a == nil || a.id != it.ID {
		return fmt.Errorf("import of actor %q: an item without record", it.ID)
	}
	switch it.Kind {
	case store.ItemState:
		a.hasState, a.stateLen = true, uint64(len(it.Value))
		if a.stateIsLarge() {
			return im.set(actorKey(kindState, a.ref, nil), it.Value)
		}
		a.inline = append([]byte{}, it.Value...)
	case store.ItemKV:
		a.kvBytes += uint64(len(it.Key) + len(it.Value))
		return im.set(actorKey(kindKV, a.ref, it.Key), it.Value)
	case store.ItemSchedule:
		return im.schedule(&it.Schedule)
	case store.ItemResult:
		a.results++
		a.resultSeq++
		r := result{finished: it.Finished, number: a.resultSeq, keptAt: toMicros(it.KeptAt), bytes: it.Value}
		order := appendOrder(nil, a.ref, r.number)
		return errors.Join(im.set(actorKey(kindResult, a.ref, it.Key), r.appendTo(nil)), im.set(order, it.Key))
	case store.ItemConnection:
		a.connections++
		return im.set(actorKey(kindConnection, a.ref, it.Key), nil)
	case store.ItemRecord:
	}
	return nil
}

func (im *importing) beginActor(it *store.Item) error {
	r := &it.Record
	im.actor = &actor{
		ref: ref{im.partition, it.ID}, addr: r.Address.AppendKey(nil), createdAt: toMicros(r.CreatedAt), hasInput: r.HasInput,
		generation: r.Generation, nonce: r.Nonce, version: r.Version, commitID: r.CommitID, runner: []byte(r.Runner),
	}
	err := im.set(nameKey(r.Address), []byte(it.ID))
	if r.HasInput {
		err = errors.Join(err, im.set(actorKey(kindInput, im.actor.ref, nil), r.Input))
	}
	return err
}

func (im *importing) endActor() error {
	if im.actor == nil {
		return nil
	}
	a := im.actor
	im.actor = nil
	return im.set(actorKey(kindRecord, a.ref, nil), a.appendTo(nil))
}

func (im *importing) schedule(in *store.Schedule) error {
	im.actor.schedules++
	s := schedule{
		id: in.ID, fire: in.Fire, dueAt: toMicros(in.DueAt), attempt: uint64(in.Attempt), inDoubt: in.InDoubt, spec: in.Spec,
	}
	if !in.Claimed.IsZero() {
		s.claimed = toMicros(in.Claimed)
	}
	return errors.Join(
		im.set(actorKey(kindSchedule, im.actor.ref, []byte(s.id)), s.appendTo(nil)),
		im.set(appendTimer(nil, im.actor.ref, s.visibleAt(), s.id), nil))
}

func (im *importing) set(key, value []byte) error {
	if err := im.batch.Set(key, value, nil); err != nil {
		return err
	}
	if im.batch.Len() < importBatch {
		return nil
	}
	return im.flush()
}

// flush leaves the sync to EndImport.
func (im *importing) flush() error {
	err := im.batch.Commit(pebble.NoSync)
	err = errors.Join(err, im.batch.Close())
	im.batch = im.s.db.NewBatch()
	return err
}

func (im *importing) Close() error {
	return errors.Join(im.endActor(), im.flush(), im.batch.Close())
}
