package session

import (
	"testing"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// attach says Hello over another socket, and acknowledges its Welcome if it is told to.
func attach(t *testing.T, all *Sessions, token string, confirm bool) *Attachment {
	t.Helper()
	a := all.accept(new(sink), Proto{})
	hello := &clientv1alpha1.Hello{Features: []string{wire.FeatureClientResume}}
	if token != "" {
		hello.Resume = &clientv1alpha1.Resume{Token: []byte(token)}
	}
	messages := []wire.Message{wire.Client(hello)}
	if confirm {
		messages = append(messages, wire.Client(&clientv1alpha1.Ack{}))
	}
	var b []byte
	for _, m := range messages {
		b = wire.AppendMessage(b, m)
	}
	if !a.Receive(b) {
		t.Fatal("no session")
	}
	return a
}

// [SESS-16]: however a session is resumed, at most two of its tokens are good, and none when it is over.
func TestTokensAreForgotten(t *testing.T) {
	all := newSessions(t)
	a := attach(t, all, "", false)
	s := a.session.Load()
	for i, confirm := range []bool{false, false, true, false, true, true, false} {
		token := s.resume.token
		if i%2 == 1 && s.resume.taken != "" {
			token = s.resume.taken // its Welcome was lost
		}
		before := a
		if a = attach(t, all, token, confirm); a.session.Load() != s {
			t.Fatalf("resume %d begins another session", i)
		}
		before.Ended()
		want := 2
		if confirm {
			want = 1
		}
		if len(all.tokens) != want || all.tokens[s.resume.token] != s {
			t.Errorf("resume %d: %d tokens are good, want %d", i, len(all.tokens), want)
		}
	}
	a.Ended()
	s.end()
	if len(all.tokens)+len(all.all)+all.absent != 0 {
		t.Errorf("left: %d tokens, %d sessions, %d of them without socket", len(all.tokens), len(all.all), all.absent)
	}
	if all.cfg.Budget.Used() != 0 {
		t.Errorf("%d bytes are left", all.cfg.Budget.Used())
	}
}
