package assemble

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/stagedoor-dev/stagedoor/edge/config"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/embedded"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redis"
	"github.com/stagedoor-dev/stagedoor/gateway/store/transfer"
)

// backups is how a gateway backs its store up; nil if not at all.
func backups(s store.Store, cfg config.Config) func(context.Context, string) (string, error) {
	own, ok := s.(*embedded.Store)
	if !ok {
		return nil
	}
	return func(ctx context.Context, name string) (string, error) {
		path, err := filepath.Abs(filepath.Join(cfg.Backups(), name))
		if err != nil {
			return "", err
		}
		return path, own.Backup(ctx, path)
	}
}

// Stores works on whole stores that no gateway uses. A store is named by a Redis URL, or by the data directory of an embedded
// one.
type Stores struct{}

// Copy moves all that one holds into the other, which is empty [STORE-4].
func (Stores) Copy(ctx context.Context, from, to string, progress func(round string, partitions int)) (actors int, bytes int64, err error) {
	source, err := movable(ctx, from, false)
	if err != nil {
		return 0, 0, err
	}
	defer closing(source, &err)
	target, err := movable(ctx, to, true)
	if err != nil {
		return 0, 0, err
	}
	defer closing(target, &err)
	report, err := transfer.Copy(ctx, source, target, progress)
	return report.Actors, report.Bytes, err
}

// movable opens a store to copy from, or to.
func movable(ctx context.Context, name string, target bool) (store.Movable, error) {
	if strings.Contains(name, "://") {
		s, err := redis.Open(ctx, redis.Config{
			URL: name, Existing: !target, Importing: target, Require: []store.Durability{store.Fast},
		})
		if err != nil {
			return nil, err // not s, which would be a store
		}
		return s, nil
	}
	s, err := embedded.Open(embedded.Options{Dir: name, Existing: !target, Importing: target})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func closing(s store.Store, err *error) { *err = errors.Join(*err, s.Close()) }

// Backup backs an embedded store up that no gateway uses [STORE-5].
func (Stores) Backup(ctx context.Context, data, to string) (err error) {
	s, err := embedded.Open(embedded.Options{Dir: data, Existing: true})
	if err != nil {
		return err
	}
	defer closing(s, &err)
	return s.Backup(ctx, to)
}

// Restore makes a data directory of a backup [STORE-5].
func (Stores) Restore(ctx context.Context, from, data string) (actors int, err error) {
	return embedded.Restore(ctx, embedded.Options{Dir: data}, from)
}
