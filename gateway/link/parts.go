package link

import (
	"fmt"
	"sync/atomic"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// parts are the frames of a link that are being put together; what they hold in all is bounded [LINK-3] [LIMIT-5].
type parts struct {
	limit  int
	stats  *stats.Stats
	budget *budget.Budget
	held   atomic.Int64
	open   map[uint64]*part // by actor
}

// part is a frame of an actor; of one that nobody holds only the cost counts.
type part struct {
	wire.Assembler
	size    int
	metered bool
	meter   meter
}

// minPart is what a frame that has begun counts at least, so that their number is bounded too.
const minPart = 4 << 10

func (p *part) charge() int { return max(p.size, minPart) }

// add takes the next part of an actor, which somebody holds or not. When it was the last one, it returns the frame that they
// make, or what the frame has cost. After an error nothing of it is kept.
func (p *parts) add(m *wire.Part, held bool) (frame []byte, cost uint64, err error) {
	o := p.open[m.Actor]
	if o == nil {
		o = &part{metered: !held}
		p.open[m.Actor] = o
	} else {
		p.hold(-o.charge())
	}
	if !o.metered {
		o.size += len(m.Data)
	}
	switch {
	case int(p.held.Load())+o.charge() > max(p.limit, minPart):
		p.stats.Limit(stats.MaxFrame)
		err = fmt.Errorf("%w: the parts of all actors hold more than %d bytes", wire.ErrFrameTooLarge, p.limit)
	case o.metered:
		o.meter.add(m.Data)
	default:
		frame, err = o.Add(m, p.limit)
	}
	if err != nil || m.Last {
		delete(p.open, m.Actor)
		return frame, o.meter.cost(), err
	}
	p.hold(o.charge())
	return nil, 0, nil
}

func (p *parts) hold(n int) {
	p.held.Add(int64(n))
	p.budget.Add(n)
}

// free tells the budget that nothing is held any more.
func (p *parts) free() { p.budget.Add(-int(p.held.Swap(0))) }

// receivePart collects the parts of one actor until they make a frame.
func (l *Link) receivePart(c *Conn, part *message) error {
	var p wire.Part
	var raw []byte
	m := message{}
	err := p.Unmarshal(part.frame.Body)
	if err == nil {
		raw, m.cost, err = l.parts.add(&p, part.to != nil || p.Actor == 0)
	}
	if err == nil && raw != nil {
		m.frame, err = wire.ParseFrame(raw)
	}
	switch {
	case err != nil:
		m.ref, m.err = part.ref, err
	case m.cost > 0 && l.credit: // an event for nobody
		m.ref, m.body = part.ref, &l.emit
	case raw == nil:
		return nil
	case m.frame.Kind == wire.RunnerPart || m.frame.Kind.IsLink():
		m.ref, m.err = part.ref, fmt.Errorf("%w: a frame of kind %d inside Parts", wire.ErrMalformed, m.frame.Kind)
	default:
		l.decode(&m)
	}
	l.mu.Lock()
	l.find(&m)
	l.mu.Unlock()
	return l.dispatch(c, &m)
}
