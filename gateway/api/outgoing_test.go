package api

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/internal/crew"
)

// collect reads a connection to its end.
func collect(c net.Conn) <-chan []byte {
	all := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(c)
		all <- b
	}()
	return all
}

// waiting does writes that may wait, until the test ends.
func waiting(t *testing.T) *crew.Crew[writing] {
	t.Helper()
	var running sync.WaitGroup
	c := crew.New(&running, writing.drain)
	t.Cleanup(func() {
		c.Close()
		running.Wait()
	})
	return c
}

func TestWhatIsQueuedArrivesWholeAndInOrder(t *testing.T) {
	ours, theirs := net.Pipe()
	all := collect(theirs)
	o := &outgoing{Conn: ours, waiting: waiting(t), limit: 1 << 20}
	var wg sync.WaitGroup
	for i := range byte(8) {
		wg.Go(func() {
			for n := range 200 {
				for !o.message(opBinary, bytes.Repeat([]byte{i}, n)) {
					t.Error("the queue is full")
				}
			}
		})
	}
	wg.Wait()
	_ = o.Close()
	o.wait()
	next := map[byte]int{}
	b := <-all
	for len(b) > 2 && b[0] == 0x80|opBinary {
		n, head := int(b[1]), 2
		if n == 126 {
			n, head = int(b[2])<<8|int(b[3]), 4
		}
		body := b[head : head+n]
		b = b[head+n:]
		if n == 0 {
			continue // nobody's name is on it
		}
		if want := max(next[body[0]], 1); n != want || !bytes.Equal(body, bytes.Repeat(body[:1], n)) {
			t.Fatalf("writer %d: %d bytes, want %d", body[0], n, want)
		}
		next[body[0]] = n + 1
	}
	for i := range byte(8) {
		if next[i] != 200 {
			t.Errorf("writer %d came to %d", i, next[i])
		}
	}
}

// [SESS-6]
func TestAFullQueueRefusesWholeMessagesAndStillSaysFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		o := &outgoing{Conn: ours, waiting: waiting(t), limit: 100}
		taken := 0
		for o.message(opText, make([]byte, 30)) {
			taken++
			synctest.Wait() // the first is with the writer now, the others queue up
		}
		if taken != 3 {
			t.Errorf("%d messages fitted", taken)
		}
		if _, err := o.Write(make([]byte, 60)); err == nil {
			t.Error("a write beyond the limit was taken")
		}
		o.finish(appendClose(nil, 1008, "session.slow_reader"))
		if o.message(opText, nil) {
			t.Error("a message behind the farewell was taken")
		}
		b := <-collect(theirs)
		if want := taken*32 + 2 + 2 + len("session.slow_reader"); len(b) != want {
			t.Errorf("%d bytes came, want %d", len(b), want)
		}
		o.wait()
		<-time.After(2 * farewellWait)
	})
}

func TestAClientThatNeverReadsIsCutOffAfterItsFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		o := &outgoing{Conn: ours, waiting: waiting(t), limit: 1000}
		o.message(opText, []byte("x"))
		begin := time.Now()
		_ = o.Close()
		o.wait()
		if took := time.Since(begin); took != farewellWait {
			t.Errorf("it took %v", took)
		}
	})
}

func TestHeadersOfAllLengths(t *testing.T) {
	for n, want := range map[int][]byte{
		0: {0x81, 0}, 125: {0x81, 125}, 126: {0x81, 126, 0, 126}, 65535: {0x81, 126, 255, 255}, 65536: {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0},
	} {
		if got := appendHeader(nil, opText, n); !bytes.Equal(got, want) {
			t.Errorf("header of %d: %x, want %x", n, got, want)
		}
	}
}

// [SESS-18]: what is cut off is not written, but for what is being written; the farewell is.
func TestWhatIsCutOffIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		b := budget.New(1 << 30)
		o := &outgoing{Conn: ours, waiting: waiting(t), limit: 1 << 20, budget: b}
		for range 10 {
			o.message(opBinary, make([]byte, 10_000))
			synctest.Wait() // the first is with the writer now
		}
		if o.backlog() != 10*10_004 || b.Used() < o.backlog() {
			t.Errorf("%d bytes are queued, %d are counted", o.backlog(), b.Used())
		}
		o.cut([]byte("bye"))
		if b.Used() != 0 || !o.ended() || o.message(opBinary, nil) {
			t.Errorf("%d bytes are counted", b.Used())
		}
		if got := <-collect(theirs); len(got) != 10_004+3 {
			t.Errorf("%d bytes came", len(got))
		}
		o.wait()
		<-time.After(2 * farewellWait)
	})
}

// [SESS-15]: whoever has more is asked for it when all is written, each time.
func TestAnEmptyQueueIsFilledAgain(t *testing.T) {
	ours, theirs := net.Pipe()
	all := collect(theirs)
	b := budget.New(1 << 30)
	o := &outgoing{Conn: ours, waiting: waiting(t), limit: 100, budget: b}
	asked := 0
	o.drainedTo(func() {
		if asked++; asked <= 50 && !o.message(opBinary, make([]byte, 90)) {
			t.Error("the queue is full")
		}
	})
	o.message(opBinary, make([]byte, 90))
	o.wait()
	_ = o.Close()
	o.wait()
	if got := len(<-all); got != 51*92 || asked != 51 {
		t.Errorf("%d bytes came, asked %d times", got, asked)
	}
	if b.Used() != 0 {
		t.Errorf("%d bytes are counted", b.Used())
	}
}
