package e2e

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

func received(pairs ...uint64) (list []*clientv1alpha1.Received) {
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, &clientv1alpha1.Received{Connection: pairs[i], Frames: pairs[i+1]})
	}
	return list
}

// smallKept is a table in which a channel keeps little.
func smallKept(bytes int) gateway.Config {
	limits := wire.DefaultLimits()
	limits.MaxChannelKept = bytes
	return gateway.Config{Limits: limits}
}

// [SESS-17]: what is kept is bounded for each channel; without socket the one that passes its bound ends at once, with its
// calls, and the others are not harmed.
func TestAChannelThatPassesItsBoundEndsAlone(t *testing.T) {
	inBothForms(t, smallKept(4000), func(w *world, r *resumer) {
		j, gate := w.hostLab()
		r.connect()
		r.opened(1, "r", "ann", "tick")
		r.opened(2, "s", "bob", "tick")
		r.call(2, "add", 1)
		r.want("result 2/1 = 1")
		r.call(1, "wait")
		for range 20 {
			r.call(1, "result", 500)
		}
		r.call(1, "wait")
		synctest.Wait()
		j.take()
		r.cut()
		w.act("lab:s", "burst", "[5]")
		gate <- struct{}{} // the results are too many
		synctest.Wait()
		got := j.take()
		if !strings.Contains(got, "disconnect:ann") || strings.Contains(got, "bob") {
			w.Errorf("the hooks: %q", got)
		}
		wantEqual(w, "resumed", r.connect(), true)
		r.want("2 tick 0", "2 tick 1", "2 tick 2", "2 tick 3", "2 tick 4")
		r.want("closed 1 connection.resume_lost same")
		r.silent()
		r.call(2, "add", 1)
		r.want(fmt.Sprintf("result 2/%d = 2", r.lastID))
		r.opened(3, "r", "ann")
		r.cut()
		wantEqual(w, "resumed again", r.connect(), true)
		r.silent()
	})
}

// [SESS-17]: while the socket lives the oldest may go; a resume that needs them ends that channel only.
func TestAResumeThatNeedsWhatIsGoneEndsThatChannel(t *testing.T) {
	inBothForms(t, smallKept(4000), func(w *world, r *resumer) {
		j, _ := w.hostLab()
		r.connect()
		r.opened(1, "r", "ann", "tick")
		r.opened(2, "s", "bob", "tick")
		r.opened(3, "t", "cid", "tick")
		for i := range 400 { // heard, and not acknowledged
			w.act("lab:r", "burst", "[1]")
			w.act("lab:s", "burst", "[1]")
			r.want("1 tick 0", "2 tick 0")
			_ = i
		}
		j.take()
		w.act("lab:t", "burst", "[2]")
		synctest.Wait()
		r.cut()
		r.channels[1].received -= 300 // a client that lost more than its socket
		wantEqual(w, "resumed", r.connect(), true)
		r.want("3 tick 0", "3 tick 1", "closed 1 connection.resume_lost same")
		r.silent()
		wantEqual(w, "onDisconnect", j.take(), "disconnect:ann")
		w.act("lab:s", "burst", "[1]")
		r.want("2 tick 0")
	})
}

// [SESS-17]: a session cannot go on without channel 0.
func TestASessionEndsWithItsOwnChannel(t *testing.T) {
	inAllForms(t, smallKept(4000), func(w *world, r *resumer) {
		j, gate := w.hostLab()
		r.connect()
		r.opened(1, "r", "ann")
		for range 50 {
			r.call(0, "wait")
		}
		synctest.Wait()
		j.take()
		r.cut()
		close(gate) // fifty results at once, each of which is small
		synctest.Wait()
		if got := j.take(); got != "" {
			w.Fatalf("too early: %s", got)
		}
		wantEqual(w, "resumed", r.connect(), true)
		for range 50 {
			if m := r.short(r.hear()); !strings.HasPrefix(m, "result 0/") {
				w.Fatal(m)
			}
		}
		r.ack()
		r.call(0, "pause", 1000)
		for range 20 {
			r.call(0, "result", 500)
		}
		synctest.Wait()
		r.cut()
		sleep(2 * time.Second)
		if got := j.take(); !strings.Contains(got, "disconnect:ann") {
			w.Errorf("the hooks: %q", got)
		}
		wantEqual(w, "resumed", r.connect(), false)
		r.silent()
	})
}

// [SESS-14]: the gateway acknowledges within 64 frames or 256 KiB what no answer has acknowledged, the end of a channel at once,
// and does not wake an idle socket otherwise.
func TestTheGatewayAcknowledges(t *testing.T) {
	inAllForms(t, gateway.Config{}, func(w *world, r *resumer) {
		w.hostLab()
		r.connect()
		r.opened(1, "r", "ann")
		for i := range 200 {
			r.call(1, "seen")
			r.want(fmt.Sprintf("result 1/%d = %d", i+1, i+1))
			wantEqual(w, "behind an answer", len(r.channels[1].unacked), 0)
		}
		r.silent()
		wantEqual(w, "Acks beside answers", r.acks, 0)
		oneway := func(n int, args ...any) {
			for range n {
				r.send(1, "echo", args...)
				r.silent()
			}
		}
		oneway(63, 1)
		wantEqual(w, "few frames", len(r.channels[1].unacked), 63)
		oneway(1, 1)
		wantEqual(w, "64 frames", len(r.channels[1].unacked), 0)
		oneway(2, strings.Repeat("x", 100_000))
		wantEqual(w, "200 kB", len(r.channels[1].unacked), 2)
		oneway(1, strings.Repeat("x", 100_000))
		wantEqual(w, "300 kB", len(r.channels[1].unacked), 0)
		wantEqual(w, "Acks", r.acks, 2)
		r.say(&clientv1alpha1.ConnectionClose{Connection: 1})
		r.want("closed 1 - never")
		r.silent()
		if r.channels[1] != nil {
			w.Error("the end of the channel is not acknowledged")
		}
	})
}

// [SESS-14]
func TestAnAckOfMoreThanWasSentIsAProtocolError(t *testing.T) {
	inAllForms(t, gateway.Config{}, func(w *world, r *resumer) {
		w.hostLab()
		r.connect()
		r.opened(1, "r", "ann")
		for _, list := range [][]*clientv1alpha1.Received{
			received(1, 3), received(0, 1_000_000), received(7, 1), received(1, 2, 1, 1<<63),
		} {
			r.say(&clientv1alpha1.Ack{Received: list})
			r.want("error request.invalid")
		}
		r.say(&clientv1alpha1.Ack{Received: received(make([]uint64, 20_000)...)})
		r.want("error request.too_large")
		r.say(&clientv1alpha1.Ack{Received: received(1, 1, 1, 0)}) // one that comes late says nothing
		r.silent()
		r.say(&clientv1alpha1.ConnectionClose{Connection: 1})
		r.want("closed 1 - never")
		r.say(&clientv1alpha1.Ack{Received: received(1, 3)}) // of a channel that was forgotten
		r.silent()
		r.call(0, "add", 1)
		r.want("result 0/1 = 1")
	})
}

// [SESS-15]: where the token is not known, or a count is impossible, a new session has begun, and the old one is over.
func TestAResumeThatCannotBe(t *testing.T) {
	inAllForms(t, gateway.Config{}, func(w *world, r *resumer) {
		j, _ := w.hostLab()
		for name, list := range map[string][]*clientv1alpha1.Received{
			"more than was sent":            received(0, 0, 1, 3),
			"more than was sent on 0":       received(0, 1, 1, 2),
			"an open channel is missing":    received(0, 0),
			"nothing":                       nil,
			"a channel that never was":      received(0, 0, 1, 2, 2, 1),
			"a channel twice":               received(0, 0, 1, 2, 1, 2),
			"less than was acknowledged":    received(0, 0, 1, 1),
			"more channels than may be":     received(append([]uint64{0, 0, 1, 2}, make([]uint64, 10_000)...)...),
			"a number beyond all":           received(0, 0, 1, 1<<64-1),
			"a channel number beyond all":   received(0, 0, 1, 2, 1<<64-1, 1),
			"channel 0 is behind and wrong": received(0, 1<<40, 1, 2),
		} {
			r.resume = nil
			r.channels = map[uint64]*side{0: {}}
			r.connect()
			r.opened(1, "r", "ann")
			r.ack()
			synctest.Wait()
			j.take()
			r.cut()
			token := r.resume
			r.resume = nil
			r.dialWith(&clientv1alpha1.Hello{Features: []string{"resume"}, Resume: &clientv1alpha1.Resume{Token: token, Received: list}})
			wantEqual(w, name+": resumed", r.greet(), false)
			wantEqual(w, name+": the old session", j.take(), "disconnect:ann")
			r.say(&commonv1alpha1.Goodbye{})
			synctest.Wait()
		}
		for _, token := range []string{"", "x", string(r.resume), strings.Repeat("y", 1000), r.welcome.GetGateway() + ".", "another-gateway.ABCDEFGHIJKLMNOPQRSTUVWXYZ"} {
			r.dialWith(&clientv1alpha1.Hello{Resume: &clientv1alpha1.Resume{Token: []byte(token), Received: received(0, 5)}})
			wantEqual(w, "resumed with "+token, r.greet(), false)
			r.call(0, "get")
			r.want(fmt.Sprintf("result 0/%d = 0", r.lastID))
			r.say(&commonv1alpha1.Goodbye{})
			synctest.Wait()
		}
	})
}

// [SESS-15] [SESS-14]: a channel whose open has not come is opened by the replay, one that both have is not missed.
func TestChannelsThatOneSideDoesNotKnow(t *testing.T) {
	inAllForms(t, gateway.Config{}, func(w *world, r *resumer) {
		w.hostLab()
		r.connect()
		r.opened(1, "r", "ann")
		r.cut()
		r.open(2, "s", "bob")
		r.call(2, "seen")
		r.say(&clientv1alpha1.ConnectionClose{Connection: 1})
		wantEqual(w, "resumed", r.connect(), true)
		r.want("closed 1 - never", "opened 2", "2 welcome bob", "result 2/1 = 1")
		r.silent()
	})
}

// [SESS-12]: frames that cannot be used count like others, so that nothing is doubled after a resume.
func TestFramesThatCannotBeUsedCount(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.hostLab()
		r := w.resumer(true)
		r.connect()
		r.opened(1, "r", "ann")
		for n, bad := range map[uint64][]string{
			0: {`{"type":"dance","id":4}`, `{"type":"call","id":90,"action":5,"target":"lab:r"}`, `[]`, `{"type":"call"`, `{"type":"cancelCall","id":9999}`},
			1: {
				`{"type":"call","id":91,"connection":1,"action":5}`, `{"type":"call","connection":1,"action":"seen"}`,
				`{"type":"subscribe","id":92,"connection":1,"events":[""]}`, `{"type":"subscribe","connection":1,"events":["x"]}`,
				`{"type":"connectionOpen","connection":1,"target":"lab:r"}`,
			},
		} {
			for _, text := range bad {
				c := r.channels[n]
				c.unacked = append(c.unacked, sent{frame: []byte(text)})
				r.write(0, []byte(text))
			}
		}
		r.write(0, []byte(`{"type":"ping","nonce":"x"}`)) // a link frame counts nowhere
		heard := map[string]int{}
		for m := r.hear(); m != nil; m = r.hear() {
			heard[r.short(m)]++
		}
		for _, want := range []string{
			"unsupported dance", "result 0/90 request.invalid no", "result 1/91 request.invalid no", "subscribed 1/92 request.invalid",
			"error connection.duplicate",
		} {
			if heard[want] != 1 {
				w.Errorf("%s is missing in %v", want, heard)
			}
		}
		r.cut()
		wantEqual(w, "resumed", r.connect(), true)
		r.silent()
		wantEqual(w, "all of channel 0 has come", len(r.channels[0].unacked), 0)
		wantEqual(w, "all of channel 1 has come", len(r.channels[1].unacked), 0)
	})
}

// [SESS-11] [SESS-12] [SESS-14]: a client that acknowledges no end of its channels is let go before they fill the memory,
// and may come back.
func TestEndsOfChannelsThatNobodyAcknowledgesAreBounded(t *testing.T) {
	limits := wire.DefaultLimits()
	limits.MaxConnections = 4 // 80 channels
	inBothForms(t, gateway.Config{Limits: limits}, func(w *world, r *resumer) {
		w.hostLab()
		r.connect()
		for n := uint64(1); n <= 100; n++ {
			r.open(n, "r", "bad") // is refused
		}
		ended := map[string]int{}
		hear := func() {
			for m := r.hear(); m != nil; m = r.hear() {
				if c, ok := m.(*clientv1alpha1.ConnectionClosed); ok {
					ended[fmt.Sprint(c.GetConnection())]++
				}
			}
		}
		r.mute = true
		hear()
		r.mute = false
		wantEqual(w, "the socket is closed", r.closed(), true)
		r.cut()
		wantEqual(w, "resumed", r.connect(), true)
		hear()
		for n := 1; n <= 100; n++ {
			wantEqual(w, fmt.Sprintf("ends of channel %d", n), ended[fmt.Sprint(n)], 1)
		}
		r.opened(200, "r", "ann")
	})
}
