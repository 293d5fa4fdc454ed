package engine

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/monitor"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
)

// blame finds the case that a breach belongs to, which need not be the one under way: a frame may come behind the end of the case
// that caused it. Refs and ids grow from case to case, so that each tells whose it is.
type blame struct {
	cases   []blamed
	sockets map[uint32]string // the case that used it last
}

type blamed struct {
	id    string
	from  uint64 // refs and ids
	waive []string
}

func newBlame() *blame { return &blame{sockets: map[uint32]string{}} }

// begin says that what is handed out from now on is the case's. again: so it was before.
func (b *blame) begin(test *casefile.Case, from uint64) (again bool) {
	again = len(b.cases) > 0 && b.cases[len(b.cases)-1].id == test.Id
	b.cases = append(b.cases, blamed{test.Id, from, test.WaiveMonitors})
	return again
}

// share says that the socket is the case's from now on.
func (b *blame) share(socket *vgw.Socket, id string) { b.sockets[uint32(socket.Number)] = id }

// saw notes whose a new socket is.
func (b *blame) saw(e *trace.Event) {
	if e.Happening == trace.Opened {
		b.sockets[e.Socket] = e.CaseId
	}
}

// of is the case that an event belongs to: by the ref or id in it, by its socket, or the latest; empty: there was none yet.
func (b *blame) of(e *trace.Event) string {
	if len(b.cases) == 0 {
		return ""
	}
	if n := givenOut(e); n >= b.cases[0].from {
		at := slices.IndexFunc(b.cases, func(c blamed) bool { return c.from > n })
		if at < 0 {
			at = len(b.cases)
		}
		return b.cases[at-1].id
	}
	if id := b.sockets[e.Socket]; id != "" {
		return id
	}
	return b.cases[len(b.cases)-1].id
}

// waives says whether the case of a finding is not about it.
func (b *blame) waives(f monitor.Finding) bool {
	return slices.ContainsFunc(b.cases, func(c blamed) bool { return c.id == f.Case && slices.Contains(c.waive, f.Monitor) })
}

// pings is from where on the numbers of pings are, which are no case's.
const pings = 1 << 40

// givenOut is the ref or the number of a fence that a frame of the runner is about; 0: there is none.
func givenOut(e *trace.Event) uint64 {
	f := new(vgw.Frame)
	if e.Direction != trace.FromRunner || proto.Unmarshal(e.Frame, f) != nil {
		return 0
	}
	m, _ := vgw.MessageOf(f)
	if m == nil {
		return 0
	}
	for _, name := range []protoreflect.Name{"actor", "nonce"} {
		field := m.Descriptor().Fields().ByName(name)
		if field == nil || field.Kind() != protoreflect.Uint64Kind {
			continue
		}
		if n := m.Get(field).Uint(); n > 0 && n < pings {
			return n
		}
	}
	return 0
}
