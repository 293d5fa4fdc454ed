package variant

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

var writeReadme = flag.Bool("readme", false, "write README.md anew instead of comparing it")

const readmeHeader = `# Variants

Odd but legal: every case passes with each of them (` + "`conform variants`" + `), or it cries wolf. After a change of the table:
` + "`go test ./conformance/variant -args -readme`" + `.

| variant | what is odd | allowed by |
|---|---|---|
`

func TestReadmeListsTheTable(t *testing.T) {
	want := readmeHeader
	for _, v := range All() {
		who := "a runner"
		if v.Gateway {
			who = "a gateway"
		}
		want += fmt.Sprintf("| `%s` | %s that %s | %s |\n", v.Name, who, v.Does, strings.Join(v.Allowed, ", "))
	}
	if *writeReadme {
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile("README.md"); err != nil || string(got) != want {
		t.Errorf("README.md differs from the table; go test ./conformance/variant -args -readme (%v)", err)
	}
}

func TestVariantsAreNamedOnceAndDoSomething(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	for _, v := range All() {
		if !name.MatchString(v.Name) || seen[v.Name] || v.Does == "" || len(v.Allowed) == 0 {
			t.Errorf("%q: the name is taken or none, or it does not say what it does and why it may", v.Name)
		}
		seen[v.Name] = true
		if (v.Tap(1) == nil) == (v.Travel() == nil) {
			t.Errorf("%s changes neither frames nor how they travel, or both", v.Name)
		}
	}
	if len(seen) < 12 {
		t.Errorf("%d variants", len(seen))
	}
	if _, ok := Find("jitter"); !ok {
		t.Error("jitter is not found")
	}
	if _, ok := Find("nobody"); ok {
		t.Error("nobody is found")
	}
}

// Lines of the runner begin with >, lines to it with <.
func TestWhatTapsMakeOfFrames(t *testing.T) {
	for name, c := range map[string]struct{ in, out string }{
		"unknown-enums":         {`>hello{types{name:"a"}}`, `>hello{types{name:"a" durability:99}}`},
		"hello-from-the-future": {`>hello{protocol_max:1 features:"kv"}`, `>hello{protocol_max:8 features:"kv" features:"teleport" features:"levitate"}`},
		"hello-with-more":       {`>hello{types{name:"a"}}`, `>hello{types{name:"Other.Type_1-2"} types{name:"a"} labels{key:"zone" value:"β"} region:"eu"}`},
		"pings-often": {
			`>actor_ready{actor:1} <pong{nonce:1} <pong{nonce:17592186044417}`,
			`>actor_ready{actor:1} >ping{nonce:17592186044417} <pong{nonce:1}`,
		},
		"acks-repeated":    {`>ack{received:1} >ack{received:2}`, `>ack{received:1} >ack{received:1} >ack{received:2} >ack{received:2} >ack{received:1}`},
		"pongs-coalesced":  {`<ping{nonce:1} <ping{nonce:2} >pong{nonce:1} >pong{nonce:2}`, `<ping{nonce:1} <ping{nonce:2} >pong{nonce:2}`},
		"intents-repeated": {`>actor_intent{actor:1 intent:INTENT_SLEEP}`, `>actor_intent{actor:1 intent:INTENT_SLEEP} >actor_intent{actor:1 intent:INTENT_SLEEP}`},
		"read-ids-large":   {`>kv_read{actor:1 id:2} <kv_result{actor:1 id:17592186044418}`, `>kv_read{actor:1 id:17592186044418} <kv_result{actor:1 id:2}`},
		"error-texts-odd": {
			`>call_result{error{group:"user" message:"mine"}} >call_result{error{group:"kv" message:"x"}}`,
			`>call_result{error{group:"user" message:"mine"}} >call_result{error{group:"kv" message:"something went wrong, and this is how we say it"}}`,
		},
		"gateway-short-pages": {
			`>kv_read{id:1 range{}} <kv_result{id:1 entries{key:"a"} entries{key:"b"}} >kv_read{id:2 keys:"a" keys:"b"} <kv_result{id:2 entries{} entries{}}`,
			`>kv_read{id:1 range{}} <kv_result{id:1 entries{key:"a"} more:true} >kv_read{id:2 keys:"a" keys:"b"} <kv_result{id:2 entries{} entries{}}`,
		},
		"gateway-clock-ahead":     {`<pong{now_ms:1}`, `<pong{now_ms:315360000001}`},
		"gateway-credit-repeated": {`<credit{offset:8}`, `<credit{offset:8} <credit{offset:8}`},
		"gateway-credit-old":      {`<credit{offset:8}`, `<credit{offset:8} <credit{offset:4}`},
		"gateway-acks-repeated":   {`<ack{received:8} <pong{}`, `<ack{received:8} <ack{received:8} <pong{}`},
		"gateway-pongs-twice":     {`<ack{received:8} <pong{}`, `<ack{received:8} <pong{} <pong{}`},
		"gateway-cancels-twice":   {`<cancel_call{actor:1 id:2}`, `<cancel_call{actor:1 id:17592186044416} <cancel_call{actor:1 id:2} <cancel_call{actor:1 id:2}`},
		"gateway-late-closes": {
			`>connection_close{actor:1 connection:2} <ping{} <fence{actor:1}`,
			`>connection_close{actor:1 connection:2} <ping{} <connection_close{actor:1 connection:2 code:"connection.closed"} <fence{actor:1}`,
		},
	} {
		v, ok := Find(name)
		if !ok {
			t.Errorf("%s is not in the table", name)
			continue
		}
		if got, want := play(v.Tap(1)(), parse(t, c.in)), parse(t, c.out); !slices.EqualFunc(got, want, equal) {
			t.Errorf("%s makes\n%v\nof\n%v", name, got, c.in)
		}
	}
}

func TestUnknownFieldsAreAddedWithinMessagesToo(t *testing.T) {
	for _, name := range []string{"unknown-fields", "gateway-unknown-fields"} {
		v, _ := Find(name)
		sent := parse(t, `>call_result{actor:1 error{group:"user"}}`)[0]
		sent.up = !v.Gateway
		got := play(v.Tap(1)(), []line{sent})[0].frame.GetCallResult()
		if len(got.ProtoReflect().GetUnknown()) == 0 || len(got.Error.ProtoReflect().GetUnknown()) == 0 {
			t.Errorf("%s adds nothing to %v", name, got)
		}
	}
}

type line struct {
	up    bool // from the runner
	frame *tap.Frame
}

func equal(a, b line) bool { return a.up == b.up && proto.Equal(a.frame, b.frame) }

func parse(t *testing.T, text string) []line {
	t.Helper()
	var lines []line
	for _, part := range regexp.MustCompile(`[<>][^<>]+`).FindAllString(text, -1) {
		f := new(tap.Frame)
		if err := prototext.Unmarshal([]byte(part[1:]), f); err != nil {
			t.Fatalf("%s: %v", part, err)
		}
		lines = append(lines, line{part[0] == '>', f})
	}
	return lines
}

// play is what arrives on both sides, in the order in which it is written.
func play(through tap.Tap, lines []line) []line {
	var all []line
	for _, l := range lines {
		out := tap.Out{}
		switch {
		case l.up && through.FromRunner != nil:
			out = through.FromRunner(l.frame)
		case !l.up && through.ToRunner != nil:
			out = through.ToRunner(l.frame)
		default:
			all = append(all, l)
		}
		for _, f := range out.Gateway {
			all = append(all, line{true, f})
		}
		for _, f := range out.Runner {
			all = append(all, line{false, f})
		}
	}
	return all
}
