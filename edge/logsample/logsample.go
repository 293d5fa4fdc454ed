// Package logsample keeps a log readable while somebody floods it: of each message it writes so many lines in a window of
// time, and then how many it has left out.
//
// A Handler stands before the handler that writes; messages are told apart by level and text, which are constants in this
// code base, not by their attributes. It writes nothing to a file itself and knows no setting. edge/cli makes one for each
// process. Safe for concurrent use.
package logsample

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// window is how long the lines of a message are counted, from the first one on.
	window = 10 * time.Second
	// mostLines of a message are written in a window; of errors more, since they are rarer and matter more.
	mostLines  = 10
	mostErrors = 50
	// mostTexts are told apart at a time; all further ones count as one message of their level.
	mostTexts = 128
	// maxText bounds what is kept of a text: those of other libraries may hold anything.
	maxText = 128
)

// Handler leaves out what is too much. New makes one.
type Handler struct {
	next slog.Handler // with the attributes and groups of this logger
	*counts
}

// counts are what the handlers of one log share.
type counts struct {
	root slog.Handler // says what was left out

	mu     sync.Mutex
	closed bool
	rows   map[message]*row
}

// message is what lines have in common that are counted together. An empty text stands for all beyond mostTexts.
type message struct {
	level slog.Level
	text  string
}

// row is one message's window.
type row struct {
	lines   int
	leftOut int
	timer   *time.Timer // ends the window
}

// New makes a handler before next. Close says what is left to say.
func New(next slog.Handler) *Handler {
	return &Handler{next: next, counts: &counts{root: next, rows: map[message]*row{}}}
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler: it passes the record on, or counts it.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if !h.take(r.Level, r.Message) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Handler{h.next.WithAttrs(attrs), h.counts}
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{h.next.WithGroup(name), h.counts}
}

// Close ends all windows, so that what was left out so far is said. Afterwards everything is passed on.
func (h *Handler) Close() {
	h.mu.Lock()
	h.closed = true
	rows := h.rows
	h.rows = nil
	h.mu.Unlock()
	for m, r := range rows {
		r.timer.Stop()
		h.say(m, r)
	}
}

// take counts a line. false: it is one too many.
func (c *counts) take(level slog.Level, text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return true
	}
	m := message{level, text[:min(len(text), maxText)]}
	r := c.rows[m]
	if r == nil {
		r = c.begin(m)
	}
	most := mostLines
	if level >= slog.LevelError {
		most = mostErrors
	}
	if r.lines == most {
		r.leftOut++
		return false
	}
	r.lines++
	return true
}

// begin begins the window of a message, or finds that of all that have none of their own.
func (c *counts) begin(m message) *row {
	if len(c.rows) >= mostTexts {
		m.text = ""
		if r := c.rows[m]; r != nil {
			return r
		}
	}
	m.text = strings.Clone(m.text) // not the whole of a long one
	r := new(row)
	r.timer = time.AfterFunc(window, func() { c.end(m, r) })
	c.rows[m] = r
	return r
}

// end ends a window: the next line of the message begins another.
func (c *counts) end(m message, r *row) {
	c.mu.Lock()
	ended := c.rows[m] == r
	if ended {
		delete(c.rows, m)
	}
	c.mu.Unlock()
	if ended {
		c.say(m, r)
	}
}

// say writes how many lines of a window were left out, if any were. Nobody counts in the row any more.
func (c *counts) say(m message, r *row) {
	if r.leftOut == 0 {
		return
	}
	line := slog.NewRecord(time.Now(), m.level, "more lines were left out", 0)
	line.AddAttrs(slog.String("of", m.text), slog.Int("lines", r.leftOut), slog.Duration("within", window))
	_ = c.root.Handle(context.Background(), line) // as a Logger does
}
