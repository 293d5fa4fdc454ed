// Package trace keeps what was said on the sockets of a run: in memory for the monitors and reports, in files for later.
//
// A Recorder is safe for concurrent use; its events are not changed after Add. Writer and Reader are for one goroutine.
package trace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"

	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"
)

// Event, Header and the others are the messages of trace.proto.
type (
	Event     = conformancev1alpha1.TraceEvent
	Header    = conformancev1alpha1.TraceHeader
	Direction = conformancev1alpha1.Direction
	Happening = conformancev1alpha1.Happening
)

// The directions and happenings of trace.proto.
const (
	FromRunner = conformancev1alpha1.Direction_DIRECTION_FROM_RUNNER
	ToRunner   = conformancev1alpha1.Direction_DIRECTION_TO_RUNNER

	Opened         = conformancev1alpha1.Happening_HAPPENING_SOCKET_OPENED
	Ended          = conformancev1alpha1.Happening_HAPPENING_SOCKET_ENDED
	Closed         = conformancev1alpha1.Happening_HAPPENING_SOCKET_CLOSED
	ProcessStarted = conformancev1alpha1.Happening_HAPPENING_PROCESS_STARTED
	ProcessEnded   = conformancev1alpha1.Happening_HAPPENING_PROCESS_ENDED
	CaseBegan      = conformancev1alpha1.Happening_HAPPENING_CASE_BEGAN
	CaseEnded      = conformancev1alpha1.Happening_HAPPENING_CASE_ENDED
	StepBegan      = conformancev1alpha1.Happening_HAPPENING_STEP
	GateReached    = conformancev1alpha1.Happening_HAPPENING_GATE_REACHED
	GateOpened     = conformancev1alpha1.Happening_HAPPENING_GATE_OPENED
)

// Recorder collects the events of one runner's sockets in order.
type Recorder struct {
	began time.Time

	mu     sync.Mutex
	events []*Event
	caseID string
	seen   func(*Event)
}

// NewRecorder is an empty one. seen, if not nil, is called with each event, in order, under the Recorder's lock.
func NewRecorder(seen func(*Event)) *Recorder { return &Recorder{began: time.Now(), seen: seen} }

// Began is the time from which events are timed.
func (r *Recorder) Began() time.Time { return r.began }

// In says which case the following events belong to; empty: none.
func (r *Recorder) In(caseID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.caseID = caseID
}

// Add numbers and times an event, and keeps it.
func (r *Recorder) Add(e *Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Seq, e.AtUs, e.CaseId = uint64(len(r.events))+1, time.Since(r.began).Microseconds(), r.caseID
	r.events = append(r.events, e)
	if r.seen != nil {
		r.seen(e)
	}
}

// Len is the number of events so far.
func (r *Recorder) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

// Since is the events behind the first n.
func (r *Recorder) Since(n int) []*Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Event(nil), r.events[n:]...)
}

// Write writes a trace file.
func Write(w io.Writer, header *Header, events []*Event) error {
	out := bufio.NewWriter(w)
	header.Format = 1
	first := &conformancev1alpha1.TraceRecord{Record: &conformancev1alpha1.TraceRecord_Header{Header: header}}
	if _, err := protodelim.MarshalTo(out, first); err != nil {
		return fmt.Errorf("write the trace's header: %w", err)
	}
	for _, e := range events {
		record := &conformancev1alpha1.TraceRecord{Record: &conformancev1alpha1.TraceRecord_Event{Event: e}}
		if _, err := protodelim.MarshalTo(out, record); err != nil {
			return fmt.Errorf("write event %d of the trace: %w", e.Seq, err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the trace: %w", err)
	}
	return nil
}

// Reader reads a trace file.
type Reader struct {
	in     *bufio.Reader
	Header *Header
}

// maxRecord bounds a record that is read.
const maxRecord = 80 << 20

// NewReader reads the header.
func NewReader(r io.Reader) (*Reader, error) {
	reader := &Reader{in: bufio.NewReader(r)}
	record, err := reader.record()
	if err != nil {
		return nil, fmt.Errorf("read the trace's header: %w", err)
	}
	if reader.Header = record.GetHeader(); reader.Header.GetFormat() != 1 {
		return nil, errors.New("this is no trace of format 1")
	}
	return reader, nil
}

func (r *Reader) record() (*conformancev1alpha1.TraceRecord, error) {
	record := &conformancev1alpha1.TraceRecord{}
	return record, protodelim.UnmarshalOptions{MaxSize: maxRecord}.UnmarshalFrom(r.in, record)
}

// Next is the next event; io.EOF after the last.
func (r *Reader) Next() (*Event, error) {
	record, err := r.record()
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, fmt.Errorf("read the trace: %w", err)
	case record.GetEvent() == nil:
		return nil, errors.New("read the trace: a second header")
	}
	return record.GetEvent(), nil
}

// All reads the rest.
func (r *Reader) All() ([]*Event, error) {
	var events []*Event
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}
