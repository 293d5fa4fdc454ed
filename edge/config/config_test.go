package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/config"
)

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stagedoor.toml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestTheStrongerSourceWins(t *testing.T) {
	inFile := `listen = "127.0.0.1:1"` + "\n" + `allowed_origin = ["https://file.example"]`
	for _, c := range []struct {
		name    string
		sources config.Sources
		listen  string
	}{
		{"defaults alone", config.Sources{}, "127.0.0.1:6420"},
		{"a file over defaults", config.Sources{File: file(t, inFile)}, "127.0.0.1:1"},
		{
			"the environment over a file",
			config.Sources{File: file(t, inFile), Env: env("STAGEDOOR_LISTEN", "127.0.0.1:2")},
			"127.0.0.1:2",
		},
		{
			"flags over all",
			config.Sources{
				File: file(t, inFile), Env: env("STAGEDOOR_LISTEN", "127.0.0.1:2"),
				Flags: map[string][]string{"listen": {"127.0.0.1:3"}},
			},
			"127.0.0.1:3",
		},
		{"an empty variable is none", config.Sources{File: file(t, inFile), Env: env("STAGEDOOR_LISTEN", "")}, "127.0.0.1:1"},
		{"the file named by a variable", config.Sources{Env: env("STAGEDOOR_CONFIG", file(t, inFile))}, "127.0.0.1:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := config.Load(config.Default(), c.sources)
			if err != nil {
				t.Fatal(err)
			}
			if got.Listen != c.listen {
				t.Errorf("listen is %q, not %q", got.Listen, c.listen)
			}
		})
	}
}

func TestEverySourceFillsEverySetting(t *testing.T) {
	want := config.Config{
		Listen: ":1", TLSCert: "c.pem", TLSKey: "k.pem", NoHTTP3: true, RunnerListen: []string{"tcp://:2", "unix:///run/s"}, Store: "redis://u:p@h:1,i:2/3?cluster=false",
		Durability: []string{"fast", "disk"}, AcceptDataLoss: true, StrictReads: true, Data: "d", BackupDir: "b", Region: "eu-1",
		ClientTokens: []config.Secret{"c1", "c2"}, RunnerTokens: []config.Secret{"r"}, AdminTokens: []config.Secret{"a"},
		Insecure: true, AllowedOrigins: []string{"https://a.example", "http://b.example:8080"},
		DrainTimeout: 5 * time.Second, ResumeWait: time.Minute, LogLevel: slog.LevelDebug,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}
	values := map[string][]string{
		"listen": {":1"}, "tls_cert": {"c.pem"}, "tls_key": {"k.pem"}, "no_http3": {"true"}, "runner_listen": {"tcp://:2", "unix:///run/s"}, "store": {"redis://u:p@h:1,i:2/3?cluster=false"},
		"durability": {"fast", "disk"}, "accept_data_loss": {"true"}, "strict_reads": {"true"}, "data": {"d"}, "backup_dir": {"b"},
		"region": {"eu-1"}, "client_token": {"c1", "c2"}, "runner_token": {"r"}, "admin_token": {"a"}, "insecure": {"true"},
		"allowed_origin": {"https://a.example", "http://b.example:8080"}, "drain_timeout": {"5s"}, "resume_wait": {"1m"}, "log_level": {"debug"},
		"trusted_proxy": {"10.0.0.0/8", "::1/128"},
	}
	plain := len(values)
	var content strings.Builder
	var variables []string
	base := config.Default()
	for _, s := range base.Settings() {
		if strings.HasPrefix(s.Key, "limit_") { // each another number
			limit := reflect.ValueOf(&want.Limits).Elem().Field(len(values) - plain)
			limit.SetInt(int64(len(values) * 10))
			values[s.Key] = []string{fmt.Sprint(limit)}
		}
		texts := values[s.Key]
		variables = append(variables, s.Variable(), strings.Join(texts, ","))
		switch {
		case s.Repeats:
			list, _ := json.Marshal(texts)
			fmt.Fprintf(&content, "%s = %s\n", s.Key, list)
		case s.Switch, strings.HasPrefix(s.Key, "limit_"):
			fmt.Fprintf(&content, "%s = %s\n", s.Key, texts[0])
		default:
			fmt.Fprintf(&content, "%s = %q\n", s.Key, texts[0])
		}
	}
	for name, sources := range map[string]config.Sources{
		"file":        {File: file(t, content.String())},
		"environment": {Env: env(variables...)},
		"flags":       {Flags: values},
	} {
		got, err := config.Load(config.Default(), sources)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v", name, got)
		}
	}
}

func TestFaultsNameTheirPlaceAndTheRemedy(t *testing.T) {
	for _, c := range []struct {
		name    string
		sources config.Sources
		want    []string
	}{
		{"flag", config.Sources{Flags: map[string][]string{"listen": {"6420"}}}, []string{`--listen "6420"`, "host:port"}},
		{
			"variable",
			config.Sources{Env: env("STAGEDOOR_DRAIN_TIMEOUT", "soon")},
			[]string{`STAGEDOOR_DRAIN_TIMEOUT "soon"`, "such as 30s"},
		},
		{"file", config.Sources{File: file(t, "region = \"Europe!\"")}, []string{`stagedoor.toml: key region "Europe!"`, "a-z"}},
		{"unknown key", config.Sources{File: file(t, "lisen = \":1\"")}, []string{`unknown key "lisen"`, "listen"}},
		{"unknown table", config.Sources{File: file(t, "[tokens]\nclient = \"x\"")}, []string{`unknown key "tokens"`}},
		{"syntax", config.Sources{File: file(t, "a = 1\nlisten = :1\n")}, []string{"stagedoor.toml", "line 2"}},
		{"wrong type", config.Sources{File: file(t, "listen = 1.5")}, []string{"key listen", "write a text"}},
		{"list for one", config.Sources{File: file(t, "data = [\"a\", \"b\"]")}, []string{"key data", "not a list"}},
		{"list of numbers", config.Sources{File: file(t, "client_token = [1]")}, []string{"texts only"}},
		{"no such file", config.Sources{File: "nowhere.toml"}, []string{"nowhere.toml", "no such file"}},
		{"a store that is none", config.Sources{Flags: map[string][]string{"store": {"mysql://h"}}}, []string{"redis://host:port"}},
		{"store", config.Sources{Flags: map[string][]string{"store": {"sqlite"}}}, []string{"embedded"}},
		{"tls", config.Sources{Flags: map[string][]string{"runner_listen": {"tls://:1"}}}, []string{"TLS proxy"}},
		{"runner listen", config.Sources{Flags: map[string][]string{"runner_listen": {":1"}}}, []string{"tcp://host:port"}},
		{"port", config.Sources{Flags: map[string][]string{"listen": {"a:99999"}}}, []string{"65535"}},
		{"origin", config.Sources{Flags: map[string][]string{"allowed_origin": {"https://a/b"}}}, []string{"without a path"}},
		{"level", config.Sources{Flags: map[string][]string{"log_level": {"loud"}}}, []string{"debug, info"}},
		{"switch", config.Sources{Env: env("STAGEDOOR_INSECURE", "perhaps")}, []string{"true or false"}},
		{"limit", config.Sources{Flags: map[string][]string{"limit_max_calls": {"0"}}}, []string{"--limit-max-calls", "from 1 to"}},
		{"no number", config.Sources{Env: env("STAGEDOOR_LIMIT_MAX_STATE", "8MiB")}, []string{"STAGEDOOR_LIMIT_MAX_STATE", "a number"}},
		{"proxy", config.Sources{Flags: map[string][]string{"trusted_proxy": {"10.0.0.1"}}}, []string{"10.0.0.0/8"}},
		{"data", config.Sources{Flags: map[string][]string{"data": {""}}}, []string{"--data", "empty"}},
		{
			"two at once",
			config.Sources{Flags: map[string][]string{"listen": {"x"}, "region": {"X"}}},
			[]string{"--listen", "--region"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Load(config.Default(), c.sources)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestTokensOrInsecure(t *testing.T) {
	token := []config.Secret{"t"}
	for _, c := range []struct {
		name                  string
		client, runner, admin []config.Secret
		insecure              bool
		want                  string
	}{
		{name: "neither", want: "--insecure (STAGEDOOR_INSECURE)"},
		{name: "both", client: token, runner: token, insecure: true, want: "contradicts"},
		{name: "no runner", client: token, want: "--runner-token"},
		{name: "nobody to call", runner: token, want: "--client-token"},
		{name: "tokens", client: token, runner: token},
		{name: "an admin is a client", admin: token, runner: token},
		{name: "insecure", insecure: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config.Default()
			cfg.ClientTokens, cfg.RunnerTokens, cfg.AdminTokens, cfg.Insecure = c.client, c.runner, c.admin, c.insecure
			err := cfg.Validate()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	cfg := config.Default()
	cfg.ClientTokens = []config.Secret{"hush1"}
	cfg.RunnerTokens = []config.Secret{"hush2"}
	cfg.AdminTokens = []config.Secret{"hush3"}
	cfg.Store = "redis://user:hush4@hush4@host:1,host:2/0?sentinel_password=hush7"
	encoded, err := json.Marshal(cfg.ClientTokens)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "config", cfg, "token", cfg.ClientTokens[0])
	_, faulty := config.Load(config.Default(), config.Sources{
		Env:   env("STAGEDOOR_CLIENT_TOKEN", "hush5 with a space"),
		Flags: map[string][]string{"store": {"mysql://user:hush6@host"}},
	})
	shown := []string{
		cfg.String(), string(encoded), logged.String(), faulty.Error(),
		fmt.Sprint(cfg), fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg), fmt.Sprintf("%v %q %x %#v", cfg.ClientTokens,
			cfg.ClientTokens, cfg.ClientTokens, cfg.ClientTokens),
	}
	for _, text := range shown {
		if strings.Contains(text, "hush") || strings.Contains(text, fmt.Sprintf("%x", "hush")) {
			t.Errorf("a secret is shown: %s", text)
		}
	}
	if got := config.Reveal(cfg.ClientTokens); got[0] != "hush1" {
		t.Errorf("revealed %q", got)
	}
}

func TestOnlyWhatIsNotUsualIsLogged(t *testing.T) {
	cfg := config.Default()
	line := func() string {
		var logged strings.Builder
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "config", cfg)
		_, rest, _ := strings.Cut(logged.String(), "msg=x")
		return strings.TrimSpace(rest)
	}
	if got := line(); got != "" {
		t.Errorf("of the defaults, %s is logged", got)
	}
	cfg.Region, cfg.ResumeWait, cfg.Limits.MaxCalls, cfg.RunnerTokens = "eu-1", time.Minute, 7, []config.Secret{"hush"}
	const want = `config.region=eu-1 config.runner_token="[1 redacted]" config.resume_wait=1m0s config.limit_max_calls=7`
	if got := line(); got != want {
		t.Errorf("logged %s, want %s", got, want)
	}
}

func TestEverySettingIsDocumented(t *testing.T) {
	cfg := config.Default()
	for _, s := range cfg.Settings() {
		if s.Help == "" || s.Form == "" && !s.Switch {
			t.Errorf("%s has no help", s.Key)
		}
	}
}
