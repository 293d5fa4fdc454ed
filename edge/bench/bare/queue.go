package bare

import (
	"encoding/binary"
	"io"
	"sync"
)

// queue gathers what is to be written and writes all of it with one call whenever the connection is free.
type queue struct {
	conn io.WriteCloser
	wake chan struct{} // capacity 1
	stop chan struct{}

	mu      sync.Mutex
	pending []byte
}

func newQueue(conn io.WriteCloser) *queue {
	return &queue{conn: conn, wake: make(chan struct{}, 1), stop: make(chan struct{})}
}

// relayed adds a message of a client, as the link carries it: the length of what follows, the client, the message.
func (q *queue) relayed(client uint32, message []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = binary.BigEndian.AppendUint32(q.pending, uint32(4+len(message)))
	q.pending = binary.BigEndian.AppendUint32(q.pending, client)
	q.pending = append(q.pending, message...)
}

// webSocket adds a message as a WebSocket carries it from a server.
func (q *queue) webSocket(message []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = appendMessage(q.pending, message)
}

// framed adds a message with its length, as a stream of WebTransport carries it.
func (q *queue) framed(message []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = binary.BigEndian.AppendUint32(q.pending, uint32(len(message)))
	q.pending = append(q.pending, message...)
}

// raw adds bytes.
func (q *queue) raw(b []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = append(q.pending, b...)
}

// flush has what is queued written soon.
func (q *queue) flush() {
	q.mu.Lock()
	empty := len(q.pending) == 0
	q.mu.Unlock()
	if empty {
		return
	}
	select {
	case q.wake <- struct{}{}:
	default: // it is awake
	}
}

// run writes until stop is closed or the connection fails; then it closes the connection.
func (q *queue) run() {
	defer q.conn.Close()
	var batch []byte
	for {
		select {
		case <-q.wake:
		case <-q.stop:
			return
		}
		q.mu.Lock()
		batch, q.pending = q.pending, batch[:0]
		q.mu.Unlock()
		if _, err := q.conn.Write(batch); err != nil {
			return
		}
	}
}

// appendMessage appends a binary WebSocket message of a server, of less than 64 KiB.
func appendMessage(dst, message []byte) []byte {
	const finBinary = 0x82
	if len(message) < 126 {
		dst = append(dst, finBinary, byte(len(message)))
	} else {
		dst = binary.BigEndian.AppendUint16(append(dst, finBinary, 126), uint16(len(message)))
	}
	return append(dst, message...)
}
