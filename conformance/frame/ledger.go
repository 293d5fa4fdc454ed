package frame

import "fmt"

// Ledger counts the frames of one session in both directions, and keeps what was sent until the other side has it. It outlives
// sockets [LINK-14] [LINK-15] [LINK-16].
type Ledger struct {
	received uint64
	first    uint64 // number of kept[0], from 1
	kept     [][]byte
	acked    uint64
}

// NewLedger is of a session in which nothing was said.
func NewLedger() *Ledger { return &Ledger{first: 1} }

// Received is how many counted frames have come.
func (l *Ledger) Received() uint64 { return l.received }

// Sent is how many counted frames were sent.
func (l *Ledger) Sent() uint64 { return l.first - 1 + uint64(len(l.kept)) }

// Acked is how many of them the other side has acknowledged.
func (l *Ledger) Acked() uint64 { return l.acked }

// Take counts a frame that has come.
func (l *Ledger) Take(k Kind) {
	if k.Counted() {
		l.received++
	}
}

// Keep counts a frame that is sent.
func (l *Ledger) Keep(k Kind, body []byte) {
	if k.Counted() {
		l.kept = append(l.kept, body)
	}
}

// Ack forgets what the other side has; an Ack that is smaller than an earlier one means nothing [LINK-14].
func (l *Ledger) Ack(n uint64) error {
	if n > l.Sent() {
		return fmt.Errorf("%d frames are acknowledged, of %d that were sent", n, l.Sent())
	}
	if n <= l.acked {
		return nil
	}
	l.acked = n
	l.kept = l.kept[n+1-l.first:]
	l.first = n + 1
	return nil
}

// Unacked is what is to be sent again, and the number of the first.
func (l *Ledger) Unacked() (next uint64, frames [][]byte) { return l.first, l.kept }
