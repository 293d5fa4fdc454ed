package config

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// limitUnit is what a limit counts, and so how large it may sensibly be.
type limitUnit struct {
	form string
	most int
}

var (
	bytesOfMessage = limitUnit{"bytes", 1 << 30}
	bytesOfMemory  = limitUnit{"bytes", 1 << 40}
	bytesOfName    = limitUnit{"bytes", 64 << 10}
	items          = limitUnit{"count", 1 << 24}
)

// limitHelp says of each field of wire.Limits what it bounds. Those that may be 0 have no limit then.
var limitHelp = map[string]struct {
	unit   limitUnit
	help   string
	orNone bool
}{
	"MaxFrame":         {unit: bytesOfMessage, help: "one frame or WebSocket message"},
	"MaxArgs":          {unit: bytesOfMessage, help: "arguments of a call"},
	"MaxInput":         {unit: bytesOfMessage, help: "input of a creation"},
	"MaxParams":        {unit: bytesOfMessage, help: "params of a connection"},
	"MaxAction":        {unit: bytesOfName, help: "name of an action"},
	"MaxEventName":     {unit: bytesOfName, help: "name of an event"},
	"MaxCalls":         {unit: items, help: "unanswered calls of a session"},
	"MaxConnections":   {unit: items, help: "connections of a session"},
	"MaxSubscriptions": {unit: items, help: "subscriptions of a connection"},
	"MaxSessionQueue":  {unit: bytesOfMessage, help: "what is queued for a client that does not read"},
	"MaxChannelKept":   {unit: bytesOfMessage, help: "what is kept of a connection for a client that comes back"},

	"MaxSockets":              {unit: items, help: "sockets of the gateway", orNone: true},
	"MaxSessionsPerPrincipal": {unit: items, help: "sessions of a token", orNone: true},
	"MaxSessionsPerAddress":   {unit: items, help: "sessions of a client address", orNone: true},
	"MaxCallsPerPrincipal":    {unit: items, help: "calls of a token under way", orNone: true},
	"MaxCallsPerAddress":      {unit: items, help: "calls of a client address under way", orNone: true},
	"MaxMemory":               {unit: bytesOfMemory, help: "all queues and buffers together", orNone: true},

	"MaxConnectionsPerActor": {unit: items, help: "connections of an actor"},
	"MaxCallsPerActor":       {unit: items, help: "calls of an actor, waiting ones included"},
	"MaxReadsPerActor":       {unit: items, help: "reads of an actor under way"},
	"MaxLinkQueue":           {unit: bytesOfMemory, help: "what is queued for a runner"},
	"MaxState":               {unit: bytesOfMessage, help: "state of an actor"},
	"MaxKVKey":               {unit: bytesOfName, help: "KV key"},
	"MaxKVValue":             {unit: bytesOfMessage, help: "KV value"},
	"MaxKVBatch":             {unit: bytesOfMessage, help: "KV batch"},
	"MaxKVOperations":        {unit: items, help: "operations of a KV batch"},
	"MaxCommit":              {unit: bytesOfMessage, help: "commit of an actor"},
	"MaxOutput":              {unit: bytesOfMessage, help: "result of a call"},
	"MaxEvent":               {unit: bytesOfMessage, help: "event"},
	"MaxErrorMetadata":       {unit: bytesOfMessage, help: "metadata of an error"},
	"MaxConnectionState":     {unit: bytesOfMessage, help: "state of a connection"},
	"MaxGroupOutputs":        {unit: items, help: "outputs that leave with one commit"},
	"MaxGroupBytes":          {unit: bytesOfMessage, help: "outputs that leave with one commit"},
	"MaxHeldBytes":           {unit: bytesOfMessage, help: "outputs of an actor that wait for commits"},
	"MaxUnacked":             {unit: bytesOfMessage, help: "what a link has written and the peer has not acknowledged"},
	"EventWindow":            {unit: bytesOfMessage, help: "events of an actor under way"},
	"LinkWindow":             {unit: bytesOfMemory, help: "events of a link under way"},
}

// limitSettings are a setting for each limit of the table.
func limitSettings(l *wire.Limits) []Setting {
	table := reflect.ValueOf(l).Elem()
	var settings []Setting
	for i := range table.NumField() {
		name := table.Type().Field(i).Name
		about := limitHelp[name]
		least, help := 1, about.help
		if about.orNone {
			least = 0
			help += "; 0: none"
		}
		settings = append(settings, integer(limitKey(name), about.unit.form, help, table.Field(i).Addr().Interface().(*int), least, about.unit.most))
	}
	return settings
}

// limitKey is the setting of a field: MaxKVKey is limit_max_kv_key.
func limitKey(field string) string {
	var b strings.Builder
	b.WriteString("limit")
	runes := []rune(field)
	for i, r := range runes {
		endsAcronym := i > 0 && i+1 < len(runes) && unicode.IsUpper(runes[i-1]) && unicode.IsLower(runes[i+1])
		if unicode.IsUpper(r) && (i == 0 || unicode.IsLower(runes[i-1]) || endsAcronym) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// envelope is what a frame has beside its largest payload: names, ids, errors.
const envelope = 1 << 10

// limitOrder are pairs of limits of which the first, with what it is wrapped in, must fit into the second.
var limitOrder = []struct {
	small   string
	wrapped int
	large   string
}{
	{"MaxArgs", envelope, "MaxFrame"},
	{"MaxInput", envelope, "MaxFrame"},
	{"MaxParams", envelope, "MaxFrame"},
	{"MaxOutput", envelope, "MaxFrame"},
	{"MaxEvent", envelope, "MaxFrame"},
	{"MaxCommit", envelope, "MaxFrame"},
	{"MaxConnectionState", envelope, "MaxFrame"},
	{"MaxErrorMetadata", envelope, "MaxFrame"},
	{"MaxOutput", envelope, "MaxSessionQueue"},
	{"MaxEvent", envelope, "MaxSessionQueue"},
	{"MaxState", envelope, "MaxCommit"},
	{"MaxKVBatch", envelope, "MaxCommit"},
	{"MaxKVValue", 0, "MaxKVBatch"},
	{"MaxKVKey", 0, "MaxKVBatch"},
	{"MaxFrame", 0, "MaxLinkQueue"},
	{"MaxOutput", envelope, "MaxGroupBytes"},
	{"MaxEvent", envelope, "MaxGroupBytes"},
	{"MaxGroupBytes", 0, "MaxHeldBytes"},
	{"EventWindow", 0, "LinkWindow"},
}

// checkLimits refuses a table in which something allowed does not fit into what has to carry it.
func checkLimits(l wire.Limits) error {
	table := reflect.ValueOf(l)
	of := func(name string) int { return int(table.FieldByName(name).Int()) }
	for _, o := range limitOrder {
		if of(o.small)+o.wrapped > of(o.large) {
			return fmt.Errorf("%s must be at most %s less %d: %d and %d", names(limitKey(o.small)), names(limitKey(o.large)), o.wrapped, of(o.small), of(o.large))
		}
	}
	// Half of the window opens at once, so an event that costs more than that would never leave [LINK-18].
	if 2*(l.MaxEvent+envelope) > l.EventWindow {
		return fmt.Errorf("%s must be at least twice %s", names(limitKey("EventWindow")), names(limitKey("MaxEvent")))
	}
	if l.MaxUnacked < 2*wire.MaxStep {
		return fmt.Errorf("%s must be at least %d", names(limitKey("MaxUnacked")), 2*wire.MaxStep)
	}
	return nil
}
