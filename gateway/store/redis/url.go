package redis

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// endpoint is what a store URL says:
//
//	redis://[user:password@]host[:port][,host[:port]...][/db][?parameters]
//
// rediss:// is the same over TLS. Parameters:
//
//	prefix             of all keys, so that several stores can share a database; default stagedoor:
//	replicas           how many acknowledge class replicated, 1 to 16; default 1
//	master             the hosts are Sentinels that watch a master of this name
//	sentinel_user, sentinel_password
//	cluster            true or false; without it the servers are asked
//	ca, cert, key      files: the authorities to trust instead of the system's, our certificate
//	server_name        the name in the servers' certificate, if they are reached by another one
type endpoint struct {
	seeds            []string // host:port
	user, password   string
	db               int
	prefix           string // empty: defaultPrefix
	replicas         int
	master           string
	sentinelUser     string
	sentinelPassword string
	cluster          string // true, false; empty: ask
	tls              *tls.Config
}

const (
	defaultPort  = "6379"
	sentinelPort = "26379"
	maxReplicas  = 16
)

// prefixForm leaves out what has a meaning for Redis: braces for hash tags, the characters of patterns.
var prefixForm = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{0,64}$`)

var errClusterDB = errors.New("a Cluster has database 0 only; leave out the number")

// parseURL never names the password in an error.
func parseURL(raw string) (*endpoint, error) {
	e, err := parseEndpoint(raw)
	if err != nil {
		return nil, fmt.Errorf("store URL %s: %w", redact(raw), err)
	}
	return e, nil
}

func parseEndpoint(raw string) (*endpoint, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	secure := scheme == "rediss"
	if !ok || scheme != "redis" && !secure {
		return nil, errors.New("it must begin with redis:// or rediss://")
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	e := &endpoint{}
	hosts := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		hosts = authority[i+1:]
		if err := e.setUser(authority[:i]); err != nil {
			return nil, err
		}
	}
	u, err := url.Parse(tail)
	if err != nil {
		return nil, errors.New("what follows the hosts is malformed; percent-encode special characters")
	}
	if err := e.setDB(u.Path); err != nil {
		return nil, err
	}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the parameters are malformed; percent-encode special characters")
	}
	if err := e.setParameters(parameters, secure); err != nil {
		return nil, err
	}
	return e, e.setSeeds(hosts)
}

func (e *endpoint) setUser(info string) error {
	user, password, _ := strings.Cut(info, ":")
	var err, err2 error
	e.user, err = url.PathUnescape(user)
	e.password, err2 = url.PathUnescape(password)
	if err != nil || err2 != nil {
		return errors.New("user or password are malformed; percent-encode special characters")
	}
	if e.password == "" {
		return errors.New("a user needs a password: user:password@host")
	}
	return nil
}

func (e *endpoint) setDB(path string) error {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	db, err := strconv.Atoi(path)
	if err != nil || db < 0 {
		return fmt.Errorf("database %q is not a number", path)
	}
	e.db = db
	return nil
}

// single takes one value of a parameter off the list.
func single(parameters url.Values, name string) (string, error) {
	values := parameters[name]
	delete(parameters, name)
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", fmt.Errorf("parameter %s stands there %d times", name, len(values))
}

func (e *endpoint) setParameters(parameters url.Values, secure bool) error {
	var ca, cert, key, serverName, replicas string
	for name, into := range map[string]*string{
		"prefix": &e.prefix, "replicas": &replicas, "master": &e.master, "sentinel_user": &e.sentinelUser, "sentinel_password": &e.sentinelPassword,
		"cluster": &e.cluster, "ca": &ca, "cert": &cert, "key": &key, "server_name": &serverName,
	} {
		value, err := single(parameters, name)
		if err != nil {
			return err
		}
		*into = value
	}
	for name := range parameters {
		return fmt.Errorf("parameter %q is not known", name)
	}
	if err := e.setReplicas(cmp.Or(replicas, "1")); err != nil {
		return err
	}
	switch {
	case !prefixForm.MatchString(e.prefix):
		return fmt.Errorf("prefix %q: it has up to 64 of A-Z, a-z, 0-9 and - _ . : /", e.prefix)
	case e.cluster != "" && e.cluster != "true" && e.cluster != "false":
		return fmt.Errorf("cluster=%s: it is true or false", e.cluster)
	case e.cluster == "true" && e.master != "":
		return errors.New("a Cluster has no Sentinels: leave out cluster or master")
	case e.cluster == "true" && e.db != 0:
		return errClusterDB
	case e.master == "" && (e.sentinelUser != "" || e.sentinelPassword != ""):
		return errors.New("sentinel_user and sentinel_password need master, the name of the master that the Sentinels watch")
	case !secure && (ca != "" || cert != "" || key != "" || serverName != ""):
		return errors.New("ca, cert, key and server_name need rediss://")
	case !secure:
		return nil
	}
	return e.setTLS(ca, cert, key, serverName)
}

func (e *endpoint) setReplicas(value string) (err error) {
	if e.replicas, err = strconv.Atoi(value); err != nil || e.replicas < 1 || e.replicas > maxReplicas {
		return fmt.Errorf("replicas=%s: it is 1 to %d", value, maxReplicas)
	}
	return nil
}

func (e *endpoint) setTLS(ca, cert, key, serverName string) error {
	e.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return fmt.Errorf("read ca: %w", err)
		}
		e.tls.RootCAs = x509.NewCertPool()
		if !e.tls.RootCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("ca %q holds no certificate in PEM", ca)
		}
	}
	if (cert == "") != (key == "") {
		return errors.New("cert and key belong together")
	}
	if cert == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("read cert and key: %w", err)
	}
	e.tls.Certificates = []tls.Certificate{pair}
	return nil
}

func (e *endpoint) setSeeds(hosts string) error {
	port := defaultPort
	if e.master != "" {
		port = sentinelPort
	}
	for seed := range strings.SplitSeq(hosts, ",") {
		host, number, err := net.SplitHostPort(seed)
		if err != nil {
			host, number = strings.TrimSuffix(strings.TrimPrefix(seed, "["), "]"), port
		}
		n, err := strconv.Atoi(number)
		if host == "" || err != nil || n < 1 || n > 65535 || strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return fmt.Errorf("%q is not host:port", seed)
		}
		e.seeds = append(e.seeds, net.JoinHostPort(host, number))
	}
	return nil
}

// identity names the store that the URL leads to, whoever asks and in whatever order the hosts stand.
func (e *endpoint) identity(prefix string) string {
	seeds := slices.Sorted(slices.Values(e.seeds))
	return fmt.Sprintf("%s/%d master=%q prefix=%q", strings.Join(seeds, ","), e.db, e.master, prefix)
}

// redact leaves the scheme and what stands behind the user and password, up to the parameters.
func redact(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return "(not a URL)"
	}
	rest, _, _ = strings.Cut(rest, "?")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = "***@" + rest[i+1:]
	}
	return scheme + "://" + rest
}
