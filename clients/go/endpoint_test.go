package client

import (
	"strings"
	"testing"
)

func TestEndpoints(t *testing.T) {
	for _, c := range []struct{ in, connect, dial, token, namespace string }{
		{"http://127.0.0.1:6420", "ws://127.0.0.1:6420/v1/connect", "127.0.0.1:6420", "", ""},
		{"ws://host", "ws://host/v1/connect", "host:80", "", ""},
		{"https://ns:to%3Aken@host/", "wss://host/v1/connect", "host:443", "to:ken", "ns"},
		{"wss://[::1]:1/base/?q=1#f", "wss://[::1]:1/base/v1/connect", "[::1]:1", "", ""},
	} {
		e, err := parseEndpoint(c.in, Options{})
		if err != nil || e.connectURL() != c.connect || e.address() != c.dial || e.token != c.token || e.namespace != c.namespace {
			t.Errorf("%s: %+v %s %s, %v", c.in, e, e.connectURL(), e.address(), err)
		}
	}
	e, err := parseEndpoint("http://ns:token@host", Options{Token: "t", Namespace: "n"})
	if err != nil || e.token != "t" || e.namespace != "n" {
		t.Errorf("options do not take precedence: %+v %v", e, err)
	}
	if got := e.actorURL(byID("eu-1")); got != "http://host/v1/actors/@eu-1" {
		t.Error(got)
	}
}

func TestUnusableEndpoints(t *testing.T) {
	for _, in := range []string{"", "host:1", "ftp://host", "http://", "http://ns:secret@", "http://ns:secret@ho st", "http://n:%ff@host", "http://x:secret@h:port"} {
		_, err := New(in, Options{})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestSegments(t *testing.T) { // the examples of [ADDR-3], and its rules
	for want, key := range map[string][]string{
		"counter": nil, "counter:": {""}, "counter:a:b": {"a", "b"}, "counter:a%3Ab": {"a:b"}, "counter:a%2Cb": {"a,b"},
		"counter:%2E": {"."}, "counter:%2E%2E:a.b": {"..", "a.b"}, "counter:%00%FF~-_": {"\x00\xff~-_"},
	} {
		if got := byAddress("counter", key, 0, nil).segment(); got != want {
			t.Errorf("%q is %s, want %s", key, got, want)
		}
	}
}
