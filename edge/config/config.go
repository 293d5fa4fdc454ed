// Package config is the configuration of the process: one struct, filled from flags, the environment, a file and
// defaults, in this order of strength, and validated as a whole.
//
// Every setting has one name in three spellings: `runner_token` is the flag --runner-token, the variable
// STAGEDOOR_RUNNER_TOKEN and the key runner_token of a TOML file. Unknown keys of a file are refused. An error says in
// which of the three the fault stands and what would be right. Secrets are never printed. The package reads nothing but
// the file; edge/cli gives it the rest. A Config is a plain value.
package config

import (
	"crypto/sha256"
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Config is everything that can be configured. Beside each field stands its default.
type Config struct {
	// Listen is where clients, runners and admins reach the HTTP endpoints: host:port. 127.0.0.1:6420.
	Listen string
	// RunnerListen are more addresses for runners that speak the runner protocol without WebSocket: tcp://host:port or
	// unix:///path. None.
	RunnerListen []string
	// Store is where durable state lives: embedded, or a Redis by its URL, redis:// or rediss:// over TLS; what may stand in
	// it says docs/operations.md. embedded.
	Store string
	// Durability are classes that the store must be able to give: fast, disk, replicated. Without them the gateway does not
	// start. None.
	Durability []string
	// AcceptDataLoss opens a Redis that was emptied or exchanged since the gateway last used it. No.
	AcceptDataLoss bool
	// StrictReads has a Redis confirm the owner of an actor before anything that it says leaves the gateway, also where it has
	// changed nothing; otherwise leases are trusted [READ-2]. No.
	StrictReads bool
	// Data is the directory of the embedded store, and of what is remembered of a Redis. stagedoor-data.
	Data string
	// BackupDir is where backups of the embedded store are made. Data with -backups behind it.
	BackupDir string
	// TLSCert and TLSKey are PEM files, read again when they change: a certificate with its chain, and its key. Without them the
	// gateway speaks plain text, and in development also TLS with a certificate that it makes [TLS-1] [TLS-2]. None.
	TLSCert, TLSKey string
	// NoHTTP3 leaves UDP alone; else a gateway with a certificate serves HTTP/3 on the same port [HTTP-9]. No.
	NoHTTP3 bool
	// Region begins the id of every actor that is created here: 1 to 32 of a-z, 0-9 and inner hyphens. local.
	Region string
	// ClientTokens let their bearers call, connect, create and describe. None.
	ClientTokens []Secret
	// RunnerTokens let runners register. None.
	RunnerTokens []Secret
	// AdminTokens let their bearers also destroy, list and read metrics. None.
	AdminTokens []Secret
	// Insecure lets everybody do everything, without tokens. No.
	Insecure bool
	// AllowedOrigins are the web pages whose scripts may use the gateway: scheme://host[:port], or *. The gateway's own.
	AllowedOrigins []string
	// DrainTimeout bounds the way from SIGTERM to the end of the process. 25s.
	DrainTimeout time.Duration
	// ResumeWait is how long a client's session waits for another socket [SESS-15]. 30s.
	ResumeWait time.Duration
	// TrustedProxies may say in X-Forwarded-For whom a request counts for. None.
	TrustedProxies []netip.Prefix
	// Limits are the limits of the gateway. wire.DefaultLimits.
	Limits wire.Limits
	// LogLevel is the least level that is logged: debug, info, warn, error. info.
	LogLevel slog.Level

	// The rest is not for users: the command sets it.

	// Development passes the text of users' errors on and answers any origin.
	Development bool
	// RequireRunner keeps /readyz red until a runner has registered.
	RequireRunner bool
	// CertificateHashes are those of the certificate that was made for development, for /v1/metadata. nil: there is none.
	CertificateHashes func() [][sha256.Size]byte
	// Patience is how long to wait for what a predecessor still holds: the data directory and the port.
	Patience time.Duration
}

// Default is the configuration of a gateway that was told nothing.
func Default() Config {
	return Config{
		Listen:       "127.0.0.1:6420",
		Store:        Embedded,
		Data:         "stagedoor-data",
		Region:       "local",
		DrainTimeout: 25 * time.Second,
		ResumeWait:   30 * time.Second,
		LogLevel:     slog.LevelInfo,
		Limits:       wire.DefaultLimits(),
	}
}

// Embedded is the store of one machine.
const Embedded = "embedded"

// Backups is BackupDir, or what stands for it.
func (c Config) Backups() string {
	if c.BackupDir != "" {
		return c.BackupDir
	}
	return filepath.Clean(c.Data) + "-backups"
}
