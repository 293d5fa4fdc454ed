package callers_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lxzan/gws"
	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/edge/bench/callers"
	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const length = 30 * time.Millisecond

var (
	errRefused = errors.New("refused")
	errGarbage = errors.New("garbage")
)

// letters is a protocol: a call is the letter of its slot, which comes back, as a capital if it has failed. A question is
// answered by a point; anything else is garbage.
type letters struct{ first string }

func (letters) Hello() []byte { return nil }

func (p letters) Open() []byte { return []byte(p.first) }

func (letters) Call(dst []byte, slot uint64) []byte { return append(dst, 'a'+byte(slot)) }

func (letters) Take(message []byte, answered callers.Answered) (reply []byte, err error) {
	for _, letter := range message {
		switch {
		case letter >= 'a' && letter <= 'z':
			answered(uint64(letter-'a'), nil)
		case letter >= 'A' && letter <= 'Z':
			answered(uint64(letter-'A'), errRefused)
		case letter == '?':
			reply = append(reply, '.')
		default:
			return nil, errGarbage
		}
	}
	return reply, nil
}

// server answers messages as say does; nil: it hangs up.
type server struct {
	gws.BuiltinEventHandler
	say     func(heard string) []byte
	reading sync.WaitGroup
}

func (s *server) OnMessage(ws *gws.Conn, m *gws.Message) {
	defer m.Close()
	switch answer := s.say(string(m.Bytes())); {
	case answer == nil:
		_ = ws.NetConn().Close()
	case string(answer) == "text":
		_ = ws.WriteMessage(gws.OpcodeText, answer)
	default:
		_ = ws.WriteMessage(gws.OpcodeBinary, answer) // the other side may be gone
	}
}

// serve returns the address of a server.
func serve(t *testing.T, say func(heard string) []byte) string {
	t.Helper()
	s := &server{say: say}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.reading.Add(1) // before the client can know of it
		defer s.reading.Done()
		ws, err := gws.NewUpgrader(s, &gws.ServerOption{SubProtocols: []string{"letters"}}).Upgrade(w, r)
		if err != nil {
			return // it may be a test that the client gives up
		}
		ws.ReadLoop()
	}))
	t.Cleanup(func() {
		h.Close()
		s.reading.Wait()
	})
	return strings.TrimPrefix(h.URL, "http://")
}

func echo(heard string) []byte { return []byte(heard) }

func options(address string) callers.Options {
	return callers.Options{
		Address: address, Path: "/", Subprotocol: "letters", Together: 100,
		Protocol: func(int) callers.Protocol { return letters{} },
	}
}

func dial(t *testing.T, n int, o callers.Options) *callers.Callers {
	t.Helper()
	c, err := callers.Dial(t.Context(), n, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCallsAreKeptUnderWay(t *testing.T) {
	c := dial(t, 3, options(serve(t, echo)))
	for _, inFlight := range []int{1, 7, 26} {
		r := c.Round(t.Context(), load.Open(length), inFlight)
		if r.Operations == 0 || r.Errors != 0 || r.P50 <= 0 || r.P99 < r.P50 {
			t.Errorf("%d: %+v", inFlight, r)
		}
	}
}

// Calls to be made at once go together up to the bound, or each by itself.
func TestHowCallsGoTogether(t *testing.T) {
	for together, want := range map[int]string{0: "a b c d e", 2: "abc de", 100: "abcde"} {
		var heard []string
		said := make(chan string, 100)
		o := options(serve(t, func(message string) []byte {
			said <- message
			return []byte(message)
		}))
		o.Together = together
		c := dial(t, 1, o)
		c.Round(t.Context(), load.Window{}, 5) // which is over after one call of each slot
		for len(said) > 0 {
			heard = append(heard, <-said)
		}
		if got := strings.Join(heard, " "); got != want {
			t.Errorf("%d: %q, not %q", together, got, want)
		}
	}
}

func TestWhatIsSaidBesides(t *testing.T) {
	said := make(chan string, 100)
	o := options(serve(t, func(message string) []byte {
		said <- message
		return []byte("?" + strings.Trim(message, "."))
	}))
	c := dial(t, 1, o)
	c.Round(t.Context(), load.Window{}, 1)
	if got := <-said + <-said; got != "a." {
		t.Errorf("heard %q", got)
	}
}

// What is said first is answered before Dial returns.
func TestOpening(t *testing.T) {
	var greeted atomic.Int64
	address := serve(t, func(message string) []byte {
		if message == "hello" {
			greeted.Add(1)
			return []byte("a")
		}
		return []byte(message)
	})
	o := options(address)
	o.Protocol = func(int) callers.Protocol { return letters{first: "hello"} }
	c := dial(t, 5, o)
	if n := greeted.Load(); n != 5 {
		t.Errorf("%d were greeted", n)
	}
	if r := c.Round(t.Context(), load.Open(length), 2); r.Errors != 0 || r.Operations == 0 {
		t.Errorf("%+v", r)
	}
}

func TestAnOpeningThatFails(t *testing.T) {
	for answer, want := range map[string]string{"A": "refused", "!": "garbage", "b": "not under way", "": "has ended", "text": "a text"} {
		o := options(serve(t, func(string) []byte {
			if answer == "" {
				return nil
			}
			return []byte(answer)
		}))
		o.Protocol = func(int) callers.Protocol { return letters{first: "hello"} }
		if _, err := callers.Dial(t.Context(), 3, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", answer, err)
		}
	}
}

func TestARefusedHandshakeSaysWhy(t *testing.T) {
	h := httptest.NewServer(http.NotFoundHandler())
	defer h.Close()
	_, err := callers.Dial(t.Context(), 2, options(strings.TrimPrefix(h.URL, "http://")))
	if err == nil || !strings.Contains(err.Error(), "404 Not Found") {
		t.Errorf("got %v", err)
	}
}

func TestDialingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := options(serve(t, func(string) []byte {
		cancel()
		return []byte("?")
	}))
	o.Protocol = func(int) callers.Protocol { return letters{first: "hello"} }
	if _, err := callers.Dial(ctx, 1, o); err == nil {
		t.Error("it is open")
	}
}

func TestARoundEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := dial(t, 2, options(serve(t, func(string) []byte {
		cancel()
		return []byte("?")
	})))
	c.Round(ctx, load.Open(time.Hour), 2)
}

// A call that fails is made again, but not for ever.
func TestCallsThatFailAreCounted(t *testing.T) {
	c := dial(t, 1, options(serve(t, func(message string) []byte { return []byte(strings.ToUpper(message)) })))
	r := c.Round(t.Context(), load.Open(time.Hour), 3)
	if r.Operations != 0 || r.Errors != 102 || r.Fault != "refused" {
		t.Errorf("%+v", r)
	}
}

// All calls that are under way on a lost socket have failed, and so have those of later rounds.
func TestLostSocketsAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		answer []byte
		want   string
	}{
		"the end of the socket":              {nil, "has ended"},
		"an answer to no slot":               {[]byte("z"), "not under way"},
		"a second answer":                    {[]byte("bb"), "not under way"},
		"a failure of what is not under way": {[]byte("Z"), "not under way"},
		"garbage":                            {[]byte("!"), "garbage"},
		"a text":                             {[]byte("text"), "a text"},
	} {
		t.Run(name, func(t *testing.T) {
			on := dial(t, 2, options(serve(t, func(string) []byte { return c.answer })))
			for range 2 {
				// The window is over: a second answer finds nothing under way, but the first has been one.
				r := on.Round(t.Context(), load.Window{}, 4)
				if r.Errors < 2*3 || r.Errors > 2*4 || !strings.Contains(r.Fault, c.want) {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

func TestClosedCallersFail(t *testing.T) {
	c := dial(t, 2, options(serve(t, echo)))
	c.Close()
	if r := c.Round(t.Context(), load.Open(length), 3); r.Errors != 6 || r.Fault == "" {
		t.Errorf("%+v", r)
	}
}
