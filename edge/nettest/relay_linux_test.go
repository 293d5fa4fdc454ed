package nettest

import (
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// relay carries packets between two TUN devices, each after the same delay and in order, but for those that it loses.
type relay struct {
	toClients, toServers *direction
	devices              []*os.File
	running              sync.WaitGroup
}

// direction is one way.
type direction struct {
	delay   time.Duration
	packets chan packet

	mu     sync.Mutex
	random *rand.Rand
	loss   float64

	carried, lost, bytes, late atomic.Int64
}

type packet struct {
	due  time.Time
	data []byte
}

// lateness is how much later than it should a packet may leave the relay on a machine that keeps up.
const lateness = 10 * time.Millisecond

// queueLength is that of a router with room; beyond it packets are lost, as anywhere.
const queueLength = 4096

func startRelay(clients, servers *os.File) *relay {
	r := &relay{
		toClients: &direction{packets: make(chan packet, queueLength)}, toServers: &direction{packets: make(chan packet, queueLength)},
		devices: []*os.File{clients, servers},
	}
	r.run(r.toServers, clients, servers)
	r.run(r.toClients, servers, clients)
	return r
}

// set has packets of either direction take that long, and be lost with that probability. What is lost depends on the seed
// and on the packets before, so that a path treats all who use it alike.
func (r *relay) set(delay time.Duration, loss float64, seed uint64) {
	for i, d := range []*direction{r.toClients, r.toServers} {
		d.mu.Lock()
		d.delay, d.loss, d.random = delay, loss, rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // a game of chance that can be repeated
		d.mu.Unlock()
		d.carried.Store(0)
		d.lost.Store(0)
		d.bytes.Store(0)
		d.late.Store(0)
	}
}

func (r *relay) run(d *direction, from, to *os.File) {
	r.running.Go(func() {
		defer close(d.packets)
		b := make([]byte, 64<<10)
		for {
			n, err := from.Read(b)
			if err != nil {
				return
			}
			d.take(b[:n])
		}
	})
	r.running.Go(func() {
		for p := range d.packets {
			<-time.After(time.Until(p.due))
			if time.Since(p.due) > lateness {
				d.late.Add(1)
			}
			_, _ = to.Write(p.data) // what a device does not take is lost
		}
	})
}

// take loses a packet or has it come when it is due.
func (d *direction) take(data []byte) {
	d.mu.Lock()
	due, unlucky := time.Now().Add(d.delay), d.random != nil && d.random.Float64() < d.loss
	d.mu.Unlock()
	d.carried.Add(1)
	d.bytes.Add(int64(len(data)))
	if unlucky {
		d.lost.Add(1)
		return
	}
	select {
	case d.packets <- packet{due, append([]byte(nil), data...)}:
	default:
		d.lost.Add(1)
	}
}

func (r *relay) stop() {
	for _, device := range r.devices {
		_ = device.Close()
	}
	r.running.Wait()
}

// keptUp tells whether the machine has let the relay run when it had to.
func (r *relay) keptUp() bool {
	late, carried := r.toClients.late.Load()+r.toServers.late.Load(), r.toClients.carried.Load()+r.toServers.carried.Load()
	return late*50 <= carried
}
