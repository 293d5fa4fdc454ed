package assemble_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/edge/assemble"
	"github.com/stagedoor-dev/stagedoor/edge/cli"
	"github.com/stagedoor-dev/stagedoor/edge/config"
	"github.com/stagedoor-dev/stagedoor/edge/serve"
	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/embedded"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

func post(t *testing.T, g serve.Gateway, path string) (int, string) {
	t.Helper()
	answer := httptest.NewRecorder()
	g.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), "POST", path, nil))
	return answer.Code, answer.Body.String()
}

// [HTTP-8] [STORE-5]
func TestAGatewayBacksItsStoreUp(t *testing.T) {
	cfg := inside(t)
	cfg.BackupDir = filepath.Join(t.TempDir(), "backups")
	g := open(t, cfg)
	defer g.Close()
	code, body := post(t, g, "/v1/store/backup?name=monday")
	var answer struct {
		Backup struct{ Name, Path string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || code != 201 ||
		answer.Backup.Name != "monday" || answer.Backup.Path != filepath.Join(cfg.BackupDir, "monday") {
		t.Errorf("%d %s", code, body)
	}
	if n, err := (assemble.Stores{}).Restore(t.Context(), answer.Backup.Path, filepath.Join(t.TempDir(), "data")); err != nil || n != 0 {
		t.Errorf("restored %d, %v", n, err)
	}
	for query, want := range map[string]string{
		"?name=monday": "backup_exists", "": `"invalid"`, "?name=..": `"invalid"`, "?name=a/b": `"invalid"`, "?name=.tmp": `"invalid"`,
		"?name=" + strings.Repeat("a", 65): `"invalid"`,
	} {
		if code, body := post(t, g, "/v1/store/backup"+query); code < 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", query, code, body)
		}
	}
}

// [HTTP-8]: a Redis is backed up by its own means, and nobody but an admin backs anything up.
func TestWhatAGatewayDoesNotBackUp(t *testing.T) {
	cfg := inside(t)
	cfg.Store = redistest.Standalone(t, redistest.Options{AppendOnly: true}).URL()
	g := open(t, cfg)
	defer g.Close()
	if code, body := post(t, g, "/v1/store/backup?name=a"); code != 501 || !strings.Contains(body, "docs/operations.md") {
		t.Errorf("%d %s", code, body)
	}
	cfg = inside(t)
	cfg.Insecure, cfg.ClientTokens = false, append(cfg.ClientTokens, "client")
	own := open(t, cfg)
	defer own.Close()
	if code, _ := post(t, own, "/v1/store/backup?name=a&token=client"); code != 403 {
		t.Errorf("a client: %d", code)
	}
}

// [STORE-4] [STORE-5]: by the names that users give.
func TestStoresAreCopiedAndBackedUp(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	s, err := embedded.Open(embedded.Options{Dir: data})
	if err != nil {
		t.Fatal(err)
	}
	addr := address.Address{Namespace: "default", Type: "room", Key: []string{"a"}}
	if _, _, err := s.Create(t.Context(), store.Create{Address: addr, Region: "local"}); err != nil {
		t.Fatal(err)
	}
	stores, url := assemble.Stores{}, redistest.Standalone(t, redistest.Options{AppendOnly: true}).URL()
	if _, _, err := stores.Copy(t.Context(), data, url, nil); !errors.Is(err, embedded.ErrLocked) {
		t.Errorf("of a gateway that runs: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var rounds bytes.Buffer
	actors, size, err := stores.Copy(t.Context(), data, url, func(round string, _ int) { rounds.WriteString(round) })
	if err != nil || actors != 1 || size == 0 || !strings.Contains(rounds.String(), "compared") {
		t.Errorf("%d actors, %d bytes, %v", actors, size, err)
	}
	if actors, _, err = stores.Copy(t.Context(), url, filepath.Join(root, "back"), func(string, int) {}); err != nil || actors != 1 {
		t.Errorf("back: %d, %v", actors, err)
	}
	if err := stores.Backup(t.Context(), data, filepath.Join(root, "backup")); err != nil {
		t.Error(err)
	}
	if n, err := stores.Restore(t.Context(), filepath.Join(root, "backup"), filepath.Join(root, "restored")); err != nil || n != 1 {
		t.Errorf("restored %d, %v", n, err)
	}
}

// [STORE-4] [STORE-5]: the commands over real stores, and gateways that are started on what an interruption has left.
func TestStoreCommandsOverRealStores(t *testing.T) {
	root := t.TempDir()
	data, url := filepath.Join(root, "data"), redistest.Standalone(t, redistest.Options{AppendOnly: true}).URL()
	run := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		code := cli.Main(cli.Program{
			Args: append([]string{"store"}, args...), Stdout: &out, Stderr: &out, Stores: assemble.Stores{},
			Env: func(string) string { return "" },
		})
		if code != want {
			t.Errorf("%v: exit %d, %s", args, code, out.String())
		}
		return out.String()
	}
	for _, c := range [][]string{
		{"copy", "--from", data, "--to", filepath.Join(root, "copy")},
		{"copy", "--from", url, "--to", data},
		{"backup", "--data", data, filepath.Join(root, "backup")},
		{"restore", "--from", data, "--data", filepath.Join(root, "new")},
	} {
		if said := run(1, c...); !strings.Contains(said, "there is no store") {
			t.Errorf("%v: %s", c, said)
		}
	}
	if made, err := os.ReadDir(root); err != nil || len(made) > 0 {
		t.Errorf("made in place of what is not there: %v, %v", made, err)
	}
	fillWithActors(t, data)
	for _, target := range []string{url, filepath.Join(root, "copy")} {
		ctx, interrupt := context.WithCancel(t.Context())
		if _, _, err := (assemble.Stores{}).Copy(ctx, data, target, func(string, int) { interrupt() }); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}
		cfg := inside(t)
		if cfg.Store = target; target != url {
			cfg.Store, cfg.Data = config.Embedded, target
		}
		if _, err := assemble.Gateway(t.Context(), cfg, discard); !errors.Is(err, store.ErrHalfCopied) {
			t.Errorf("a gateway on half a copy: %v", err)
		}
		if said := run(0, "copy", "--from", data, "--to", target); !strings.Contains(said, "100 actors") ||
			!strings.Contains(said, "checksums of all partitions are equal") {
			t.Errorf("copied: %s", said)
		}
		if said := run(1, "copy", "--from", data, "--to", target); !strings.Contains(said, "holds actors already") {
			t.Errorf("again: %s", said)
		}
		if err := open(t, cfg).Close(); err != nil {
			t.Errorf("a gateway on the copy: %v", err)
		}
	}
	run(0, "backup", "--data", data, filepath.Join(root, "backup")+"/")
	if said := run(0, "restore", "--from", filepath.Join(root, "backup"), "--data", filepath.Join(root, "restored")); !strings.Contains(said, "100 actors") {
		t.Errorf("restored: %s", said)
	}
}

func fillWithActors(t *testing.T, data string) {
	t.Helper()
	s, err := embedded.Open(embedded.Options{Dir: data})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		a := address.Address{Namespace: "default", Type: "room", Key: []string{fmt.Sprint(i)}}
		if _, _, err := s.Create(t.Context(), store.Create{Address: a, Region: "local", Durability: store.Fast}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
