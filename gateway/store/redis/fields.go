package redis

import (
	"fmt"
	"slices"

	"github.com/redis/rueidis"
)

// fields visits the named fields of a hash, as many at once as have about exportBytes together.
func (e *exporter) fields(hash string, names []string, visit func(name, value string) error) error {
	for page := range slices.Chunk(names, exportPage) {
		lengths, err := e.lengths(hash, page)
		if err != nil {
			return err
		}
		for len(page) > 0 {
			n := atOnce(lengths)
			if err := e.some(hash, page[:n], visit); err != nil {
				return err
			}
			page, lengths = page[n:], lengths[n:]
		}
	}
	return nil
}

// atOnce is how many of the first have at most exportBytes together; at least one.
func atOnce(lengths []int64) int {
	n, sum := 1, lengths[0]
	for n < len(lengths) && sum+lengths[n] <= exportBytes {
		sum += lengths[n]
		n++
	}
	return n
}

func (e *exporter) lengths(hash string, names []string) ([]int64, error) {
	commands := make([]rueidis.Completed, len(names))
	for i, name := range names {
		commands[i] = e.b().Hstrlen().Key(e.base + hash).Field(name).Build()
	}
	lengths := make([]int64, len(names))
	for i, reply := range e.client.DoMulti(e.ctx, commands...) {
		var err error
		if lengths[i], err = reply.AsInt64(); err != nil {
			return nil, err
		}
	}
	return lengths, nil
}

func (e *exporter) some(hash string, names []string, visit func(name, value string) error) error {
	values, err := e.client.Do(e.ctx, e.b().Hmget().Key(e.base+hash).Field(names...).Build()).ToArray()
	if err != nil {
		return err
	}
	for i := range values {
		value, err := values[i].ToString()
		if err != nil {
			return fmt.Errorf("%q in %s: %w: %w", names[i], hash, errCorrupt, err)
		}
		if err := visit(names[i], value); err != nil {
			return err
		}
	}
	return nil
}
