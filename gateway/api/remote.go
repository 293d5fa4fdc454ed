package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// remote is the address that a request counts for [LIMIT-2]: the peer's, or, if that is a proxy that is trusted, the last
// one in X-Forwarded-For that is not. What stands before that the client may have written itself.
func (h *Handler) remote(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	from := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !h.trusted(from) {
			break
		}
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		from = a.Unmap()
	}
	return from
}

func (h *Handler) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(h.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
