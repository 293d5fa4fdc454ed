package auth

import (
	"errors"
	"testing"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// [AUTH-1]
func TestTokensAreOfAKind(t *testing.T) {
	a, err := New(Tokens{Client: []string{"c", "both"}, Runner: []string{"r", "both"}, Admin: []string{"a"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		token string
		want  Kind
		as    Kind
		err   error
	}{
		{"c", Client, Client, nil},
		{"a", Client, Admin, nil},
		{"a", Admin, Admin, nil},
		{"r", Runner, Runner, nil},
		{"both", Client, Client, nil},
		{"both", Runner, Runner, nil},
		{"a", Runner, Anonymous, wire.AuthForbidden},
		{"c", Admin, Anonymous, wire.AuthForbidden},
		{"c", Runner, Anonymous, wire.AuthForbidden},
		{"r", Client, Anonymous, wire.AuthForbidden},
		{"", Client, Anonymous, wire.AuthUnauthenticated},
		{"C", Client, Anonymous, wire.AuthUnauthenticated},
		{"c ", Client, Anonymous, wire.AuthUnauthenticated},
	} {
		p, refusal := a.Authenticate(c.token, c.want)
		if (refusal == nil) != (c.err == nil) || refusal != nil && !errors.Is(refusal, c.err) || p.Kind != c.as {
			t.Errorf("%q as %s: %v, %v", c.token, c.want, p.Kind, refusal)
		}
	}
}

// [LIMIT-2]: whoever shares a token is one principal, and nobody else is.
func TestATokenIsAPrincipal(t *testing.T) {
	a, err := New(Tokens{Client: []string{"c", "d", "c"}, Runner: []string{"r"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := a.Authenticate("c", Client)
	again, _ := a.Authenticate("c", Client)
	d, _ := a.Authenticate("d", Client)
	if c != again || c == d {
		t.Errorf("c is %v and %v, d is %v", c, again, d)
	}
}

func TestAnOpenGatewayMustBeAskedFor(t *testing.T) {
	if _, err := New(Tokens{}, false); !errors.Is(err, ErrNoTokens) {
		t.Errorf("without tokens: %v", err)
	}
	a, err := New(Tokens{}, true)
	if err != nil {
		t.Fatal(err)
	}
	if p, refusal := a.Authenticate("", Admin); refusal != nil || p.Kind != Admin {
		t.Errorf("insecure: %v, %v", p, refusal)
	}
	var zero Authenticator
	if _, refusal := zero.Authenticate("", Client); refusal == nil {
		t.Error("the zero Authenticator lets people in")
	}
}
