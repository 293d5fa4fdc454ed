package launch

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/stagedoor-dev/stagedoor/conformance/plain"
)

// maxOutput is how much of the output is kept: its beginning and its end.
const maxOutput = 1 << 20

// output keeps the beginning and the end of what a process writes.
type output struct {
	limit int
	log   *lines // nil: there is none

	mu    sync.Mutex
	first []byte
	last  []byte
	lost  int
}

func newOutput(log *Log) *output { return &output{limit: maxOutput, log: log.process()} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(b)
	if o.log != nil {
		o.log.write(b)
	}
	if room := o.limit/2 - len(o.first); room > 0 {
		take := min(room, len(b))
		o.first, b = append(o.first, b[:take]...), b[take:]
	}
	o.last = append(o.last, b...)
	if over := len(o.last) - o.limit; over > 0 { // halved seldom, not at each write
		cut := over + o.limit/2
		o.last = append([]byte(nil), o.last[cut:]...)
		o.lost += cut
	}
	return n, nil
}

func (o *output) written() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.first) + o.lost + len(o.last)
}

// since is what was written behind the first n bytes, and says how much of that was not kept.
func (o *output) since(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := o.first[min(n, len(o.first)):]
	n = max(0, n-len(o.first))
	lost := max(0, o.lost-n)
	last := o.last[min(max(0, n-o.lost), len(o.last)):]
	if lost == 0 {
		return string(first) + string(last)
	}
	return string(bytes.ToValidUTF8(first, nil)) + fmt.Sprintf("\n… %d bytes left out …\n", lost) + string(last)
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.log != nil {
		o.log.flush()
	}
}

// Log writes what processes write to a file, as plain text, line by line, each behind the number of its process.
type Log struct {
	mu        sync.Mutex
	to        io.Writer
	processes int
	err       error
}

// NewLog has nothing written yet.
func NewLog(to io.Writer) *Log { return &Log{to: to} }

// Err is the first error of the file; nothing is written behind it.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *Log) process() *lines {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.processes++
	return &lines{log: l, prefix: fmt.Sprintf("%d| ", l.processes), left: maxLogged}
}

func (l *Log) write(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		_, l.err = io.WriteString(l.to, text)
	}
}

const (
	// maxLogged is how much of a process is written to a Log, so that one that babbles does not fill the disk.
	maxLogged = 16 << 20
	// maxPending is how much of a line without end is waited for.
	maxPending = 64 << 10
)

// lines are those of one process. Its output guards it.
type lines struct {
	log     *Log
	prefix  string
	left    int
	pending []byte
}

func (l *lines) write(b []byte) {
	if l.left == 0 {
		return
	}
	l.pending = append(l.pending, b[:min(len(b), l.left)]...)
	l.left -= min(len(b), l.left)
	for {
		end := bytes.IndexByte(l.pending, '\n')
		if end < 0 {
			break
		}
		l.line(l.pending[:end])
		l.pending = l.pending[end+1:]
	}
	if len(l.pending) > maxPending {
		l.flush()
	}
	if l.left == 0 {
		l.flush()
		l.line([]byte("… what it writes from here on is left out …"))
	}
}

func (l *lines) line(b []byte) { l.log.write(l.prefix + plain.Text(string(b)) + "\n") }

func (l *lines) flush() {
	if len(l.pending) > 0 {
		l.line(l.pending)
	}
	l.pending = nil
}
