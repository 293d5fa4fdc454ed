// Package auth tells who a token belongs to and what that principal may do.
//
// It knows three kinds of principal and static tokens; it does no I/O and keeps no token in clear. Below it, the gateway
// handles principals, never tokens. gateway/link, gateway/session and gateway/api call it. Safe for concurrent use.
// Requirement: AUTH-1.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strconv"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Kind is what a principal is.
type Kind uint8

// The kinds of principal.
const (
	Anonymous Kind = iota
	Client
	Runner
	Admin
)

// String is the kind as the runner protocol and logs have it.
func (k Kind) String() string {
	return [...]string{"anonymous", "client", "runner", "admin"}[k]
}

// Principal is who a request comes from. It is comparable.
type Principal struct {
	Kind Kind
	// Subject tells the principals of one kind apart: for a static token its place in the configured list, from 1 on.
	// Whoever shares a token is one principal [LIMIT-2]. Empty where no token was asked for.
	Subject string
}

// Tokens are the static tokens of each kind, in clear. A token may stand in more than one list.
type Tokens struct {
	Client, Runner, Admin []string
}

// ErrNoTokens refuses to open a gateway to everybody by oversight.
var ErrNoTokens = errors.New("no tokens are configured: give tokens for clients, runners and admins, or say --insecure to let everybody in")

// Authenticator checks tokens. The zero value lets nobody in.
type Authenticator struct {
	open  bool
	known []digest
}

type digest struct {
	principal Principal
	sum       [sha256.Size]byte
}

// New makes an Authenticator. With insecure everybody may do everything, token or not.
func New(t Tokens, insecure bool) (*Authenticator, error) {
	a := &Authenticator{open: insecure}
	for _, list := range []struct {
		kind   Kind
		tokens []string
	}{{Admin, t.Admin}, {Client, t.Client}, {Runner, t.Runner}} {
		for i, token := range list.tokens {
			p := Principal{Kind: list.kind, Subject: strconv.Itoa(i + 1)}
			a.known = append(a.known, digest{p, sha256.Sum256([]byte(token))})
		}
	}
	if !insecure && len(a.known) == 0 {
		return nil, ErrNoTokens
	}
	return a, nil
}

// Authenticate checks that the token allows what a principal of kind want may do. An admin may do what a client may.
// It compares with every token, in constant time each. The error is auth.unauthenticated or auth.forbidden.
func (a *Authenticator) Authenticate(token string, want Kind) (Principal, *wire.Error) {
	if a.open {
		return Principal{Kind: want}, nil
	}
	sum := sha256.Sum256([]byte(token))
	known, allowed := false, false
	var p Principal
	for i := range a.known {
		d := &a.known[i]
		if subtle.ConstantTimeCompare(d.sum[:], sum[:]) != 1 {
			continue
		}
		known = true
		if kind := d.principal.Kind; !allowed && (kind == want || kind == Admin && want == Client) {
			allowed, p = true, d.principal
		}
	}
	switch {
	case allowed:
		return p, nil
	case known:
		return Principal{}, wire.AuthForbidden.Newf("The token is not one for a %s.", want)
	case token == "":
		return Principal{}, wire.AuthUnauthenticated.Newf("A %s token is needed: send Authorization: Bearer <token>, or ?token= where headers cannot be set.", want)
	}
	return Principal{}, wire.AuthUnauthenticated.Newf("The token is not valid.")
}
