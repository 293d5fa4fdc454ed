package planeg

import (
	"encoding/json"
	"net/url"
	"strings"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func jsonCases() []*Case {
	return []*Case{
		{ID: "GJSON-01", Title: "values come to a JSON client in their forms, and are read back from them", Requirements: needs("JSON-1:723ba0 JSON-2:ec24ec PAY-1:b45e0b"), run: forms(jsonForms)},
		{ID: "GJSON-02", Title: "an array that looks like a form is told from one", Requirements: needs("JSON-3:7c1fae"), run: lookalikes},
		{ID: "GJSON-03", Title: "limits are measured on the CBOR, not on the JSON", Requirements: needs("JSON-4:b7f462"), run: measured},
		{ID: "GJSON-04", Title: "a socket at an actor's address has a session and its first connection", Requirements: needs("SESS-7:c020f9"), run: directConnection},
	}
}

// form is a value on both sides of the gateway. The JSON is without white space; its reading needs no other encoding than that
// of its first byte, for a gateway may choose among equal ones.
type form struct{ json, cbor string }

var jsonForms = []form{
	{`0`, "\x00"},
	{`-1`, "\x20"},
	{`9007199254740991`, "\x1b\x00\x1f\xff\xff\xff\xff\xff\xff"},
	{`["$BigInt","9007199254740992"]`, "\x1b\x00\x20\x00\x00\x00\x00\x00\x00"},
	{`["$BigInt","-9007199254740992"]`, "\x3b\x00\x1f\xff\xff\xff\xff\xff\xff"},
	{`["$BigInt","18446744073709551616"]`, "\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00"},
	{`1.5`, "\xf9\x3e\x00"},
	{`["$Number","NaN"]`, "\xf9\x7e\x00"},
	{`["$Number","Infinity"]`, "\xf9\x7c\x00"},
	{`["$Number","-Infinity"]`, "\xf9\xfc\x00"},
	{`["$Uint8Array","AQID"]`, "\x43\x01\x02\x03"},
	{`["$Undefined",0]`, "\xf7"},
	{`["$Date",1363896240000]`, "\xc1\x1a\x51\x4b\x67\xb0"},
	{`["$Set",[1,2]]`, "\xd9\x01\x02\x82\x01\x02"},
	{`["$Map",[[1,2]]]`, "\xa1\x01\x02"},
	{`["$Map",[["a",1]]]`, "\xd9\x01\x03\xa1\x61a\x01"},
	{`{"a":1}`, "\xa1\x61a\x01"},
	{`[1,null,true,"é"]`, "\x84\x01\xf6\xf5\x62\xc3\xa9"},
}

// forms sends each value both ways.
func forms(all []form) func(*play) {
	return func(p *play) {
		r := p.runner()
		p.put(r, "a")
		for _, f := range all {
			p.both(r, f)
		}
		// A float with an integral value is told from an integer.
		text := p.outwards(r, "\xf9\x3c\x00")
		p.check(text == "1.0" || strings.HasPrefix(strings.ToLower(text), "1e"), "float", "the float 1 comes as %s", text)
		p.check(p.inwards(r, "1.0")[0]>>5 == 7, "float", "1.0 does not come as a float")
	}
}

func (p *play) both(r *runner, f form) {
	p.check(p.outwards(r, f.cbor) == f.json, "out", "%x comes as %s, not %s", f.cbor, p.outwards(r, f.cbor), f.json)
	in := p.inwards(r, f.json)
	p.check(in[0]>>5 == f.cbor[0]>>5, "in", "%s comes as %x, not as %x", f.json, in, f.cbor)
	p.check(p.outwards(r, in) == f.json, "back", "%s comes back as %s", f.json, p.outwards(r, in))
}

// outwards is what a JSON client gets for a value of an actor.
func (p *play) outwards(r *runner, cbor string) string {
	answers := p.asking("POST", p.action(":a"), "")
	r.reply(want[*runnerv1alpha1.Call](r), cbor)
	a := p.answered(answers)
	var outer struct{ Output json.RawMessage }
	err := json.Unmarshal([]byte(a.text), &outer)
	p.check(a.status == 200 && err == nil, "output", "%x is answered %d %s", cbor, a.status, short(a.text))
	return string(outer.Output)
}

// inwards is what an actor gets for a value of a JSON client.
func (p *play) inwards(r *runner, text string) string {
	answers := p.asking("POST", p.action(":a"), `{"args":[`+text+`]}`)
	call := want[*runnerv1alpha1.Call](r)
	r.reply(call, "\x00")
	p.says(p.answered(answers), 200, "")
	p.check(len(call.Args) > 1 && call.Args[0] == 0x81, "args", "[%s] comes as %x", text, call.Args)
	return string(call.Args[1:])
}

func lookalikes(p *play) {
	r := p.runner()
	p.put(r, "a")
	for _, f := range []form{
		{`["$$x",1]`, "\x82\x62$x\x01"},
		{`["$$$x",1]`, "\x82\x63$$x\x01"},
		{`["$$BigInt","1"]`, "\x82\x67$BigInt\x61\x31"},
		{`["x",1]`, "\x82\x61x\x01"},
		{`["$x",1,2]`, "\x83\x62$x\x01\x02"},
		{`["$Set",[["$$x",1]]]`, "\xd9\x01\x02\x81\x82\x62$x\x01"},
	} {
		p.both(r, f)
	}
	// The array of arguments is one of two elements, too.
	answers := p.asking("POST", p.action(":a"), `{"args":["$$x",1]}`)
	call := want[*runnerv1alpha1.Call](r)
	p.check(string(call.Args) == "\x82\x62$x\x01", "args", "the arguments come as %x", call.Args)
	r.reply(call, "\xd9\x03\xe7\x01") // a tag that nobody knows
	a := p.answered(answers)
	p.check(codeOf(a.body) == "request.invalid_payload", "tag", "an unknown tag is answered %d %s", a.status, a.text)
	p.says(p.ask("POST", p.action(":a"), `{"args":[["$Nonsense",1]]}`), 400, "request.invalid_json")
}

func measured(p *play) {
	r := p.runner()
	n := int(p.client().welcome.Limits.GetMaxArgs())
	p.check(n > 0, "limits", "no limit of arguments is announced")
	p.put(r, "a")
	p.inwards(r, `"`+strings.Repeat(`\u0041`, n/2)+`"`) // three times the limit in JSON, half of it in CBOR
	// Two thirds of the limit in JSON, one and a half of it in CBOR.
	a := p.ask("POST", p.action(":a"), `{"args":[`+strings.TrimSuffix(strings.Repeat("0.1,", n/6), ",")+`]}`)
	p.says(a, 413, "request.too_large")
}

func directConnection(p *play) {
	r := p.runner()
	query := url.Values{"params": {`{"x":1}`}, "input": {"7"}, "subscribe": {"tick", "tock"}}
	if p.clientToken != "" {
		query.Set("token", p.clientToken)
	}
	s := p.speaker(p.at(":a") + "/connect?" + query.Encode())
	start := r.begin("a")
	p.check(string(start.Input) == "\x07", "input", "the input is %x", start.Input)
	open := r.admit()
	p.check(string(open.Params) == "\xa1\x61x\x01" && len(open.Subscriptions) == 2, "open", "the runner gets %s", show(open))
	s.want("welcome")
	p.check(s.want("connectionOpened")["connection"] == 1.0, "number", "the connection is not the first")
	r.send(&runnerv1alpha1.Emit{Actor: start.Actor, Event: "tock", Args: []byte{0x81, 5}})
	m := s.want("event")
	p.check(m["connection"] == 1.0 && m["event"] == "tock", "event", "the event is %s", show(m))
	s.text(`{"type":"call","id":1,"connection":1,"action":"x"}`)
	r.reply(want[*runnerv1alpha1.Call](r), "\x01")
	p.check(s.want("callResult")["output"] == 1.0, "call", "the call is answered otherwise")
}
