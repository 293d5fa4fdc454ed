package runner

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// maxName bounds the names of actions and events, in bytes [CONN-9].
const maxName = 128

// action is one registered action. call decodes the arguments, runs the user's method and encodes its result to out, if
// there is one.
type action struct {
	name string
	call func(self hosted, ctx context.Context, args *arguments, out *bytes.Buffer) error
}

// Action0 registers a method without arguments as an action. The name is 1 to 128 bytes and given once per type; anything
// else panics. A result of type None is no output.
func Action0[A, R any](t *Type[A], name string, fn func(*A, context.Context) (R, error)) {
	var pool spares[R]
	t.def.addAction(name, func(self hosted, ctx context.Context, args *arguments, out *bytes.Buffer) (err error) {
		r := pool.take()
		defer pool.give(r)
		if err := args.end(); err != nil {
			return err
		}
		if *r, err = fn(any(self).(*A), ctx); err != nil {
			return err
		}
		return output(out, r)
	})
}

// Action1 registers a method with one argument. Arguments are decoded from CBOR into their Go types; a wrong number or a
// value that does not fit is answered action.invalid_arguments, and the method does not run.
func Action1[A, T1, R any](t *Type[A], name string, fn func(*A, context.Context, T1) (R, error)) {
	type values struct {
		a1 T1
		r  R
	}
	var pool spares[values]
	t.def.addAction(name, func(self hosted, ctx context.Context, args *arguments, out *bytes.Buffer) (err error) {
		v := pool.take()
		defer pool.give(v)
		if err := args.decode(&v.a1); err != nil {
			return err
		}
		if v.r, err = fn(any(self).(*A), ctx, v.a1); err != nil {
			return err
		}
		return output(out, &v.r)
	})
}

// Action2 is Action1 for two arguments.
func Action2[A, T1, T2, R any](t *Type[A], name string, fn func(*A, context.Context, T1, T2) (R, error)) {
	type values struct {
		a1 T1
		a2 T2
		r  R
	}
	var pool spares[values]
	t.def.addAction(name, func(self hosted, ctx context.Context, args *arguments, out *bytes.Buffer) (err error) {
		v := pool.take()
		defer pool.give(v)
		if err := args.decode(&v.a1, &v.a2); err != nil {
			return err
		}
		if v.r, err = fn(any(self).(*A), ctx, v.a1, v.a2); err != nil {
			return err
		}
		return output(out, &v.r)
	})
}

// Action3 is Action1 for three arguments.
func Action3[A, T1, T2, T3, R any](t *Type[A], name string, fn func(*A, context.Context, T1, T2, T3) (R, error)) {
	type values struct {
		a1 T1
		a2 T2
		a3 T3
		r  R
	}
	var pool spares[values]
	t.def.addAction(name, func(self hosted, ctx context.Context, args *arguments, out *bytes.Buffer) (err error) {
		v := pool.take()
		defer pool.give(v)
		if err := args.decode(&v.a1, &v.a2, &v.a3); err != nil {
			return err
		}
		if v.r, err = fn(any(self).(*A), ctx, v.a1, v.a2, v.a3); err != nil {
			return err
		}
		return output(out, &v.r)
	})
}

// Action4 is Action1 for four arguments.
func Action4[A, T1, T2, T3, T4, R any](t *Type[A], name string, fn func(*A, context.Context, T1, T2, T3, T4) (R, error)) {
	type values struct {
		a1 T1
		a2 T2
		a3 T3
		a4 T4
		r  R
	}
	var pool spares[values]
	t.def.addAction(name, func(self hosted, ctx context.Context, args *arguments, out *bytes.Buffer) (err error) {
		v := pool.take()
		defer pool.give(v)
		if err := args.decode(&v.a1, &v.a2, &v.a3, &v.a4); err != nil {
			return err
		}
		if v.r, err = fn(any(self).(*A), ctx, v.a1, v.a2, v.a3, v.a4); err != nil {
			return err
		}
		return output(out, &v.r)
	})
}

func (d *definition) addAction(name string, call func(hosted, context.Context, *arguments, *bytes.Buffer) error) {
	if name == "" || len(name) > maxName || clip(name, maxName) != name {
		panic(fmt.Sprintf("runner: action %q of %s: a name is 1 to %d bytes of UTF-8", name, d.name, maxName)) //nolint:forbidigo // a definition is wrong when the program begins, or never
	}
	if d.actions[name] != nil {
		panic(fmt.Sprintf("runner: %s has two actions called %q", d.name, name)) //nolint:forbidigo // a definition is wrong when the program begins, or never
	}
	d.actions[name] = &action{name: name, call: call}
}

// output encodes a result, unless it is None.
func output[R any](out *bytes.Buffer, r *R) error {
	if _, none := any(*r).(None); none {
		return nil
	}
	if err := payload.MarshalTo(out, r); err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	return nil
}

// spares are places for the arguments and the result of an action, which serve one call after another.
type spares[V any] struct{ pool sync.Pool }

func (s *spares[V]) take() *V {
	if v, ok := s.pool.Get().(*V); ok {
		return v
	}
	return new(V)
}

func (s *spares[V]) give(v *V) {
	var zero V
	*v = zero
	s.pool.Put(v)
}

// arguments is the CBOR array of a call while it is being decoded.
type arguments struct {
	action string
	data   []byte
}

func (a *arguments) end() error { return a.decode() }

// decode puts each element into the pointer for it. The error is action.invalid_arguments and says what is wrong.
func (a *arguments) decode(into ...any) error {
	n, rest, err := arrayHeader(a.data)
	if err != nil {
		return a.invalid("the arguments are not one array: %v", err)
	}
	if n != uint64(len(into)) {
		return a.invalid("%s takes %s, got %d", a.action, countOf(len(into)), n)
	}
	for i, v := range into {
		if rest, err = payload.UnmarshalFirst(rest, v); err != nil {
			return a.invalid("%s: argument %d: %v", a.action, i+1, err)
		}
	}
	if len(rest) > 0 {
		return a.invalid("%d bytes behind the arguments", len(rest))
	}
	return nil
}

// invalid is no *Error at first sight: it also says that the action did not run.
func (a *arguments) invalid(format string, args ...any) error {
	return &notRun{sdkError(wire.ActionInvalidArguments.Newf("%s", "The arguments do not fit: "+fmt.Sprintf(format, args...)+"."))}
}

// notRun marks an error that arose before any user code ran.
type notRun struct{ err *Error }

func (e *notRun) Error() string { return e.err.Error() }
func (e *notRun) Unwrap() error { return e.err }

func countOf(n int) string {
	switch n {
	case 0:
		return "no arguments"
	case 1:
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

// arrayHeader reads the head of a CBOR array. Absent data is an empty array. An array of indefinite length is written anew
// with a definite one: rare, since encoders for the wire do not make it.
func arrayHeader(data []byte) (n uint64, rest []byte, err error) {
	if len(data) == 0 {
		return 0, nil, nil
	}
	major, low := data[0]>>5, data[0]&0x1f
	if major != 4 {
		return 0, nil, fmt.Errorf("%w: major type %d", payload.ErrInvalid, major)
	}
	rest = data[1:]
	if low < 24 {
		return uint64(low), rest, nil
	}
	if low == 31 {
		return indefiniteArray(data)
	}
	var wide [8]byte
	size := 1 << (low - 24)
	if low > 27 || len(rest) < size {
		return 0, nil, fmt.Errorf("%w: array head", payload.ErrInvalid)
	}
	copy(wide[8-size:], rest)
	return binary.BigEndian.Uint64(wide[:]), rest[size:], nil
}

func indefiniteArray(data []byte) (uint64, []byte, error) {
	elements, err := payload.SplitArgs(data)
	if err != nil {
		return 0, nil, err
	}
	var rest []byte
	for _, e := range elements {
		rest = append(rest, e...)
	}
	return uint64(len(elements)), rest, nil
}
