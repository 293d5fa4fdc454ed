package e2e

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// lab is an actor that does what the tests want to see. What its hooks do goes to a journal outside of it.
type lab struct {
	runner.Actor[labState, labConn]
	journal *journal
}

type labState struct {
	Count int    `cbor:"count"`
	Blob  []byte `cbor:"blob"`
	Input string `cbor:"input"`
}

type labConn struct {
	Name string `cbor:"name"`
	Seen int    `cbor:"seen"`
}

// journal is what actors did, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := strings.Join(j.lines, " ")
	j.lines = nil
	return s
}

type labOptions struct {
	journal  *journal
	start    func(ctx context.Context) error // called by OnWake
	gate     chan struct{}                   // blocks wait
	options  []runner.Option
	noLeaver bool
}

func labType(o labOptions) *runner.Type[lab] {
	if o.journal == nil {
		o.journal = new(journal)
	}
	t := runner.Define[lab]("lab", o.options...)
	labHooks(t, o)
	labActions(t)
	labFaults(t)
	labWaits(t, o)
	labConnections(t)
	labKV(t)
	return t
}

// labHooks note what they do.
func labHooks(t *runner.Type[lab], o labOptions) {
	j := o.journal
	runner.CreateState(t, func(l *lab, ctx context.Context, input string) (labState, error) {
		j.add("createState")
		if input == "refuse" {
			return labState{}, &runner.UserError{Code: "no_such_lab", Message: "this lab cannot be built"}
		}
		return labState{Input: input}, nil
	})
	runner.OnCreate(t, func(*lab, context.Context) error { j.add("create"); return nil })
	runner.OnWake(t, func(l *lab, ctx context.Context) error {
		j.add("wake")
		l.journal = j
		if o.start != nil {
			return o.start(ctx)
		}
		return nil
	})
	runner.OnSleep(t, func(*lab, context.Context) error { j.add("sleep"); return nil })
	runner.OnDestroy(t, func(*lab, context.Context) error { j.add("destroy"); return nil })
	runner.CreateConnState(t, func(l *lab, _ context.Context, p labConn) (labConn, error) {
		if p.Name == "bad" {
			return p, &runner.UserError{Code: "banned", Message: "you are banned", Metadata: map[string]int{"days": 3}}
		}
		return p, nil
	})
	runner.OnConnect(t, func(l *lab, _ context.Context, c *runner.Conn[labConn]) error {
		j.add("connect:" + c.State().Name)
		c.Send("welcome", c.State().Name)
		return nil
	})
	if !o.noLeaver {
		runner.OnDisconnect(t, func(l *lab, _ context.Context, c *runner.Conn[labConn]) error {
			j.add("disconnect:" + c.State().Name)
			return nil
		})
	}
}

// labActions are about state and values.
func labActions(t *runner.Type[lab]) {
	runner.Action1(t, "add", func(l *lab, _ context.Context, n int) (int, error) {
		l.State().Count += n
		l.Broadcast("count", l.State().Count)
		return l.State().Count, nil
	})
	runner.Action0(t, "get", func(l *lab, _ context.Context) (int, error) { return l.View().Count, nil })
	runner.Action0(t, "input", func(l *lab, _ context.Context) (string, error) { return l.View().Input, nil })
	runner.Action0(t, "who", func(l *lab, _ context.Context) ([]string, error) { return append([]string{l.ID()}, l.Key()...), nil })
	runner.Action1(t, "echo", func(_ *lab, _ context.Context, v any) (any, error) { return v, nil })
	runner.Action0(t, "nothing", func(*lab, context.Context) (runner.None, error) { return runner.None{}, nil })
	runner.Action1(t, "result", func(_ *lab, _ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })
	runner.Action1(t, "blob", func(l *lab, _ context.Context, n int) (int, error) {
		l.State().Blob = make([]byte, n)
		return n, nil
	})
	runner.Action1(t, "bigEvent", func(l *lab, _ context.Context, n int) (runner.None, error) {
		l.Broadcast("big", make([]byte, n))
		return runner.None{}, nil
	})
}

// labFaults fail.
func labFaults(t *runner.Type[lab]) {
	runner.Action0(t, "fail", func(*lab, context.Context) (int, error) {
		return 0, &runner.UserError{Code: "nope", Message: "not today", Metadata: map[string]int{"try": 1}}
	})
	runner.Action1(t, "addThenFail", func(l *lab, _ context.Context, n int) (int, error) {
		l.State().Count += n
		return 0, errors.New("secret text")
	})
	runner.Action0(t, "panic", func(*lab, context.Context) (int, error) { panic("secret panic") })
}

// labWaits take their time, or end the actor's.
func labWaits(t *runner.Type[lab], o labOptions) {
	runner.Action0(t, "sleepNow", func(l *lab, _ context.Context) (runner.None, error) { l.Sleep(); return runner.None{}, nil })
	runner.Action0(t, "destroyMe", func(l *lab, _ context.Context) (runner.None, error) { l.Destroy(); return runner.None{}, nil })
	runner.Action0(t, "wait", func(l *lab, ctx context.Context) (string, error) {
		select {
		case <-o.gate:
			return "opened", nil
		case <-ctx.Done():
			o.journal.add("canceled")
			return "", ctx.Err()
		}
	})
	runner.Action1(t, "pause", func(_ *lab, _ context.Context, ms int) (int, error) {
		<-time.After(time.Duration(ms) * time.Millisecond)
		return ms, nil
	})
}

// labConnections are about who is connected.
func labConnections(t *runner.Type[lab]) {
	runner.Action0(t, "seen", func(l *lab, ctx context.Context) (int, error) {
		c := l.Conn(ctx)
		if c == nil {
			return -1, nil
		}
		c.State().Seen++
		return c.State().Seen, nil
	})
	runner.Action0(t, "conns", func(l *lab, _ context.Context) ([]string, error) {
		names := []string{}
		for c := range l.Conns() {
			names = append(names, c.State().Name)
		}
		return names, nil
	})
	runner.Action1(t, "kick", func(l *lab, _ context.Context, name string) (runner.None, error) {
		for c := range l.Conns() {
			if c.State().Name == name {
				c.Disconnect("kicked by a test")
			}
		}
		return runner.None{}, nil
	})
	runner.Action2(t, "tell", func(l *lab, _ context.Context, name, text string) (runner.None, error) {
		for c := range l.Conns() {
			if c.State().Name == name {
				c.Send("private", text)
			}
		}
		return runner.None{}, nil
	})
	runner.Action1(t, "burst", func(l *lab, _ context.Context, n int) (runner.None, error) {
		for i := range n {
			l.Broadcast("tick", i)
		}
		return runner.None{}, nil
	})
}

// labKV is about KV.
func labKV(t *runner.Type[lab]) {
	runner.Action2(t, "kvPut", func(l *lab, _ context.Context, k, v string) (runner.None, error) {
		return runner.None{}, l.KV().Put([]byte(k), []byte(v))
	})
	runner.Action1(t, "kvGet", func(l *lab, ctx context.Context, k string) (string, error) {
		v, found, err := l.KV().Get(ctx, []byte(k))
		if !found {
			return "<none>", err
		}
		return string(v), err
	})
	runner.Action1(t, "kvList", func(l *lab, ctx context.Context, prefix string) ([]string, error) {
		entries, err := l.KV().List(ctx, runner.ListOptions{Prefix: []byte(prefix)})
		keys := []string{}
		for _, e := range entries {
			keys = append(keys, string(e.Key)+"="+string(e.Value))
		}
		return keys, err
	})
}
