package cli_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/edge/cli"
)

// fakeStores notes what it is asked for.
type fakeStores struct {
	asked string
	err   error
}

func (f *fakeStores) Copy(_ context.Context, from, to string, progress func(string, int)) (int, int64, error) {
	f.asked = "copy " + from + " " + to
	for n := range 1024 {
		progress("copied", n+1)
	}
	return 3, 99, f.err
}

func (f *fakeStores) Backup(_ context.Context, data, to string) error {
	f.asked = "backup " + data + " " + to
	return f.err
}

func (f *fakeStores) Restore(_ context.Context, from, data string) (int, error) {
	f.asked = "restore " + from + " " + data
	return 5, f.err
}

func TestStoreCommands(t *testing.T) {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.RequestURI != "/v1/store/backup?name=monday" || r.Header.Get("Authorization") != "Bearer hush" {
			t.Errorf("%s %s %v", r.Method, r.RequestURI, r.Header)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"backup":{"name":"monday","path":"/backups/monday"}}`))
	}))
	defer gateway.Close()
	for _, c := range []struct {
		args        []string
		err         error
		code        int
		asked, want string
	}{
		{[]string{"copy", "--from", "d", "--to", "redis://h"}, nil, 0, "copy d redis://h", "3 actors with 99 bytes copied"},
		{[]string{"copy", "--from", "d"}, nil, 0, "copy d redis://:hush@h", "1024 partitions copied"},
		{[]string{"copy", "--from", "d"}, errors.New("no room"), 1, "copy d redis://:hush@h", "copy the store: no room"},
		{[]string{"copy", "--help"}, nil, 0, "", "STAGEDOOR_TO"},
		{[]string{"copy", "d", "e"}, nil, 2, "", "unknown command"},
		{[]string{"backup", "--data", "d", "b"}, nil, 0, "backup d b", "b\n"},
		{[]string{"backup", "monday"}, nil, 0, "", `"/backups/monday"`},
		{[]string{"backup"}, nil, 2, "", "accepts 1 arg"},
		{[]string{"restore", "--from", "b", "--data", "d"}, nil, 0, "restore b d", "5 actors restored"},
		{[]string{"restore", "--from", "b"}, nil, 2, "", "--from and --data"},
	} {
		stores := &fakeStores{err: c.err}
		var out bytes.Buffer
		code := cli.Main(cli.Program{
			Args: append([]string{"store"}, c.args...), Stdout: &out, Stderr: &out, Stores: stores,
			Env: func(name string) string {
				return map[string]string{
					"STAGEDOOR_TO": "redis://:hush@h", "STAGEDOOR_ENDPOINT": gateway.URL, "STAGEDOOR_TOKEN": "hush",
				}[name]
			},
		})
		if code != c.code || stores.asked != c.asked || !strings.Contains(out.String(), c.want) {
			t.Errorf("%v: exit %d, asked %q, said %s", c.args, code, stores.asked, out.String())
		}
		if strings.Contains(out.String(), "hush") {
			t.Errorf("%v: the secret is told: %s", c.args, out.String())
		}
	}
}
