package client_test

import (
	"context"
	"net"
	"testing"
	"time"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

type State struct{ Count int }
type Counter struct {
	runner.Actor[State, runner.None]
}

func (c *Counter) Increment(_ context.Context, n int) (int, error) {
	c.State().Count += n
	c.Broadcast("count", c.State().Count)
	return c.State().Count, nil
}

func TestScratch(t *testing.T) {
	g := gatewaytest.Start(t, gateway.Config{})
	counter := runner.Define[Counter]("counter", runner.WithEvents("count"))
	runner.Action1(counter, "increment", (*Counter).Increment)
	r, err := runner.New(runner.Config{Endpoint: "ws://gateway", Dial: SCRATCHDIAL}, counter)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx) }()
	defer func() { cancel(); <-done }()
	c, err := client.New("http://gateway", client.Options{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return g.Dial(ctx) }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var h = c.GetOrCreate("counter", []string{"a"})
	for range 50 {
		if _, err := client.Call[int](ctx, h, "increment", 0); err == nil {
			break
		} else {
			t.Log(err)
			<-time.After(100 * time.Millisecond)
		}
	}
	n, err := client.Call[int](ctx, h, "increment", 2)
	t.Log("call", n, err)
	id, err := h.Resolve(ctx)
	t.Log("resolve", id, err)
	_, err = c.Create(ctx, "counter", []string{"a"})
	t.Log("create", err, client.CodeOf(err))
	h2, err := c.Create(ctx, "counter", []string{"b"})
	t.Log("create b", err)
	n, err = client.Call[int](ctx, h2, "increment", 2)
	t.Log("call b", n, err)
	got := make(chan int, 10)
	conn := h.Connect(client.ConnectOptions{Setup: func(c *client.Connection) {
		client.On(c, "count", func(n int) { got <- n })
		c.On("wrong", func(client.Event) {})
		c.OnError(func(err error) { t.Log("OnError", err) })
		c.OnStatus(func(s client.Status) { t.Log("status", s) })
		c.OnClose(func(err error) { t.Log("close", err) })
	}})
	ctx2, cancel2 := context.WithTimeout(ctx, 3*time.Second)
	defer cancel2()
	t.Log("ready", conn.Ready(ctx2))
	n, err = client.Call[int](ctx2, conn, "increment", 2)
	t.Log("call conn", n, err)
	select {
	case n := <-got:
		t.Log("event", n)
	case <-time.After(3 * time.Second):
		t.Log("no event")
	}
	t.Log(h.Call(ctx2, "nope", nil))
	t.Log(c.Get("counter", []string{"zz"}).Call(ctx2, "increment", nil, 1))
	t.Log(h.Call(ctx2, "increment", nil, "x"))
	t.Log("destroy", h.Destroy(ctx2))
	<-time.After(200 * time.Millisecond)
	t.Log("status", conn.Status())
	t.Log(c.GetForID(id).Call(ctx2, "increment", nil, 1))
}
