package verdict

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/trace"
)

const (
	maxLines = 400
	maxText  = 300
)

// LinesOf shortens a trace for people: pings are left out, and all but the first and last few hundred events.
func LinesOf(events []*trace.Event) []Line {
	var lines []Line
	for _, e := range events {
		if line, ok := lineOf(e); ok {
			lines = append(lines, line)
		}
	}
	if over := len(lines) - maxLines; over > 0 {
		middle := Line{Kind: "…", Text: fmt.Sprintf("%d events left out", over)}
		lines = append(append(lines[:maxLines/2:maxLines/2], middle), lines[len(lines)-maxLines/2:]...)
	}
	return lines
}

func lineOf(e *trace.Event) (Line, bool) {
	line := Line{Seq: e.Seq, AtUs: e.AtUs, Socket: e.Socket, Text: e.Note}
	switch {
	case e.Direction == trace.FromRunner:
		line.From = "runner"
	case e.Direction == trace.ToRunner:
		line.From = "gateway"
	default:
		short := strings.TrimPrefix(e.Happening.String(), "HAPPENING_")
		line.Kind = strings.ToLower(strings.ReplaceAll(short, "_", " "))
		return line, true
	}
	if e.Frame == nil {
		line.Kind, line.Text = "no frame", fmt.Sprintf("%s %x", e.Note, e.Garbage[:min(len(e.Garbage), 64)])
		return line, true
	}
	f := &runnerv1alpha1.Frame{}
	if err := proto.Unmarshal(e.Frame, f); err != nil {
		line.Kind, line.Text = "malformed", err.Error()
		return line, true
	}
	m := f.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if field == nil {
		line.Kind, line.Text = "unknown kind", fmt.Sprintf("%x", e.Frame[:min(len(e.Frame), 32)])
		return line, true
	}
	inner := m.Get(field).Message()
	if ref := inner.Descriptor().Fields().ByName("actor"); ref != nil {
		line.Actor = inner.Get(ref).Uint()
	}
	line.Kind = field.JSONName()
	line.Text = text(inner.Interface())
	return line, line.Kind != "ping" && line.Kind != "pong" && line.Kind != "ack" && line.Kind != "part"
}

func text(m proto.Message) string {
	t := prototext.MarshalOptions{AllowPartial: true}.Format(m)
	t = strings.Join(strings.Fields(t), " ") // prototext varies its white space on purpose
	if len(t) > maxText {
		t = strings.ToValidUTF8(t[:maxText], "") + "…"
	}
	return t
}
