package api

import (
	"runtime"
	"sync"
	"syscall"
)

// flusher writes the sockets that have something queued, in the order in which they got it, on no more goroutines than
// there are processors. While it writes others a socket gathers more, which then shares one write; and who fills them does
// not stand in line behind a goroutine for each. A socket that does not take all at once gets a goroutine of its own until
// it has. Safe for concurrent use.
type flusher struct {
	mu      sync.Mutex
	queue   []*outgoing
	head    int // index of the first in queue
	workers int
}

// keepPlaces bounds the queue that is kept while it is empty, and how much of its front stays unused.
const keepPlaces = 4 << 10

// fewSockets is how many sockets are written without a thought for what they may get the next moment.
const fewSockets = 2

// add queues a socket, which is in the queue once at most.
func (f *flusher) add(o *outgoing) {
	f.mu.Lock()
	f.queue = append(f.queue, o)
	short := f.workers < runtime.GOMAXPROCS(0)
	if short {
		f.workers++
	}
	f.mu.Unlock()
	if short {
		go f.work()
	}
}

func (f *flusher) work() {
	var w attempt
	w.call = w.write
	for {
		o, crowd := f.next()
		switch {
		case o == nil:
			return
		case crowd:
			runtime.Gosched() // who has more for it is about to run
		}
		if w.flush(o) {
			f.add(o) // behind the others
		}
	}
}

// next is the socket whose turn it is; nil ends the worker. crowd: others wait behind it.
func (f *flusher) next() (o *outgoing, crowd bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.head == len(f.queue) {
		f.workers--
		if f.queue, f.head = f.queue[:0], 0; cap(f.queue) > keepPlaces {
			f.queue = nil
		}
		return nil, false
	}
	o = f.queue[f.head]
	f.queue[f.head] = nil
	if f.head++; f.head > keepPlaces && f.head > len(f.queue)/2 {
		left := copy(f.queue, f.queue[f.head:])
		clear(f.queue[left:])
		f.queue, f.head = f.queue[:left], 0
	}
	return o, len(f.queue)-f.head >= fewSockets
}

// attempt is one write that does not wait for the socket.
type attempt struct {
	rest []byte
	err  error
	call func(fd uintptr) bool // write, made a function once
}

// flush writes what the socket has queued. again: it was all written, and there may be more.
func (w *attempt) flush(o *outgoing) (again bool) {
	batch := o.take()
	if batch == nil {
		o.drained.Done()
		return false
	}
	w.rest, w.err = batch.b, nil
	err := o.ready.Write(w.call)
	if err == nil {
		err = w.err
	}
	switch {
	case err != nil:
		o.broke(err)
		o.drained.Done()
		return false
	case len(w.rest) > 0:
		o.waiting.Run(writing{o, batch, w.rest})
		return false
	}
	batch.recycle()
	return true
}

// write is for syscall.RawConn, which must not wait either.
func (w *attempt) write(fd uintptr) bool {
	n, err := tryWrite(fd, w.rest)
	w.rest, w.err = w.rest[n:], err
	return true
}

// rawConn is the connection as the system knows it; nil: it can only be waited for.
func rawConn(conn any) syscall.RawConn {
	if c, ok := conn.(syscall.Conn); ok && canAwait {
		raw, _ := c.SyscallConn()
		return raw
	}
	return nil
}
