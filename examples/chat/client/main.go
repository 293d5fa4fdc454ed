// Command client talks in a chat room: lines typed are sent, what others say is printed. It survives restarts of the
// gateway and of the runner, and misses nothing that was said while its network failed for some seconds.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/stagedoor-dev/stagedoor/examples/chat"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

func main() {
	endpoint := flag.String("endpoint", "http://127.0.0.1:6420", "the gateway")
	token := flag.String("token", os.Getenv("STAGEDOOR_TOKEN"), "a client token, where the gateway wants one")
	name := flag.String("name", "guest", "who you are")
	room := flag.String("room", "lobby", "where to talk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := talk(ctx, *endpoint, *token, *name, *room); err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

func talk(ctx context.Context, endpoint, token, name, room string) error {
	c, err := client.New(endpoint, client.Options{Token: token})
	if err != nil {
		return err
	}
	defer c.Close()
	conn := c.GetOrCreate("chat", []string{room}).Connect(client.ConnectOptions{Params: chat.Member{Name: name}})
	client.On(conn, "message", func(m chat.Message) { fmt.Printf("%s: %s\n", m.From, m.Text) })
	client.On(conn, "joined", func(who string) { fmt.Printf("* %s has joined\n", who) })
	client.On(conn, "left", func(who string) { fmt.Printf("* %s has left\n", who) })
	conn.OnReset(func(error) { fmt.Println("* you were away for too long; what was said meanwhile is in the history") })
	history, err := client.Call[[]chat.Message](ctx, conn, "history")
	if err != nil {
		return err
	}
	for _, m := range history {
		fmt.Printf("%s: %s\n", m.From, m.Text)
	}
	return sendLines(ctx, conn)
}

// sendLines sends what is typed until the end of the input or an interrupt.
func sendLines(ctx context.Context, conn *client.Connection) error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, more := <-lines:
			if !more {
				return nil
			}
			if err := conn.Call(ctx, "send", nil, line); err != nil {
				fmt.Fprintln(os.Stderr, "chat:", err)
			}
		}
	}
}
