package runner

import (
	"strings"
	"testing"
)

func TestEndpointsSayHowTheGatewayIsReached(t *testing.T) {
	for in, want := range map[string]endpoint{
		"ws://127.0.0.1:6420":     {network: "tcp", address: "127.0.0.1:6420", host: "127.0.0.1", webSocket: "ws://127.0.0.1:6420/runner/v1alpha1"},
		"http://gw":               {network: "tcp", address: "gw:80", host: "gw", webSocket: "ws://gw/runner/v1alpha1"},
		"https://gw/":             {network: "tcp", address: "gw:443", host: "gw", tls: true, webSocket: "wss://gw/runner/v1alpha1"},
		"wss://gw:1/custom?a=b#c": {network: "tcp", address: "gw:1", host: "gw", tls: true, webSocket: "wss://gw:1/custom?a=b"},
		"ws://[::1]:6420":         {network: "tcp", address: "[::1]:6420", host: "::1", webSocket: "ws://[::1]:6420/runner/v1alpha1"},
		"tcp://gw:7000":           {network: "tcp", address: "gw:7000", host: "gw"},
		"tls://gw:7000":           {network: "tcp", address: "gw:7000", host: "gw", tls: true},
		"unix:///run/gw.sock":     {network: "unix", address: "/run/gw.sock"},
		"unix://gw.sock":          {network: "unix", address: "gw.sock", host: ""},
	} {
		got, err := parseEndpoint(in)
		if in == "unix://gw.sock" {
			want.host = got.host
		}
		if err != nil || got.network != want.network || got.address != want.address || got.tls != want.tls || got.webSocket != want.webSocket {
			t.Errorf("%s: got %+v, %v, want %+v", in, got, err, want)
		}
	}
}

func TestEndpointsThatCannotBeUsedAreRefused(t *testing.T) {
	for _, in := range []string{"", "gw:6420", "ftp://gw", "tcp://gw", "tls://", "ws://", "unix://", "ws://%zz"} {
		if e, err := parseEndpoint(in); err == nil {
			t.Errorf("%q is %+v", in, e)
		}
	}
}

func TestTheEnvironmentSaysWhereAndWho(t *testing.T) {
	env := map[string]string{
		"STAGEDOOR_ENDPOINT": "tcp://gw:1", "STAGEDOOR_TOKEN": "t", "STAGEDOOR_POOL": "p", "STAGEDOOR_RUNNER_VERSION": "12",
	}
	get := func(name string) string { return env[name] }
	c, err := configFromEnv(get)
	if err != nil || c.Endpoint != "tcp://gw:1" || c.Token != "t" || c.Pool != "p" || c.Version != 12 {
		t.Errorf("got %+v, %v", c, err)
	}
	env["STAGEDOOR_RUNNER_VERSION"] = "v2"
	if _, err := configFromEnv(get); err == nil || !strings.Contains(err.Error(), "v2") {
		t.Errorf("got %v", err)
	}
}

func TestNewRefusesARunnerThatCannotWork(t *testing.T) {
	type nothing struct{ Actor[None, None] }
	one := Define[nothing]("one")
	for name, f := range map[string]func() (*Runner, error){
		"no type":   func() (*Runner, error) { return New(Config{}) },
		"two names": func() (*Runner, error) { return New(Config{}, one, Define[nothing]("one")) },
		"endpoint":  func() (*Runner, error) { return New(Config{Endpoint: "x"}, one) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	r, err := New(Config{}, one)
	if err != nil || r.config.Endpoint != DefaultEndpoint || r.config.Instance == "" || r.config.DrainTimeout != DefaultDrainTimeout {
		t.Errorf("got %+v, %v", r, err)
	}
}
