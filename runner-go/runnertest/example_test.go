package runnertest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
	"github.com/stagedoor-dev/stagedoor/runner-go/runnertest"
)

type RoomState struct{ Messages []string }

type Member struct{ Name string }

// Room is a chat room: its state is durable, a member's name belongs to the connection.
type Room struct {
	runner.Actor[RoomState, Member]
	wakes int // in memory only
}

type JoinParams struct{ Name string }

func (r *Room) join(_ context.Context, p JoinParams) (Member, error) {
	if p.Name == "" {
		return Member{}, runner.Reject("say who you are")
	}
	return Member(p), nil
}

func (r *Room) connected(_ context.Context, conn *runner.Conn[Member]) error {
	r.BroadcastExcept("joined", []*runner.Conn[Member]{conn}, conn.State().Name)
	conn.Send("welcome", len(r.View().Messages))
	return nil
}

func (r *Room) disconnected(_ context.Context, conn *runner.Conn[Member]) error {
	r.Broadcast("left", conn.State().Name)
	return nil
}

func (r *Room) Say(ctx context.Context, text string) (int, error) {
	conn := r.Conn(ctx)
	if conn == nil {
		return 0, runner.UserError{Code: "not_a_member", Message: "Join first.", Metadata: map[string]int{"members": 0}}
	}
	r.State().Messages = append(r.State().Messages, text)
	r.Broadcast("message", conn.State().Name, text)
	return len(r.State().Messages), nil
}

func (r *Room) Rename(ctx context.Context, name string) (runner.None, error) {
	r.Conn(ctx).State().Name = name
	return runner.None{}, nil
}

func (r *Room) Kick(_ context.Context, name, why string) (int, error) {
	n := 0
	for conn := range r.Conns() {
		if conn.State().Name == name {
			conn.Disconnect(why)
			n++
		}
	}
	return n, nil
}

func (r *Room) Panic(context.Context) (int, error) {
	r.State().Messages = nil
	panic("boom")
}

func (r *Room) Note(ctx context.Context, key, value string) (string, error) {
	if err := r.KV().PutText(key, value); err != nil {
		return "", err
	}
	v, _, err := r.KV().GetText(ctx, key)
	return v, err
}

func (r *Room) Wakes(context.Context) (int, error) { return r.wakes, nil }

func (r *Room) Close(context.Context) (runner.None, error) {
	r.Destroy()
	return runner.None{}, nil
}

func (r *Room) opened(_ context.Context, input string) (RoomState, error) {
	if input == "refuse" {
		return RoomState{}, runner.UserError{Code: "closed", Message: "Not today."}
	}
	return RoomState{}, nil
}

func (r *Room) Block(ctx context.Context) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func (r *Room) Fill(ctx context.Context, n int) (int, error) {
	for i := range n {
		if err := r.KV().PutText(fmt.Sprintf("key-%03d", i), "v"); err != nil {
			return 0, err
		}
	}
	entries, err := r.KV().List(ctx, runner.ListOptions{Prefix: []byte("key-")})
	return len(entries), err
}

func (r *Room) Clear(_ context.Context, from, until string) (runner.None, error) {
	return runner.None{}, r.KV().DeleteRange([]byte(from), []byte(until))
}

func (r *Room) Forget(_ context.Context, key string) (runner.None, error) {
	return runner.None{}, r.KV().DeleteText(key)
}

func (r *Room) Read(ctx context.Context, key string) (string, error) {
	v, _, err := r.KV().GetText(ctx, key)
	return v, err
}

func room() *runner.Type[Room] {
	t := runner.Define[Room]("room", runner.WithSleepAfter(30*time.Second))
	runner.CreateState(t, (*Room).opened)
	runner.Action0(t, "block", (*Room).Block)
	runner.Action1(t, "fill", (*Room).Fill)
	runner.Action2(t, "clear", (*Room).Clear)
	runner.Action1(t, "forget", (*Room).Forget)
	runner.Action1(t, "read", (*Room).Read)
	runner.OnWake(t, func(r *Room, _ context.Context) error { r.wakes++; return nil })
	runner.CreateConnState(t, (*Room).join)
	runner.OnConnect(t, (*Room).connected)
	runner.OnDisconnect(t, (*Room).disconnected)
	runner.Action1(t, "say", (*Room).Say)
	runner.Action1(t, "rename", (*Room).Rename)
	runner.Action2(t, "kick", (*Room).Kick)
	runner.Action0(t, "panic", (*Room).Panic)
	runner.Action2(t, "note", (*Room).Note)
	runner.Action0(t, "wakes", (*Room).Wakes)
	runner.Action0(t, "close", (*Room).Close)
	return t
}

// A test of an actor in virtual time: the half minute until it sleeps passes at once.
func Example() {
	test := func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lobby := runnertest.New(t, room()).Actor("lobby")
			ada, err := lobby.Connect(JoinParams{Name: "ada"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := runnertest.Call[int](ada, "say", "hello"); err != nil {
				t.Fatal(err)
			}
			<-time.After(31 * time.Second)
			if lobby.Awake() {
				t.Error("the lobby is still awake")
			}
			n, err := runnertest.Call[int](ada, "say", "anybody there?") // wakes it; the connection has stayed
			if err != nil || n != 2 {
				t.Errorf("say: %d, %v", n, err)
			}
		})
	}
	_ = test
}

func ExampleCallContext() {
	test := func(t *testing.T) {
		lobby := runnertest.New(t, room()).Actor("lobby")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := runnertest.CallContext[int](ctx, lobby, "say", "hello")
		var failure *runnertest.Error
		if !errors.As(err, &failure) || failure.Code != "user.not_a_member" {
			t.Errorf("got %v", err)
		}
	}
	_ = test
}
