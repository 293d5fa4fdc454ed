package config

import (
	"log/slog"
	"strings"
	"time"
)

// Setting is one configurable value: its name in a file, what it is, and how it is written.
type Setting struct {
	// Key is the name in a file.
	Key string
	// Help is one line for a user.
	Help string
	// Form names the value in help texts: "host:port".
	Form string
	// Repeats marks a list: a repeated flag, separated by commas in the environment, an array in a file.
	Repeats bool
	// Switch marks a value that a flag may leave out.
	Switch bool

	// hidden values are not repeated in errors.
	hidden bool
	// set replaces the value; several texts only if it repeats.
	set func(texts []string) error
	// show is the value without its secrets.
	show func() string
}

// Flag is the setting's flag, without the hyphens before it.
func (s Setting) Flag() string { return strings.ReplaceAll(s.Key, "_", "-") }

// Variable is the setting's environment variable.
func (s Setting) Variable() string { return "STAGEDOOR_" + strings.ToUpper(s.Key) }

// Value is the value as it stands, for display.
func (s Setting) Value() string { return s.show() }

// Settings is the table of everything in c that users may set; setting one changes c.
func (c *Config) Settings() []Setting {
	settings := []Setting{
		text("listen", "host:port", "address of the HTTP endpoints and WebSockets", &c.Listen, checkListen),
		texts("runner_listen", "url", "more addresses for runners: tcp://host:port or unix:///path",
			&c.RunnerListen, checkRunnerListen),
		text("tls_cert", "file", "certificate and its chain, PEM; with it the address takes TLS, and HTTP/3 over UDP", &c.TLSCert, anything),
		text("tls_key", "file", "key of the certificate, PEM", &c.TLSKey, anything),
		boolean("no_http3", "serve no HTTP/3", &c.NoHTTP3),
		store(&c.Store),
		texts("durability", "class", "class that the store must be able to give: fast, disk, replicated", &c.Durability, checkDurability),
		boolean("accept_data_loss", "open a Redis that was emptied or exchanged since it was last used", &c.AcceptDataLoss),
		boolean("strict_reads", "ask the store who owns an actor before each of its answers, instead of trusting leases", &c.StrictReads),
		text("data", "directory", "directory of the embedded store, and of what is remembered of a Redis", &c.Data, checkPresent),
		text("backup_dir", "directory", "where backups of the embedded store are made; the data directory with -backups behind it", &c.BackupDir, anything),
		text("region", "name", "region in the ids of new actors", &c.Region, checkRegion),
		secrets("client_token", "token of clients: call, connect, create, describe", &c.ClientTokens),
		secrets("runner_token", "token of runners", &c.RunnerTokens),
		secrets("admin_token", "token of admins: also destroy, list, metrics", &c.AdminTokens),
		boolean("insecure", "let everybody do everything, without tokens", &c.Insecure),
		texts("allowed_origin", "origin", "web origin whose pages may use the gateway: https://example.com, or *",
			&c.AllowedOrigins, checkOrigin),
		prefixes("trusted_proxy", "addresses of proxies whose X-Forwarded-For is believed: 10.0.0.0/8", &c.TrustedProxies),
		duration("drain_timeout", "time between SIGTERM and the end", &c.DrainTimeout, time.Second, 10*time.Minute),
		duration("resume_wait", "time that a client's session outlives its socket, to be resumed", &c.ResumeWait, time.Second, time.Hour),
		level("log_level", "least level to log: debug, info, warn, error", &c.LogLevel),
	}
	return append(settings, limitSettings(&c.Limits)...)
}

// String is the configuration on one line, without its secrets.
func (c Config) String() string {
	var b strings.Builder
	for i, s := range c.Settings() {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s.Key + "=" + s.show())
	}
	return b.String()
}

// GoString is String, so that no verb shows more.
func (c Config) GoString() string { return c.String() }

// LogValue is the configuration in a log: what is not as Default has it, without secrets.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	usual := Default()
	defaults := usual.Settings()
	for i, s := range c.Settings() {
		if value := s.show(); value != defaults[i].show() {
			attrs = append(attrs, slog.String(s.Key, value))
		}
	}
	return slog.GroupValue(attrs...)
}
