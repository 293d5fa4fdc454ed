package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// plainCaller runs each call once, over one client, and gathers what is sent like the real one.
type plainCaller struct {
	client rueidis.Client

	mu      sync.Mutex
	queue   []queued
	closed  bool
	arrived *sync.Cond
	stopped chan struct{}
}

type queued struct {
	fn         string
	keys, args []string
	done       func(rueidis.RedisMessage, error)
}

func newPlainCaller(client rueidis.Client) *plainCaller {
	c := &plainCaller{client: client, stopped: make(chan struct{})}
	c.arrived = sync.NewCond(&c.mu)
	go c.run()
	return c
}

func (c *plainCaller) run() {
	defer close(c.stopped)
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && !c.closed {
			c.arrived.Wait()
		}
		batch := c.queue
		c.queue = nil
		c.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		commands := make([]rueidis.Completed, len(batch))
		for i, q := range batch {
			commands[i] = c.client.B().Fcall().Function(q.fn).Numkeys(int64(len(q.keys))).Key(q.keys...).Arg(q.args...).Build()
		}
		for i, result := range c.client.DoMulti(context.Background(), commands...) {
			batch[i].done(plainAnswer(result))
		}
	}
}

func plainAnswer(result rueidis.RedisResult) (rueidis.RedisMessage, error) {
	m, err := result.ToMessage()
	var answered *rueidis.RedisError
	if errors.As(err, &answered) && !answered.IsNil() {
		code, text := splitCode(answered.Error())
		return m, &refusal{code: code, text: text}
	}
	if rueidis.IsRedisNil(err) {
		err = nil
	}
	return m, err
}

func splitCode(s string) (code, text string) {
	for i := range len(s) {
		if s[i] == ' ' {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func (c *plainCaller) call(ctx context.Context, d store.Durability, fn string, keys, args []string) (
	rueidis.RedisMessage, error,
) {
	if err := ctx.Err(); err != nil {
		return rueidis.RedisMessage{}, err
	}
	type answer struct {
		m   rueidis.RedisMessage
		err error
	}
	answered := make(chan answer, 1)
	c.send(d, fn, keys, args, func(m rueidis.RedisMessage, err error) { answered <- answer{m, err} })
	a := <-answered
	return a.m, a.err
}

func (c *plainCaller) send(_ store.Durability, fn string, keys, args []string, done func(rueidis.RedisMessage, error)) {
	c.sendAll(queued{fn, keys, args, done})
}

// sendAll keeps what belongs together next to each other.
func (c *plainCaller) sendAll(all ...queued) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		for _, q := range all {
			go q.done(rueidis.RedisMessage{}, store.ErrClosed)
		}
		return
	}
	c.queue = append(c.queue, all...)
	c.arrived.Signal()
}

func (c *plainCaller) interrupted() time.Time { return time.Time{} }

func (c *plainCaller) supports(d store.Durability) bool { return d <= store.Disk }

func (c *plainCaller) ready(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return store.ErrClosed
	}
	return nil
}

func (c *plainCaller) close() error {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.arrived.Signal()
	c.mu.Unlock()
	<-c.stopped
	if was {
		return store.ErrClosed
	}
	return nil
}
