package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

func Example() {
	c, err := client.New("http://127.0.0.1:6420", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	counter := c.GetOrCreate("counter", []string{"visits"})
	n, err := client.Call[int](ctx, counter, "increment", 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n)
}

// In development the gateway's certificate is trusted for its hash, which an endpoint with http:// has the client ask for. A
// gateway with a certificate of its own is https://.
func ExampleOptions_webTransport() {
	c, err := client.New("http://127.0.0.1:6420", client.Options{Transport: client.WebTransport})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	game := c.GetOrCreate("game", []string{"42"}).Connect(client.ConnectOptions{
		Setup: func(conn *client.Connection) {
			// Events that the actor sends with BroadcastUnreliable come as datagrams: at once, or not at all.
			client.On(conn, "position", func(at [2]float64) { fmt.Println(at) })
		},
	})
	defer game.Close()
	if err := game.Call(context.Background(), "start", nil); err != nil {
		log.Print(err)
	}
}

func ExampleHandle_Connect() {
	c, err := client.New("http://127.0.0.1:6420", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	room := c.GetOrCreate("room", []string{"general"}).Connect(client.ConnectOptions{
		Params: map[string]string{"user": "ada"},
		Setup: func(conn *client.Connection) {
			client.On(conn, "message", func(text string) { fmt.Println(text) })
			conn.OnReset(func(error) { fmt.Println("(some messages may be missing)") })
			conn.OnClose(func(err error) { log.Print("out: ", err) })
		},
	})
	defer room.Close()
	if err := room.Call(context.Background(), "say", nil, "hello"); err != nil {
		log.Print(err)
	}
}

func ExampleClient_Create() {
	c, err := client.New("https://shop:secret@gateway.example.com", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	game, err := c.Create(context.Background(), "game", []string{"42"}, client.WithInput(map[string]string{"mode": "ranked"}))
	if taken, ok := errors.AsType[*client.Error](err); ok && taken.Name() == client.CodeActorDuplicateKey {
		var existing struct {
			ID string `cbor:"id"`
		}
		if err := taken.DecodeMetadata(&existing); err != nil {
			log.Fatal(err)
		}
		game, err = c.GetForID(existing.ID), nil
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(game.Call(context.Background(), "start", nil))
}

func ExampleError() {
	err := error(&client.Error{Group: "session", Code: "lost", Message: "the socket was lost", Retryable: true, Ran: client.RanMaybe})
	e, _ := errors.AsType[*client.Error](fmt.Errorf("pay: %w", err))
	switch {
	case e.Retryable && e.Ran == client.RanNo:
		fmt.Println("try again")
	case client.CodeOf(err) == client.CodeSessionLost:
		fmt.Println("look whether it happened")
	}
	// Output: look whether it happened
}
