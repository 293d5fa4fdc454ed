package redis

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

func TestURLs(t *testing.T) {
	for raw, want := range map[string]endpoint{
		"redis://a":                   {seeds: []string{"a:6379"}},
		"redis://a:1,b:2/3":           {seeds: []string{"a:1", "b:2"}, db: 3},
		"redis://u:p%40w@a/":          {seeds: []string{"a:6379"}, user: "u", password: "p@w"},
		"redis://:p@w@a":              {seeds: []string{"a:6379"}, password: "p@w"},
		"redis://[::1]:7,[::2]":       {seeds: []string{"[::1]:7", "[::2]:6379"}},
		"redis://a,b?master=m":        {seeds: []string{"a:26379", "b:26379"}, master: "m"},
		"redis://a:1?cluster=true":    {seeds: []string{"a:1"}, cluster: "true"},
		"redis://a:1?prefix=x-1:":     {seeds: []string{"a:1"}, prefix: "x-1:"},
		"redis://a:1?replicas=2":      {seeds: []string{"a:1"}, replicas: 2},
		"rediss://a:1?server_name=sn": {seeds: []string{"a:1"}},
	} {
		got, err := parseURL(raw)
		if err != nil {
			t.Error(err)
			continue
		}
		if !slices.Equal(got.seeds, want.seeds) || got.db != want.db || got.user != want.user ||
			got.password != want.password || got.master != want.master || got.cluster != want.cluster ||
			got.prefix != want.prefix || got.replicas != max(1, want.replicas) {
			t.Errorf("%s: %+v", raw, got)
		}
		if secure := strings.HasPrefix(raw, "rediss"); secure != (got.tls != nil) || secure && got.tls.ServerName != "sn" {
			t.Errorf("%s: TLS %v", raw, got.tls)
		}
	}
}

func TestMalformedURLsAreRefusedWithoutThePassword(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "ca")
	if err := os.WriteFile(notPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for raw, why := range map[string]string{
		"pebble://u:sesame@a":                            "must begin with",
		"u:sesame@a":                                     "must begin with",
		"redis://u:sesame@":                              "not host:port",
		"redis://u:sesame@a:x":                           "not host:port",
		"redis://u:sesame@a:70000":                       "not host:port",
		"redis://u:sesame@a,,b":                          "not host:port",
		"redis://u:sesame@a/x":                           "not a number",
		"redis://u:sesame@a/-1":                          "not a number",
		"redis://u:sesame%zz@a":                          "percent-encode",
		"redis://u:sesame@a?b=%zz":                       "percent-encode",
		"redis://sesame@a":                               "needs a password",
		"redis://u:sesame@a?colour=red":                  "not known",
		"redis://u:sesame@a?prefix={p1}:":                "up to 64 of",
		"redis://u:sesame@a?replicas=0":                  "1 to 16",
		"redis://u:sesame@a?replicas=all":                "1 to 16",
		"redis://u:sesame@a?cluster=maybe":               "true or false",
		"redis://u:sesame@a/1?cluster=true":              "database 0 only",
		"redis://u:sesame@a?cluster=true&master=m":       "no Sentinels",
		"redis://u:sesame@a?master=m&master=n":           "2 times",
		"redis://u:sesame@a?sentinel_password=sesame":    "need master",
		"redis://u:sesame@a?ca=x":                        "need rediss",
		"rediss://u:sesame@a?ca=/nowhere/ca":             "read ca",
		"rediss://u:sesame@a?ca=" + notPEM:               "no certificate",
		"rediss://u:sesame@a?cert=x":                     "belong together",
		"rediss://u:sesame@a?cert=/nowhere&key=/nowhere": "read cert and key",
	} {
		_, err := parseURL(raw)
		switch {
		case err == nil:
			t.Errorf("%s: taken", raw)
		case strings.Contains(err.Error(), "sesame"):
			t.Errorf("%s: the error tells the password: %v", raw, err)
		case !strings.Contains(err.Error(), why):
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestIdentityIsTheStoresNotTheVisitors(t *testing.T) {
	identity := func(raw, prefix string) string {
		e, err := parseURL(raw)
		if err != nil {
			t.Fatal(err)
		}
		return e.identity(prefix)
	}
	one := identity("redis://u:p@b:2,a", "x:")
	if identity("redis://a:6379,b:2/0", "x:") != one {
		t.Error("user or order change the identity")
	}
	for _, other := range []string{identity("redis://b:2,a", "y:"), identity("redis://b:2,a/1", "x:"), identity("redis://b:2", "x:")} {
		if other == one {
			t.Errorf("%s names two stores", one)
		}
	}
}

// Two prefixes are two stores of one database.
func TestThePrefixOfTheURLCounts(t *testing.T) {
	servers := redistest.Standalone(t, redistest.Options{})
	one := mustDial(t, Config{URL: servers.URL() + "?prefix=one:"})
	two := mustDial(t, Config{URL: servers.URL() + "?prefix=two:"})
	for c, prefix := range map[*client]string{one: "one:", two: "two:"} {
		if c.cfg.Prefix != prefix {
			t.Errorf("prefix %q, not %q", c.cfg.Prefix, prefix)
		}
		if n := servers.Nodes[0].Must("EXISTS", prefix+"{cluster}:m"); n != int64(1) {
			t.Errorf("%d stores begin with %s", n, prefix)
		}
	}
}

// Slots as the Cluster specification has them.
func TestSlotsAreThoseOfRedis(t *testing.T) {
	n := redistest.Cluster(t, redistest.Options{}, 1, 0).Nodes[0]
	for _, key := range []string{"123456789", "{user1000}.following", "foo{}{bar}", "foo{{bar}}zap", "foo{bar}{zap}", "stagedoor:{p17}:a:x", "{", "}{"} {
		if want := n.Must("CLUSTER", "KEYSLOT", key); want != int64(slotOf(key)) {
			t.Errorf("%q: slot %d, want %v", key, slotOf(key), want)
		}
	}
}

// An ACL user and a client certificate are needed to get in, and enough.
func TestTLSAndUsers(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{TLS: true, User: "gate", Password: "ses:am/e@"})
	c := mustDial(t, Config{URL: s.URL()})
	if got := c.value(t, 1); got != "" {
		t.Errorf("value %q", got)
	}
	wrong := strings.Replace(s.URL(), "gate:", "gate:x", 1)
	if _, err := dial(t, Config{URL: wrong}); err == nil || strings.Contains(err.Error(), "am/e") || strings.Contains(err.Error(), "ses:am") {
		t.Errorf("with another password: %v", err)
	}
	bare, _, _ := strings.Cut(s.URL(), "?")
	if _, err := dial(t, Config{URL: bare}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the authority: %v", err)
	}
}
