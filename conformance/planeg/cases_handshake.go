package planeg

import (
	"slices"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func handshakeCases() []*Case {
	return []*Case{
		{ID: "GHS-01", Title: "Welcome names the version, the session, and of the features only those that both know", Requirements: needs("LINK-1:7c4225 LINK-4:225572"), run: welcomeNames},
		{ID: "GHS-02", Title: "a runner of another protocol version is rejected for good, and told the gateway's range", Requirements: needs("LINK-4:225572 FRAME-6:274312"), run: otherVersion},
		{ID: "GHS-03", Title: "a Hello that names a type twice is rejected for good", Requirements: needs("LINK-13:525ce6"), run: typeTwice},
		{ID: "GHS-04", Title: "a Hello with an invalid type name is rejected for good", Requirements: needs("LINK-13:525ce6 ADDR-1:fa3780"), run: typeName},
		{ID: "GHS-05", Title: "a runner that says something else before Hello is sent away", Requirements: needs("LINK-1:7c4225"), run: noHello},
		{ID: "GHS-06", Title: "a second link of the same instance replaces the first for good", Requirements: needs("LINK-6:1cbe03"), run: replaced},
		{ID: "GHS-07", Title: "a runner that says nothing is sent away after ten seconds", Requirements: needs("LINK-1:7c4225"), Slow: true, run: silentSocket},
		{ID: "GHS-08", Title: "a runner with a wrong token is rejected for good", Requirements: needs("LINK-5:4e2a25 AUTH-1:e4581e"), Tokens: true, run: wrongToken},
		{ID: "GHS-09", Title: "a client's token opens no link", Requirements: needs("AUTH-1:e4581e"), Tokens: true, run: clientsToken},
		{ID: "GHS-10", Title: "the name of a session is no token: it resumes nothing, and the session goes on", Requirements: needs("LINK-16:3ae039 LINK-5:4e2a25"), Tokens: true, run: thief},
		{ID: "GHS-11", Title: "a client without a token is rejected", Requirements: needs("AUTH-1:e4581e SESS-2:a90343"), Tokens: true, run: noToken},
	}
}

func welcomeNames(p *play) {
	r := p.runner("telepathy")
	w := r.welcome
	p.check(w.Protocol == 1, "protocol", "the version is %d", w.Protocol)
	p.check(len(w.Session) > 0 && w.Runner != "", "names", "session or runner has no name: %s", show(w))
	p.check(!slices.Contains(w.Features, "telepathy"), "features", "the gateway claims a feature that it cannot know: %v", w.Features)
	for _, f := range w.Features {
		p.check(slices.Contains(r.hello.Features, f), "features", "the gateway gives %s, which the runner did not name", f)
	}
	p.check(w.LeaseMs > w.MarginMs && w.PingMs > 0 && w.LostMs > w.PingMs, "times", "the times do not fit each other: %s", show(w))
	p.check(w.Limits.GetMaxMessage() > 0, "limits", "no limits are announced")
}

// rejected says Hello and takes the Reject that has to come.
func rejected(p *play, hello *runnerv1alpha1.Hello, code string) *runnerv1alpha1.Reject {
	r := p.dial()
	r.send(hello)
	m := want[*runnerv1alpha1.Reject](r)
	p.check(m.Code == code && !m.Retryable, "reject", "rejected with %s, retryable %v; want %s, for good", m.Code, m.Retryable, code)
	r.closes()
	return m
}

func otherVersion(p *play) {
	hello := p.aHello()
	hello.ProtocolMin, hello.ProtocolMax = 70, 90
	m := rejected(p, hello, "runner.protocol_unsupported")
	p.check(m.ProtocolMin >= 1 && m.ProtocolMax >= m.ProtocolMin, "range", "the range is %d to %d", m.ProtocolMin, m.ProtocolMax)
}

func typeTwice(p *play) {
	hello := p.aHello()
	hello.Types = append(hello.Types, hello.Types[0])
	rejected(p, hello, "runner.invalid_hello")
}

func typeName(p *play) {
	hello := p.aHello()
	hello.Types[0].Name = "two words"
	rejected(p, hello, "runner.invalid_hello")
}

func noHello(p *play) {
	r := p.dial()
	r.send(&runnerv1alpha1.ActorReady{Actor: 1})
	r.closes()
	none[*runnerv1alpha1.Welcome](r, "it never said Hello")
}

func replaced(p *play) {
	hello := p.aHello()
	first := p.welcomed(hello)
	p.welcomed(hello)
	bye := want[*commonv1alpha1.Goodbye](first)
	p.check(bye.Code == "runner.replaced" && bye.Reconnect == commonv1alpha1.Reconnect_RECONNECT_NEVER, "goodbye", "the first link gets %s", show(bye))
	first.closes()
}

func silentSocket(p *play) {
	r := p.dial()
	bye, why := find[*commonv1alpha1.Goodbye](r.peer, p.patience(15*time.Second), nil)
	p.check(why == "" && bye.Code == "runner.hello_timed_out", "goodbye", "the socket gets %s %s", show(bye), why)
	r.closes()
}

func wrongToken(p *play) {
	hello := p.aHello()
	hello.Token += "x"
	rejected(p, hello, "auth.unauthenticated")
}

func clientsToken(p *play) {
	hello := p.aHello()
	hello.Token = p.clientToken
	rejected(p, hello, "auth.forbidden")
}

func thief(p *play) {
	r := p.resumable()
	hello := p.aHello("resume")
	hello.Token = "guessed"
	hello.Resume = &runnerv1alpha1.Resume{Session: r.welcome.Session}
	rejected(p, hello, "auth.unauthenticated")
	r.alive()
}

func noToken(p *play) {
	c := p.socket()
	c.send(&clientv1alpha1.Hello{})
	m := want[*clientv1alpha1.Reject](c)
	p.check(m.Error.GetGroup() == "auth" && m.Error.GetCode() == "unauthenticated", "reject", "the client gets %s", show(m))
	c.closes()
}
