package route

import (
	"cmp"
	"slices"
)

// calls are those under way, by id. Ids grow, and answers come mostly in the order of the calls: a list is found through as
// fast as a map, and that of an idle actor takes next to nothing.
type calls []*Call

// idleCalls is how many places an empty list keeps.
const idleCalls = 16

func (l calls) find(id uint64) (at int, found bool) {
	return slices.BinarySearchFunc(l, id, func(c *Call, id uint64) int { return cmp.Compare(c.id, id) })
}

// get is the call of an id, or nil.
func (l calls) get(id uint64) *Call {
	if at, found := l.find(id); found {
		return l[at]
	}
	return nil
}

// add takes in a call whose id is higher than those before it.
func (l *calls) add(c *Call) { *l = append(*l, c) }

// take removes and returns the call of an id, or nil.
func (l *calls) take(id uint64) *Call {
	at, found := l.find(id)
	if !found {
		return nil
	}
	c := (*l)[at]
	if *l = slices.Delete(*l, at, at+1); len(*l) == 0 && cap(*l) > idleCalls {
		*l = nil
	}
	return c
}
