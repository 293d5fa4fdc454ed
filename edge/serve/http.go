package serve

import (
	"log/slog"
	"net/http"
	"time"
)

// Limits of the HTTP server. Bodies and answers have none here: calls, event streams and raw requests last as long as
// their own deadlines, which the gateway keeps.
const (
	// readHeaderTimeout ends sockets that dribble a request head.
	readHeaderTimeout = 10 * time.Second
	// idleTimeout is longer than that of common load balancers (60 s), so that they close first and never send a request
	// into a socket that is being closed.
	idleTimeout = 90 * time.Second
	// maxHeaderBytes holds tokens and Stagedoor-Params; net/http's default is 1 MiB per idle socket.
	maxHeaderBytes = 128 << 10
	// maxStreams bounds the requests under way on one HTTP/2 socket.
	maxStreams = 250
	// silence on an HTTP/2 socket is followed by a ping, which must be answered in pongWait: event streams need not say anything.
	silence  = 30 * time.Second
	pongWait = 15 * time.Second
	// stuckWrite ends an HTTP/2 socket whose client takes no byte.
	stuckWrite = 30 * time.Second
)

func httpServer(handler http.Handler, idle time.Duration, unserved func(), logger *slog.Logger) *http.Server {
	all := &arrivals{unserved: unserved}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:     all.serving(handler),
		ConnContext: all.receive,
		ConnState:   all.change,
		Protocols:   protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, SendPingTimeout: silence, PingTimeout: pongWait, WriteByteTimeout: stuckWrite,
		},
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idle,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
