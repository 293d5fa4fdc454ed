package nettest

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// translator stands between a client and a gateway as a router does that translates addresses: what it sends comes from one
// of its own sockets, and from another one when it is told so. What comes to one that it has left is lost.
type translator struct {
	near    *net.UDPConn
	far     [2]*net.UDPConn
	present atomic.Int32 // index of far
	client  atomic.Pointer[netip.AddrPort]
	running sync.WaitGroup
	heard   [2]atomic.Int64 // packets that came to each
}

func startTranslator(t *testing.T, gateway string) *translator {
	t.Helper()
	tr := new(translator)
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(gateway))
	var err error
	if tr.near, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	for i := range tr.far {
		if tr.far[i], err = net.DialUDP("udp", nil, to); err != nil {
			t.Fatal(err)
		}
	}
	tr.running.Go(tr.outward)
	for i := range tr.far {
		tr.running.Go(func() { tr.inward(i) })
	}
	t.Cleanup(func() {
		_ = tr.near.Close()
		for _, socket := range tr.far {
			_ = socket.Close()
		}
		tr.running.Wait()
	})
	return tr
}

func (tr *translator) outward() {
	for b := make([]byte, 64<<10); ; {
		n, from, err := tr.near.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		tr.client.Store(&from)
		_, _ = tr.far[tr.present.Load()].Write(b[:n])
	}
}

func (tr *translator) inward(i int) {
	for b := make([]byte, 64<<10); ; {
		n, err := tr.far[i].Read(b)
		if err != nil {
			return
		}
		if to := tr.client.Load(); to != nil && tr.present.Load() == int32(i) {
			tr.heard[i].Add(1)
			_, _ = tr.near.WriteToUDPAddrPort(b[:n], *to)
		}
	}
}

// ledger is what a client has heard.
type ledger struct {
	mu      sync.Mutex
	counts  []int          // of the events, in their order
	results map[uint64]int // of each call: how many
	faults  []any
}

func (l *ledger) heard(m any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch m := m.(type) {
	case *wire.ClientEvent:
		var args []int
		if err := payload.Unmarshal(m.Args, &args); err != nil {
			l.faults = append(l.faults, err)
		}
		l.counts = append(l.counts, args...)
	case *wire.ClientCallResult:
		l.results[m.ID]++
		if m.Error != nil {
			l.faults = append(l.faults, m.Error)
		}
	case *clientv1alpha1.ConnectionClosed, *clientv1alpha1.ProtocolError, *commonv1alpha1.Goodbye:
		l.faults = append(l.faults, m)
	}
}

func (l *ledger) answered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.results)
}

// [SESS-19]: a client whose address changes, as behind a router that has forgotten it, goes on in its session.
func TestAClientWhoseAddressChangesGoesOn(t *testing.T) {
	gateway := startGateway(t, settings{})
	tr := startTranslator(t, gateway.address)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l := &ledger{results: map[uint64]int{}}
	p, err := dialPeer(ctx, "webtransport", plainNetwork{}, tr.near.LocalAddr().String(), l.heard)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	target := &commonv1alpha1.Address{Type: "tally", Key: []string{"moving"}}
	if err := p.send(1, wire.Client(&clientv1alpha1.ConnectionOpen{Connection: 1, Target: target, Subscriptions: []string{"count"}})); err != nil {
		t.Fatal(err)
	}
	calls := 0
	call := func(connection uint64, action string, argument byte) {
		t.Helper()
		calls++
		m := &wire.ClientCall{ID: uint64(calls), Connection: connection, Action: []byte(action), Args: []byte{0x81, 0x18, argument}}
		if connection == 0 {
			m.Target = &commonv1alpha1.Address{Type: "tally", Key: []string{"slow"}}
		}
		if err := p.send(connection, m); err != nil {
			t.Fatal(err)
		}
	}
	adds := 0
	for turn := range int32(4) { // there, back, and both again
		next := (turn + 1) % 2
		before := tr.heard[next].Load()
		call(0, "pause", 200) // is answered to another address than it came from
		for i := range 50 {
			call(1, "add", 1)
			adds++
			if i == 25 {
				tr.present.Store(next)
			}
		}
		if err := await(ctx, 20*time.Second, func() bool { return l.answered() == calls }); err != nil {
			t.Fatalf("turn %d: %d of %d calls were answered: %v", turn, l.answered(), calls, err)
		}
		if tr.heard[next].Load() == before {
			t.Fatalf("turn %d: the gateway never spoke to the new address", turn)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	want := make([]int, adds)
	for i := range want {
		want[i] = i + 1
	}
	if !slices.Equal(l.counts, want) {
		t.Errorf("the events were %v, want each count from 1 to %d once, in order", l.counts, adds)
	}
	for id, n := range l.results {
		if n != 1 {
			t.Errorf("call %d was answered %d times", id, n)
		}
	}
	for _, fault := range l.faults {
		t.Errorf("heard %v", fault)
	}
}
