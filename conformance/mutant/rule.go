package mutant

import (
	"slices"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// rule makes a Tap with an empty memory.
type rule func() tap.Tap

// get is one of Frame's getters: the message of one kind, or nil.
type get[M any] func(*tap.Frame) *M

// which says whether a message is one of those that a rule is about.
type which[M any] func(*M) bool

// match is the message of that kind if the frame has it and all conditions hold.
func match[M any](f *tap.Frame, of get[M], all []which[M]) *M {
	m := of(f)
	if m == nil || slices.ContainsFunc(all, func(holds which[M]) bool { return !holds(m) }) {
		return nil
	}
	return m
}

// runnerSends is a rule without memory for what the runner sends, gatewaySends one for what it is sent.
func runnerSends(change func(*tap.Frame) []*tap.Frame) rule {
	return func() tap.Tap { return fromRunner(change) }
}

func gatewaySends(change func(*tap.Frame) []*tap.Frame) rule {
	return func() tap.Tap {
		return tap.Tap{ToRunner: func(f *tap.Frame) tap.Out { return tap.Out{Runner: change(f)} }}
	}
}

func fromRunner(change func(*tap.Frame) []*tap.Frame) tap.Tap {
	return tap.Tap{FromRunner: func(f *tap.Frame) tap.Out { return tap.Out{Gateway: change(f)} }}
}

// drop loses the frames of a kind that fit.
func drop[M any](of get[M], all ...which[M]) rule { return runnerSends(dropping(of, all)) }

// deaf does so with what the runner is sent.
func deaf[M any](of get[M], all ...which[M]) rule { return gatewaySends(dropping(of, all)) }

func dropping[M any](of get[M], all []which[M]) func(*tap.Frame) []*tap.Frame {
	return func(f *tap.Frame) []*tap.Frame {
		if match(f, of, all) != nil {
			return nil
		}
		return []*tap.Frame{f}
	}
}

// alter changes the frames of a kind that fit.
func alter[M any](of get[M], change func(*M), all ...which[M]) rule {
	return runnerSends(altering(of, change, all))
}

// mishear does so with what the runner is sent.
func mishear[M any](of get[M], change func(*M), all ...which[M]) rule {
	return gatewaySends(altering(of, change, all))
}

func altering[M any](of get[M], change func(*M), all []which[M]) func(*tap.Frame) []*tap.Frame {
	return func(f *tap.Frame) []*tap.Frame {
		if match(f, of, all) != nil {
			f = tap.Clone(f)
			change(of(f))
		}
		return []*tap.Frame{f}
	}
}

// double sends the frames of a kind that fit twice in a row.
func double[M any](of get[M], all ...which[M]) rule {
	return runnerSends(func(f *tap.Frame) []*tap.Frame {
		if match(f, of, all) != nil {
			return []*tap.Frame{f, tap.Clone(f)}
		}
		return []*tap.Frame{f}
	})
}

// after invents a frame behind them, before one in front of them.
func after[M any](of get[M], invent func(*M) *tap.Frame, all ...which[M]) rule {
	return runnerSends(func(f *tap.Frame) []*tap.Frame {
		if m := match(f, of, all); m != nil {
			return []*tap.Frame{f, invent(m)}
		}
		return []*tap.Frame{f}
	})
}

func before[M any](of get[M], invent func(*M) *tap.Frame, all ...which[M]) rule {
	return runnerSends(func(f *tap.Frame) []*tap.Frame {
		if m := match(f, of, all); m != nil {
			return []*tap.Frame{invent(m), f}
		}
		return []*tap.Frame{f}
	})
}

// swap sends each two frames of an actor that fit and follow each other, link frames aside, in the other order.
func swap[M any](of get[M], all ...which[M]) rule {
	return func() tap.Tap {
		held := map[uint64]*tap.Frame{}
		return fromRunner(func(f *tap.Frame) []*tap.Frame {
			actor := tap.Actor(f)
			first, fits := held[actor], match(f, of, all) != nil
			switch {
			case tap.IsLink(f) || first == nil && !fits:
				return []*tap.Frame{f}
			case first == nil:
				held[actor] = f
				return nil
			}
			delete(held, actor)
			if fits {
				return []*tap.Frame{f, first}
			}
			return []*tap.Frame{first, f}
		})
	}
}

// late holds the frames of a kind that fit back until right behind the actor's next frame that ends the wait.
func late[M any](of get[M], until func(*tap.Frame) bool, all ...which[M]) rule {
	return func() tap.Tap {
		held := map[uint64][]*tap.Frame{}
		return fromRunner(func(f *tap.Frame) []*tap.Frame {
			actor := tap.Actor(f)
			switch {
			case match(f, of, all) != nil:
				held[actor] = append(held[actor], f)
				return nil
			case len(held[actor]) > 0 && until(f):
				out := append([]*tap.Frame{f}, held[actor]...)
				delete(held, actor)
				return out
			}
			return []*tap.Frame{f}
		})
	}
}

// onceTold does with what the runner sends of an actor what a rule does, from the time on when the actor was told something.
func onceTold(told func(*tap.Frame) bool, then rule) rule {
	return func() tap.Tap {
		since, inner := map[uint64]bool{}, then()
		return tap.Tap{
			ToRunner: func(f *tap.Frame) tap.Out {
				if told(f) {
					since[tap.Actor(f)] = true
				}
				return tap.Out{Runner: []*tap.Frame{f}}
			},
			FromRunner: func(f *tap.Frame) tap.Out {
				if since[tap.Actor(f)] {
					return inner.FromRunner(f)
				}
				return tap.Out{Gateway: []*tap.Frame{f}}
			},
		}
	}
}

// answers is a rule about the results of those calls and opens whose ids pick takes from what the runner is sent.
func answers(pick func(*tap.Frame) (id uint64, picked bool), then rule) rule {
	return func() tap.Tap {
		picked, inner := map[uint64]bool{}, then()
		return tap.Tap{
			ToRunner: func(f *tap.Frame) tap.Out {
				if id, ok := pick(f); ok {
					picked[id] = true
				}
				return tap.Out{Runner: []*tap.Frame{f}}
			},
			FromRunner: func(f *tap.Frame) tap.Out {
				if m := f.GetCallResult(); m != nil && picked[m.Id] {
					return inner.FromRunner(f)
				}
				return tap.Out{Gateway: []*tap.Frame{f}}
			},
		}
	}
}

// is tells frames of one kind.
func is[M any](of get[M]) func(*tap.Frame) bool {
	return func(f *tap.Frame) bool { return of(f) != nil }
}
