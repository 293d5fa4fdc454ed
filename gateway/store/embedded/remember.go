package embedded

import "strings"

// rememberedBytes bounds each half of what is remembered, about 10,000 small actors.
const rememberedBytes = 2 << 20

// remembered holds the records that were written last, as they are in the store: looking one up there is most of what
// applying a commit costs. It never differs from the store, because whatever writes a record goes through the writer,
// which owns this; so it needs to know nothing of owners and fences. Its bytes are lent until the next put.
type remembered struct {
	// Where recent is full it becomes old, and what was old is forgotten: an actor that keeps committing stays.
	recent, old map[string][]byte // by actor id
	size        int               // of recent
}

func (m *remembered) get(id string) (record []byte, found bool) {
	if record, found = m.recent[id]; !found {
		record, found = m.old[id]
	}
	return record, found
}

// put copies the record.
func (m *remembered) put(id string, record []byte) {
	kept, found := m.recent[id]
	if !found {
		if m.recent == nil || m.size >= rememberedBytes {
			m.recent, m.old, m.size = make(map[string][]byte), m.recent, 0
		}
		id = strings.Clone(id) // It may be a part of something larger.
		m.size += len(id)
	}
	record = append(kept[:0], record...)
	m.size += cap(record) - cap(kept)
	m.recent[id] = record
}

func (m *remembered) forget(id string) {
	if record, found := m.recent[id]; found {
		m.size -= len(id) + cap(record)
		delete(m.recent, id)
	}
	delete(m.old, id)
}
