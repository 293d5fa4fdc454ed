package session

import "slices"

// numbers are the connection numbers that a session has used, in whatever order they came [SESS-11]. The zero value has none.
type numbers struct {
	highest uint64
	gaps    []gap // not used, between those that were; ascending
}

// gap is a range of numbers, both ends included.
type gap struct{ from, to uint64 }

// free tells a number that was not used, and is not below all that are remembered.
func (u *numbers) free(n uint64) bool {
	_, in := u.find(n)
	return in || n > u.highest
}

// find is the gap that a number is in.
func (u *numbers) find(n uint64) (i int, in bool) {
	return slices.BinarySearchFunc(u.gaps, n, func(g gap, n uint64) int {
		switch {
		case g.to < n:
			return -1
		case g.from > n:
			return 1
		}
		return 0
	})
}

// use takes a free number. most bounds the gaps.
func (u *numbers) use(n uint64, most int) {
	if n > u.highest {
		if n > u.highest+1 {
			u.gaps = append(u.gaps, gap{u.highest + 1, n - 1})
		}
		u.highest = n
		u.bound(most)
		return
	}
	i, in := u.find(n)
	if !in {
		return
	}
	var left []gap
	if g := u.gaps[i]; g.from < n {
		left = append(left, gap{g.from, n - 1})
	}
	if g := u.gaps[i]; g.to > n {
		left = append(left, gap{n + 1, g.to})
	}
	u.gaps = slices.Replace(u.gaps, i, i+1, left...)
	u.bound(most)
}

func (u *numbers) bound(most int) {
	if over := len(u.gaps) - most; over > 0 {
		u.gaps = slices.Delete(u.gaps, 0, over)
	}
}
