package runner

import (
	"testing"
	"time"
)

const second = int64(time.Second)

// [LEASE-2]
func TestWhatHasPassedIsTheLargerOfBothClocks(t *testing.T) {
	from := instant{steady: 100 * second, wall: 1000 * second}
	for name, c := range map[string]struct {
		at   instant
		want time.Duration
	}{
		"both agree":        {instant{103 * second, 1003 * second}, 3 * time.Second},
		"suspended":         {instant{101 * second, 4600 * second}, time.Hour},
		"the clock set on":  {instant{101 * second, 1020 * second}, 20 * time.Second},
		"the clock set off": {instant{105 * second, 10 * second}, 5 * time.Second},
	} {
		if got := c.at.since(from); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// [LEASE-2] [LEASE-3]
func TestASuspendedMachineHasNoLeaseWhenItGoesOn(t *testing.T) {
	from := instant{steady: 100 * second, wall: 1000 * second}
	l := newLease(15000, 3000, from)
	nonce := l.ask(from)
	before, after := instant{steady: 101 * second, wall: 1001 * second}, instant{steady: 101 * second, wall: 1100 * second}
	if !l.holdsAt(before) || l.endedAt(before) {
		t.Error("the lease does not hold after a second")
	}
	if l.holdsAt(after) || !l.endedAt(after) {
		t.Error("the lease holds after a suspension")
	}
	if l.renew(nonce, 1<<30, after) || l.holdsAt(before) {
		t.Error("a lease that has ended was revived, or a clock that was set back did it")
	}
}

// [LEASE-1]
func TestALeaseRunsFromTheSendingOfThePingThatIsAnswered(t *testing.T) {
	at := func(s int64) instant { return instant{s * second, s * second} }
	l := newLease(15000, 3000, at(0))
	var nonces []uint64
	for s := int64(0); s < 30; s += 3 {
		nonces = append(nonces, l.ask(at(s)))
		if s >= 6 {
			l.renew(nonces[len(nonces)-3], 15000, at(s)) // the one sent 6 s ago
		}
	}
	for s, holds := range map[int64]bool{29: true, 32: true, 33: false} { // 21 + 15 - 3
		if l.holdsAt(at(s)) != holds {
			t.Errorf("at %d s the lease holds: %v", s, !holds)
		}
	}
	for name, renewed := range map[string]bool{
		"no lease":         l.renew(nonces[9], 0, at(32)),
		"never sent":       l.renew(nonces[9]+1, 15000, at(32)),
		"of long ago":      l.renew(nonces[1], 1<<30, at(32)),
		"zero":             l.renew(0, 1<<30, at(32)),
		"no longer than":   l.renew(nonces[7], 15000, at(34)),
		"ends in the past": l.renew(nonces[9], 1000, at(34)),
	} {
		if renewed || l.holdsAt(at(33)) {
			t.Errorf("%s: it was renewed", name)
		}
	}
	if !l.renew(nonces[9], 15000, at(35)) || !l.holdsAt(at(38)) {
		t.Error("between margin and end it was not revived")
	}
	if l.renew(nonces[9], 20000, at(36)) {
		t.Error("a lease that holds was revived")
	}
}

func TestWithoutALeaseNothingEnds(t *testing.T) {
	l := newLease(0, 0, instant{})
	later := instant{1 << 62, 1 << 62}
	if !l.holdsAt(later) || l.endedAt(later) || l.renew(l.ask(later), 15000, later) || l.term.Load() != nil {
		t.Error("there is a lease")
	}
}

func TestTheMarginIsAtMostHalfOfTheLease(t *testing.T) {
	if l := newLease(4000, 0, instant{}); l.margin != 2*time.Second {
		t.Errorf("margin %v", l.margin)
	}
}
