package e2e

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/gateway"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// differentKeys are keys that careless systems take for each other.
var differentKeys = [][]string{
	{},
	{""},
	{"", ""},
	{"a", "b"},
	{"a,b"},
	{"a/b"},
	{"a:b"},
	{"a", "b", ""},
	{".."},
	{"."},
	{"..", ".."},
	{"%2e"},
	{"a%3Ab"},
	{"a b"},
	{"a+b"},
	{"\u00e9"},
	{"e\u0301"}, // NFC and NFD
	{strings.Repeat("k", 128)},
	{strings.Repeat("k", 127) + "l"},
	{"\x00"},
	{"\u20ac", "\U0001f600"},
	{"?x=1"},
	{"#x"},
	{"@x"},
}

// [ADDR-2] [ADDR-3]
func TestKeysReachAsManyActorsOverEveryTransport(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		c := w.client()
		ids := map[string][]string{}
		for _, key := range differentKeys {
			segment := "lab"
			for _, part := range key {
				escaped := url.PathEscape(part)
				if strings.Trim(part, ".") == "" {
					escaped = strings.ReplaceAll(part, ".", "%2E")
				}
				segment += ":" + strings.ReplaceAll(escaped, ":", "%3A")
			}
			r := w.act(segment, "who", "[]")
			if r.status != 200 {
				w.Fatalf("%q as %s: %s", key, segment, r.raw)
			}
			overHTTP := texts(r.body["output"])
			if !slices.Equal(overHTTP[1:], key) {
				w.Errorf("%s: the actor's key is %q, want %q", segment, overHTTP[1:], key)
			}
			h := c.GetOrCreate("lab", key)
			overProto := call[[]string](w, h, "who")
			conn := h.Connect(client.ConnectOptions{Params: labConn{Name: "k"}})
			overConnection := call[[]string](w, conn, "who")
			raw := w.dial("/v1/actors/"+segment+"/connect?params="+url.QueryEscape(`{"name":"k"}`), "")
			raw.want("welcome")
			opened := raw.want("connectionOpened")
			if !slices.Equal(overProto, overHTTP) || !slices.Equal(overConnection, overHTTP) || opened["actorId"] != overHTTP[0] {
				w.Errorf("%q: HTTP %q, proto %q, connection %q, JSON %q", key, overHTTP, overProto, overConnection, opened["actorId"])
			}
			if other := ids[overHTTP[0]]; other != nil {
				w.Errorf("%q and %q are one actor", other, key)
			}
			ids[overHTTP[0]] = key
			conn.Close()
		}
		wantEqual(w, "actors", len(ids), len(differentKeys))
	})
}

func texts(v any) []string {
	var s []string
	for _, x := range v.([]any) {
		s = append(s, x.(string))
	}
	return s
}
