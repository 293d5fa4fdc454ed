package mutant

import (
	"google.golang.org/protobuf/encoding/protowire"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// resume are mistakes in how a session goes on over another socket, or actors in another session.
func resume() []Mutant {
	hello, ack, resumed := (*tap.Frame).GetHello, (*tap.Frame).GetAck, (*tap.Frame).GetResumed
	hosted := (*tap.Frame).GetHosted
	asks := func(m *runnerv1alpha1.Hello) bool { return m.Resume != nil }
	return []Mutant{
		{"resume-unasked", "begins a new session where it could go on with the old one", []string{"LINK-16"}, alter(hello, func(m *runnerv1alpha1.Hello) { m.Resume = nil })},
		{"resume-of-another", "asks for a session that it did not have", []string{"LINK-16"}, alter(hello, func(m *runnerv1alpha1.Hello) { m.Resume.Session = append([]byte("x"), m.Resume.Session...) }, asks)},
		{"resume-counts-more", "says that it has received a frame that it has not", []string{"LINK-16"}, alter(hello, func(m *runnerv1alpha1.Hello) { m.Resume.Received++ }, asks)},
		{"resume-counts-nothing", "says that it has received nothing of the session", []string{"LINK-16", "LINK-17"}, alter(hello, func(m *runnerv1alpha1.Hello) { m.Resume.Received = 0 }, asks)},
		{"drop-resumed", "does not say with which frame it goes on", []string{"LINK-16"}, drop(resumed)},
		{"resumed-leaves-gap", "goes on behind frames that did not arrive", []string{"LINK-17"}, alter(resumed, func(m *runnerv1alpha1.Resumed) { m.Next++ })},
		{"resumed-repeats", "goes on with frames that have arrived", []string{"LINK-17"}, alter(resumed, func(m *runnerv1alpha1.Resumed) { m.Next-- })},
		{"drop-ack", "does not acknowledge what it has received", []string{"LINK-14"}, drop(ack)},
		{"ack-beyond", "acknowledges more than it was sent", []string{"LINK-17"}, alter(ack, func(m *runnerv1alpha1.Ack) { m.Received += 1000 })},
		{"hosting-unsaid", "does not say that it has actors of a lost session", []string{"LINK-19"}, alter(hello, func(m *runnerv1alpha1.Hello) { m.Hosting = false })},
		{"drop-hosted", "does not offer the actors of a lost session", []string{"LINK-19"}, drop(hosted)},
		{"hosted-without-end", "does not mark the last of its offers", []string{"LINK-19"}, alter(hosted, func(m *runnerv1alpha1.Hosted) { m.Last = false })},
		{"hosted-nothing", "offers none of the actors that it has", []string{"LINK-19"}, alter(hosted, func(m *runnerv1alpha1.Hosted) { m.Actors = nil })},
		{"hosted-twice", "offers each actor twice", []string{"LINK-19"}, alter(hosted, func(m *runnerv1alpha1.Hosted) { m.Actors = append(m.Actors, m.Actors...) })},
		{"hosted-wrong-generation", "offers actors under another generation", []string{"LEASE-4"}, offers(func(a *runnerv1alpha1.HostedActor) { a.Generation++ })},
		{"hosted-wrong-nonce", "offers actors under another nonce", []string{"LEASE-4"}, offers(func(a *runnerv1alpha1.HostedActor) { a.Nonce = append([]byte("x"), a.Nonce...) })},
		{"hosted-wrong-version", "offers actors with a version that was not acknowledged", []string{"LEASE-4"}, offers(func(a *runnerv1alpha1.HostedActor) { a.Version++ })},
		{"hosted-without-pending", "does not name the commit that was not answered", []string{"LEASE-4"}, offers(func(a *runnerv1alpha1.HostedActor) { a.Pending = nil })},
		{"resent-commit-altered", "does not send the unanswered commit of an adopted actor byte for byte", []string{"LEASE-4", "COMMIT-1"}, onceTold(is((*tap.Frame).GetAdopted), alter((*tap.Frame).GetCommit, func(m *runnerv1alpha1.Commit) {
			m.Changes = protowire.AppendVarint(protowire.AppendTag(m.Changes, 1000, protowire.VarintType), 1)
		}))},
		{"resent-commit-lost", "does not send the unanswered commit of an adopted actor again", []string{"LEASE-4"}, onceTold(is((*tap.Frame).GetAdopted), drop((*tap.Frame).GetCommit))},
		{"adoption-refusal-unread", "goes on with actors whose adoption was refused", []string{"LEASE-4"}, mishear((*tap.Frame).GetAdopted, func(m *runnerv1alpha1.Adopted) { m.Error = nil })},
	}
}

func offers(change func(*runnerv1alpha1.HostedActor)) rule {
	return alter((*tap.Frame).GetHosted, func(m *runnerv1alpha1.Hosted) {
		for _, a := range m.Actors {
			change(a)
		}
	})
}
