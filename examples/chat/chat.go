// Package chat is a chat room: members with names, messages that everybody hears, and a history that lasts.
package chat

import (
	"context"
	"strings"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// keep is how many messages a room remembers.
const keep = 100

// Message is one line of the room.
type Message struct {
	From string `cbor:"from"`
	Text string `cbor:"text"`
}

// Member is a client in the room: what it said of itself when it connected.
type Member struct {
	Name string `cbor:"name"`
}

// State is the room's memory.
type State struct {
	History []Message `cbor:"history"`
}

// Room is one chat room. `chat:lobby` is another one than `chat:kitchen`.
type Room struct {
	runner.Actor[State, Member]
}

// Join checks who wants to come in. Refusing here leaves no trace of the connection.
func (r *Room) Join(_ context.Context, who Member) (Member, error) {
	who.Name = strings.TrimSpace(who.Name)
	if who.Name == "" || len(who.Name) > 32 {
		return who, runner.Reject("say who you are: connect with params {name}, 1 to 32 bytes")
	}
	return who, nil
}

// Joined greets everybody.
func (r *Room) Joined(_ context.Context, c *runner.Conn[Member]) error {
	r.Broadcast("joined", c.State().Name)
	return nil
}

// Left tells the others, once, however the connection ended.
func (r *Room) Left(_ context.Context, c *runner.Conn[Member]) error {
	r.Broadcast("left", c.State().Name)
	return nil
}

// Send says something to everybody in the room. Only those who are in it can.
func (r *Room) Send(ctx context.Context, text string) (runner.None, error) {
	from := r.Conn(ctx)
	if from == nil {
		return runner.None{}, &runner.UserError{Code: "not_in_room", Message: "connect to the room first"}
	}
	m := Message{From: from.State().Name, Text: text}
	s := r.State()
	s.History = append(s.History, m)
	if len(s.History) > keep {
		s.History = s.History[len(s.History)-keep:]
	}
	r.Broadcast("message", m)
	return runner.None{}, nil
}

// History returns the last messages, oldest first.
func (r *Room) History(context.Context) ([]Message, error) {
	return r.View().History, nil
}

// Members returns the names of those who are in the room.
func (r *Room) Members(context.Context) ([]string, error) {
	names := []string{}
	for c := range r.Conns() {
		names = append(names, c.State().Name)
	}
	return names, nil
}

// Type is what a runner hosts.
func Type() *runner.Type[Room] {
	t := runner.Define[Room]("chat", runner.WithEvents("message", "joined", "left"))
	runner.CreateConnState(t, (*Room).Join)
	runner.OnConnect(t, (*Room).Joined)
	runner.OnDisconnect(t, (*Room).Left)
	runner.Action1(t, "send", (*Room).Send)
	runner.Action0(t, "history", (*Room).History)
	runner.Action0(t, "members", (*Room).Members)
	return t
}
