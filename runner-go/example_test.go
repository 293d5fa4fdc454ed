package runner_test

import (
	"context"
	"fmt"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

type CartState struct{ Items []string }

// Cart is a shopping cart.
type Cart struct {
	runner.Actor[CartState, runner.None]
	added int // in memory only: since the last start
}

func (c *Cart) Add(_ context.Context, item string) (int, error) {
	if item == "" {
		return 0, runner.UserError{Code: "no_item", Message: "Name an item."}
	}
	s := c.State()
	s.Items = append(s.Items, item)
	c.added++
	c.Broadcast("items", s.Items)
	return len(s.Items), nil
}

func (c *Cart) Items(context.Context) ([]string, error) { return c.View().Items, nil }

func (c *Cart) created(_ context.Context, gift string) (CartState, error) {
	if gift == "" {
		return CartState{}, nil
	}
	return CartState{Items: []string{gift}}, nil
}

func ExampleDefine() {
	cart := runner.Define[Cart]("cart", runner.WithEvents("items"), runner.WithDurability(runner.Disk))
	runner.CreateState(cart, (*Cart).created)
	runner.Action1(cart, "add", (*Cart).Add)
	runner.Action0(cart, "items", (*Cart).Items)
	fmt.Println(cart.Name())
	// Output: cart
}

func ExampleMain() {
	cart := runner.Define[Cart]("cart")
	runner.Action1(cart, "add", (*Cart).Add)
	main := func() { runner.Main(cart) } // STAGEDOOR_ENDPOINT and STAGEDOOR_TOKEN say where
	_ = main
}

func ExampleRunner_Serve() {
	cart := runner.Define[Cart]("cart")
	r, err := runner.New(runner.Config{Endpoint: "wss://gateway.example.com", Token: "…", Version: 3}, cart)
	if err != nil {
		fmt.Println(err)
		return
	}
	serve := func(ctx context.Context) error { return r.Serve(ctx) } // until ctx ends, then the actors are handed over
	_ = serve
}

// Clock tells the time to whoever listens.
type Clock struct {
	runner.Actor[runner.None, runner.None]
}

func (c *Clock) tick(ctx context.Context, ticks <-chan string) error {
	for {
		select {
		case now := <-ticks:
			if err := c.Do(ctx, func(context.Context) error { c.Broadcast("tick", now); return nil }); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func ExampleRun() {
	ticks := make(chan string)
	clock := runner.Define[Clock]("clock", runner.WithStayAwake())
	runner.Run(clock, func(c *Clock, ctx context.Context) error { return c.tick(ctx, ticks) })
}

func ExampleDeclareEvent() {
	clock := runner.Define[Clock]("clock")
	tick := runner.DeclareEvent[string](clock, "tick")
	runner.Action1(clock, "ring", func(c *Clock, _ context.Context, text string) (runner.None, error) {
		tick.Broadcast(c, text)
		return runner.None{}, nil
	})
	fmt.Println(tick.Name())
	// Output: tick
}
