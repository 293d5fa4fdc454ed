package serve

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// arrivals tells of the TCP connections that end before they have brought a whole request: their clients are slow, silent or turned
// away, or what they send is none. net/http answers these by itself, where it does.
type arrivals struct {
	unserved func()
	open     sync.Map // net.Conn: *atomic.Bool, which is set when a request has come
}

type arrivalKey struct{}

// receive is the ConnContext of the server.
func (all *arrivals) receive(ctx context.Context, conn net.Conn) context.Context {
	served := new(atomic.Bool)
	all.open.Store(conn, served)
	return context.WithValue(ctx, arrivalKey{}, served)
}

// serving is the handler of the server.
func (all *arrivals) serving(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if served, ok := r.Context().Value(arrivalKey{}).(*atomic.Bool); ok {
			served.Store(true)
		}
		handler.ServeHTTP(w, r)
	})
}

// change is the ConnState of the server.
func (all *arrivals) change(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	served, ok := all.open.LoadAndDelete(conn)
	if ok && !served.(*atomic.Bool).Load() {
		all.unserved()
	}
}
