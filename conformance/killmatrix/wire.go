package killmatrix

import (
	"sync"

	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/proxy"
	"github.com/stagedoor-dev/stagedoor/conformance/tap"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
)

// onWire lets taps work on all that a runner and the virtual gateway say to each other: on what belongs to a session in the
// gateway, above the counting of frames, on the handshake in a proxy before it. done ends the proxy, after the stage.
func onWire(options *engine.Options, session func() tap.Tap, handshake tap.Tap) (done func()) {
	var taps vgw.Config
	tap.Into(&taps, session)
	options.FromRunner, options.ToRunner = taps.FromRunner, taps.ToRunner
	return through(options, proxy.Config{Handshake: handshake})
}

// through sets a proxy between the runner and the virtual gateway. It is made when the runner is started for the first time.
func through(options *engine.Options, cfg proxy.Config) (done func()) {
	var mu sync.Mutex
	var between *proxy.Proxy
	options.Via = func(endpoint string) string {
		mu.Lock()
		defer mu.Unlock()
		if between == nil {
			cfg.Upstream = endpoint
			p, err := proxy.Listen(cfg)
			if err != nil {
				return endpoint // the loopback interface has no port left: the mutant survives, and is told so
			}
			between = p
		}
		return between.Endpoint()
	}
	return func() {
		mu.Lock()
		defer mu.Unlock()
		if between != nil {
			between.Close()
		}
	}
}
