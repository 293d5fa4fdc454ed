package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
)

// Checks of single values. Their errors follow the name and the value of the setting and say what would be right.

func checkPresent(t string) error {
	if t == "" {
		return errors.New("it must not be empty")
	}
	return nil
}

func anything(string) error { return nil }

func checkListen(t string) error {
	_, port, err := net.SplitHostPort(t)
	if err != nil {
		return errors.New("write host:port, such as 127.0.0.1:6420, or :6420 for all addresses")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errors.New("the port is a number up to 65535; 0 takes a free one")
	}
	return nil
}

func checkRunnerListen(t string) error {
	scheme, rest, ok := strings.Cut(t, "://")
	switch {
	case ok && scheme == "tcp":
		return checkListen(rest)
	case ok && scheme == "unix" && rest != "":
		return nil
	case ok && scheme == "tls":
		return errors.New("TLS is not available here yet; put a TLS proxy in front of a tcp:// address")
	}
	return errors.New("write tcp://host:port or unix:///path")
}

func checkStore(t string) error {
	switch scheme, rest, _ := strings.Cut(t, "://"); {
	case t == Embedded, (scheme == "redis" || scheme == "rediss") && rest != "":
		return nil
	}
	return errors.New("write embedded, redis://host:port or rediss://host:port")
}

func checkDurability(t string) error {
	switch t {
	case "fast", "disk", "replicated":
		return nil
	}
	return errors.New("write fast, disk or replicated")
}

func checkRegion(t string) error {
	if err := address.ValidateRegion(t); err != nil {
		return errors.New("write 1 to 32 of a-z, 0-9 and inner hyphens")
	}
	return nil
}

func checkOrigin(t string) error {
	if t == "*" {
		return nil
	}
	u, err := url.Parse(t)
	if err != nil || u.Scheme == "" || u.Host == "" || u.String() != u.Scheme+"://"+u.Host {
		return errors.New("write scheme://host or scheme://host:port without a path, or *")
	}
	return nil
}

// checkToken refuses what no Authorization header can carry. It does not repeat the token.
func checkToken(t string) error {
	if t == "" {
		return errors.New("a token must not be empty")
	}
	for i := range len(t) {
		if t[i] <= ' ' || t[i] > '~' {
			return errors.New("a token has only visible ASCII characters and no spaces")
		}
	}
	return nil
}

// Validate checks what no single setting can tell.
func (c Config) Validate() error {
	if err := checkLimits(c.Limits); err != nil {
		return err
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fmt.Errorf("a certificate and its key belong together: set both %s and %s", names("tls_cert"), names("tls_key"))
	}
	tokens := len(c.ClientTokens) + len(c.RunnerTokens) + len(c.AdminTokens)
	switch {
	case c.Insecure && tokens > 0:
		return fmt.Errorf("%s contradicts the tokens that are configured: drop one or the other", names("insecure"))
	case c.Insecure:
		return nil
	case tokens == 0:
		return fmt.Errorf("no tokens are configured: set %s, %s and %s, or %s to let everybody in",
			names("client_token"), names("runner_token"), names("admin_token"), names("insecure"))
	case len(c.RunnerTokens) == 0:
		return fmt.Errorf("no runner could register: set %s", names("runner_token"))
	case len(c.ClientTokens)+len(c.AdminTokens) == 0:
		return fmt.Errorf("nobody could call an actor: set %s or %s", names("client_token"), names("admin_token"))
	}
	return nil
}

// names is a setting in all the places where it may stand.
func names(key string) string {
	s := Setting{Key: key}
	return fmt.Sprintf("--%s (%s)", s.Flag(), s.Variable())
}
