package link

import (
	"fmt"

	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// parts are the frames of a link that are being put together; what they hold in all is bounded [LINK-3] [LIMIT-5].
type parts struct {
	limit int
	stats *stats.Stats
	held  int
	open  map[uint64]*part // by actor
}

type part struct {
	wire.Assembler
	size int
}

// minPart is what a frame that has begun counts at least, so that their number is bounded too.
const minPart = 4 << 10

func (p *part) charge() int { return max(p.size, minPart) }

// add takes the next part of an actor and returns the frame that it completes. After an error nothing of it is kept.
func (p *parts) add(m *wire.Part) (frame []byte, err error) {
	o := p.open[m.Actor]
	if o == nil {
		o = new(part)
		p.open[m.Actor] = o
	} else {
		p.held -= o.charge()
	}
	o.size += len(m.Data)
	if p.held+o.charge() > max(p.limit, minPart) {
		p.stats.Limit(stats.MaxFrame)
		err = fmt.Errorf("%w: the parts of all actors hold more than %d bytes", wire.ErrFrameTooLarge, p.limit)
	} else {
		frame, err = o.Add(m, p.limit)
	}
	if err != nil || frame != nil {
		delete(p.open, m.Actor)
		return frame, err
	}
	p.held += o.charge()
	return nil, nil
}

// receivePart collects the parts of one actor until they make a frame. Those for a ref that nobody holds are put together
// too: the event that they may be has cost credit.
func (l *Link) receivePart(c *Conn, f wire.Frame) error {
	var p wire.Part
	err := p.Unmarshal(f.Body)
	var raw []byte
	if err == nil {
		raw, err = l.parts.add(&p)
	}
	if err == nil && raw == nil {
		return nil
	}
	m := message{}
	if err == nil {
		m.frame, err = wire.ParseFrame(raw)
	}
	if err == nil && (m.frame.Kind == wire.RunnerPart || m.frame.Kind.IsLink()) {
		err = fmt.Errorf("%w: a frame of kind %d inside Parts", wire.ErrMalformed, m.frame.Kind)
	}
	if err == nil {
		l.decode(&m)
	} else {
		m.ref, m.err = wire.ActorRef(f.Body), err
	}
	l.mu.Lock()
	l.find(&m)
	l.mu.Unlock()
	return l.dispatch(c, &m)
}
