package fuzz

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/gate"
	"github.com/stagedoor-dev/stagedoor/conformance/plain"
	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// Config is one campaign.
type Config struct {
	// Command starts the runner.
	Command string
	Seed    uint64
	// Frames is how many are sent at most, For the time after which no other one is.
	Frames int
	For    time.Duration
	// Keep makes a Found of what is found: the fewest frames that do it again.
	Keep bool
}

// Report is what a campaign came to.
type Report struct {
	Sent int
	// Why is what went wrong; nil: nothing did. Shots are what was sent since the canary sang last.
	Why   error
	Shots []Shot
	Found *Found // if it was asked for, and there was an actor to aim at
	// Output is what the runner wrote, if something went wrong.
	Output string
}

// Shot is one frame that was sent.
type Shot struct {
	Body []byte
	How  string
}

func (s Shot) String() string { return s.How + ": " + hex.EncodeToString(s.Body) }

// ErrNoStart is wrapped when the runner does not come up, or answers nothing before the first frame.
var ErrNoStart = errors.New("the runner did not start")

// begin starts a runner, and hears the canary. done ends it.
func begin(ctx context.Context, command string) (t *target, done func(), err error) {
	gates, err := gate.Listen()
	if err != nil {
		return nil, nil, err
	}
	if t, err = launchTarget(command, gates.URL()); err != nil {
		gates.Close()
		return nil, nil, err
	}
	done = func() {
		t.close()
		gates.Close()
	}
	if err := t.sing(ctx); err != nil {
		done()
		if last, _ := plain.Last(t.process.Output(), 1); len(last) > 0 {
			err = fmt.Errorf("%w; its last line: %s", err, last[0])
		}
		return nil, nil, fmt.Errorf("%w: %w", ErrNoStart, err)
	}
	return t, done, nil
}

// Run runs a campaign. The error is about the runner's start, or the campaign itself.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	t, done, err := begin(ctx, cfg.Command)
	if err != nil {
		return nil, err
	}
	defer done()
	began := time.Now()
	random := rand.New(rand.NewPCG(cfg.Seed, 1))
	mutator := &Mutator{Random: random}
	report := &Report{}
	for report.Sent < cfg.Frames && (cfg.For == 0 || time.Since(began) < cfg.For) && ctx.Err() == nil {
		t.gateway.Reset()
		shots, err := t.shoot(ctx, mutator, 1+random.IntN(3))
		report.Sent += len(shots)
		if err == nil {
			err = t.sing(ctx)
		}
		if err != nil && ctx.Err() == nil {
			report.Why, report.Shots, report.Output = err, shots, t.process.Output()
			if cfg.Keep && t.aimedAt != nil {
				report.Found = shrink(ctx, cfg, report, t.aimedAt, t.aimed)
			}
			return report, nil
		}
	}
	return report, nil
}

var kinds = []string{"echo", "counter", "interp", "lifecycle", "kv", "events", "conn"}

// shoot sends changed frames to a victim.
func (t *target) shoot(ctx context.Context, m *Mutator, n int) ([]Shot, error) {
	if t.victim == nil || m.Random.IntN(8) == 0 {
		t.victim = nil
	}
	victim, err := t.enter(ctx, t.victim, kinds[m.Random.IntN(len(kinds))])
	if errors.Is(err, errMoved) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if victim != t.aimedAt {
		t.aimedAt, t.aimed = victim, nil
	}
	t.victim = victim
	var shots []Shot
	for range n {
		f := t.legal(m.Random, victim.ref)
		body, how := m.Mutate(f)
		if t.hits(body) {
			continue
		}
		shots = append(shots, Shot{body, how})
		t.aimed = append(t.aimed, Shot{body, how})
		t.aimed = t.aimed[max(0, len(t.aimed)-maxAimed):]
		if victim.session.SendRaw(body) != nil {
			break
		}
	}
	return shots, nil
}

// hits tells frames that the canary must not get.
func (t *target) hits(body []byte) bool {
	f := new(tap.Frame)
	if proto.Unmarshal(body, f) != nil {
		return false
	}
	final := f.GetGoodbye() != nil || f.GetReject() != nil || f.GetDrain() != nil || f.GetWelcome() != nil
	return final || t.canary != nil && (tap.Actor(f) == t.canary.ref || f.GetAdopted().GetOld() == t.canary.ref)
}

// legal is a frame as a gateway may send it, or nearly.
func (t *target) legal(random *rand.Rand, ref uint64) *tap.Frame {
	id := t.gateway.NextRef()
	all := []*tap.Frame{
		{Kind: &runnerv1alpha1.Frame_Call{Call: &runnerv1alpha1.Call{Actor: ref, Id: id, Action: action(random), Args: []byte{0x81, 0x01}, DeadlineMs: 1000}}},
		{Kind: &runnerv1alpha1.Frame_Call{Call: &runnerv1alpha1.Call{Actor: ref, Id: id, Action: action(random), Args: []byte{0x80}, Oneway: true, Alarm: &runnerv1alpha1.Alarm{Schedule: "s"}}}},
		{Kind: &runnerv1alpha1.Frame_CancelCall{CancelCall: &runnerv1alpha1.CancelCall{Actor: ref, Id: id - 1}}},
		{Kind: &runnerv1alpha1.Frame_StartActor{StartActor: &runnerv1alpha1.StartActor{
			Actor: id, Id: fmt.Sprintf("local-wild%d", id), Namespace: "default", Type: kinds[random.IntN(len(kinds))], Key: []string{"k"},
			Generation: id, Nonce: make([]byte, 16), Create: true, DeadlineMs: 1000, Input: []byte{0xa0}, Preload: []*runnerv1alpha1.KvEntry{{Key: []byte("k")}},
		}}},
		{Kind: &runnerv1alpha1.Frame_StopActor{StopActor: &runnerv1alpha1.StopActor{Actor: ref, Reason: runnerv1alpha1.StopReason(1 + random.IntN(5)), GraceMs: 100}}},
		{Kind: &runnerv1alpha1.Frame_CommitResult{CommitResult: &runnerv1alpha1.CommitResult{Actor: ref, Version: 1, Error: &commonv1alpha1.Error{Group: "kv", Code: "quota_exceeded"}}}},
		{Kind: &runnerv1alpha1.Frame_KvResult{KvResult: &runnerv1alpha1.KvResult{Actor: ref, Id: 1, Entries: []*runnerv1alpha1.KvEntry{{Key: []byte("k"), Value: []byte("v")}}}}},
		{Kind: &runnerv1alpha1.Frame_ConnectionOpen{ConnectionOpen: &runnerv1alpha1.ConnectionOpen{Actor: ref, Call: id, Connection: id, ConnectionId: "c", Params: []byte{0xa0}}}},
		{Kind: &runnerv1alpha1.Frame_ConnectionClose{ConnectionClose: &runnerv1alpha1.ConnectionClose{Actor: ref, Connection: id - 1}}},
		{Kind: &runnerv1alpha1.Frame_Fence{Fence: &runnerv1alpha1.Fence{Nonce: id, Actor: ref}}},
		{Kind: &runnerv1alpha1.Frame_Fence{Fence: &runnerv1alpha1.Fence{Nonce: id}}},
		{Kind: &runnerv1alpha1.Frame_Part{Part: &runnerv1alpha1.Part{Actor: ref, Data: []byte{0xe2, 3, 0}, Last: true}}},
		{Kind: &runnerv1alpha1.Frame_Principal{Principal: &runnerv1alpha1.Principal{Principal: 1, Kind: "client", Subject: "s", Claims: []byte{0xa0}}}},
		{Kind: &runnerv1alpha1.Frame_Credit{Credit: &runnerv1alpha1.Credit{Actor: ref, Offset: 1 << 20}}},
		{Kind: &runnerv1alpha1.Frame_Adopted{Adopted: &runnerv1alpha1.Adopted{Old: ref, Actor: id, Generation: id, Nonce: make([]byte, 16)}}},
		{Kind: &runnerv1alpha1.Frame_Unsupported{Unsupported: &commonv1alpha1.Unsupported{Kind: 1, Number: id}}},
		{Kind: &runnerv1alpha1.Frame_Ping{Ping: &commonv1alpha1.Ping{Nonce: id}}},
		{Kind: &runnerv1alpha1.Frame_Pong{Pong: &runnerv1alpha1.Pong{Nonce: 1, LeaseMs: 30_000}}},
		{Kind: &runnerv1alpha1.Frame_Ack{Ack: &runnerv1alpha1.Ack{Received: 1}}},
		{Kind: &runnerv1alpha1.Frame_Resumed{Resumed: &runnerv1alpha1.Resumed{Next: 1}}},
	}
	return all[random.IntN(len(all))]
}

func action(random *rand.Rand) string {
	all := []string{"echo", "add", "get", "run", "list", "put", "log", "broadcast", "conns", "memory", "nothing"}
	return all[random.IntN(len(all))]
}
