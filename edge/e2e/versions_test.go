package e2e

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/edge/serve/servetest"
)

// script is what each version is asked, from an actor that is not there to one that is gone. KEY is the version's own.
var script = []struct {
	method, path, contentType, body string
	header                          http.Header
}{
	{method: "GET", path: "/healthz"},
	{method: "GET", path: "/readyz"},
	{method: "GET", path: "/v1/metadata"},
	{method: "GET", path: "/v1/actors/counter:KEY"},
	{method: "POST", path: "/v1/actors/counter:KEY", contentType: "application/json", body: `{"input":null}`},
	{method: "POST", path: "/v1/actors/counter:KEY", contentType: "application/json", body: `{"input":null}`},
	{method: "PUT", path: "/v1/actors/counter:KEY", contentType: "application/json", body: `{}`},
	{method: "POST", path: "/v1/actors/counter:KEY/actions/increment", contentType: "application/json", body: `{"args":[5]}`},
	{method: "POST", path: "/v1/actors/counter:KEY/actions/increment", contentType: "application/cbor", body: "\xa1\x64args\x81\x02"},
	{method: "POST", path: "/v1/actors/counter:KEY/actions/increment", contentType: "application/json", body: `{"args":[1]}`, header: http.Header{"Accept": {"application/cbor"}}},
	{method: "POST", path: "/v1/actors/counter:KEY/actions/nothing", contentType: "application/json", body: `{"args":[]}`},
	{method: "POST", path: "/v1/actors/counter:KEY/actions/increment", contentType: "application/json", body: `{"args":[`},
	{method: "POST", path: "/v1/actors/counter:KEY/actions/increment", contentType: "text/xml", body: `<args/>`},
	{method: "POST", path: "/v1/actors/counter:KEY/actions/increment", contentType: "application/json", body: `{"args":["` + strings.Repeat("x", 20<<20) + `"]}`},
	{method: "POST", path: "/v1/actors/counter:KEY/actions/increment", contentType: "application/json", body: `{"args":[1]}`, header: http.Header{"Stagedoor-Deadline-Ms": {"soon"}}},
	{method: "GET", path: "/v1/actors/counter:KEY/actions/increment"},
	{method: "GET", path: "/v1/actors/%zz"},
	{method: "GET", path: "/v1/nowhere"},
	{method: "GET", path: "/v1/connect"},
	{method: "GET", path: "/runner/v1alpha1"},
	{method: "OPTIONS", path: "/v1/actors/counter:KEY", header: http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {"POST"}}},
	{method: "GET", path: "/v1/actors?type=counter&key=KEY"},
	{method: "DELETE", path: "/v1/actors/counter:KEY"},
	{method: "GET", path: "/v1/actors/counter:KEY"},
}

// [HTTP-9] [TLS-1]: each version of HTTP gets the same answers of a development gateway, and a certificate by its published hash.
func TestEveryVersionOfHTTPGetsTheSameAnswers(t *testing.T) {
	s := plan(t)
	s.startDevelopment()
	s.startRunner()

	// A WebSocket takes the way of the others, too.
	sdk, err := client.New("https://"+s.address, client.Options{TLS: &tls.Config{InsecureSkipVerify: true}}) //nolint:gosec // as below
	if err != nil {
		t.Fatal(err)
	}
	defer sdk.Close()
	if n, err := client.Call[int](t.Context(), sdk.GetOrCreate("counter", []string{"socket"}), "increment", 3); err != nil || n != 3 {
		t.Errorf("over a WebSocket with TLS: %d, %v", n, err)
	}

	var shown []string
	config := &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // it is known by its hash, below
		VerifyConnection: func(state tls.ConnectionState) error {
			sum := sha256.Sum256(state.PeerCertificates[0].Raw)
			shown = append(shown, base64.StdEncoding.EncodeToString(sum[:]))
			return nil
		},
	}
	var first []string
	for i, v := range servetest.Ways(t, config) {
		key := fmt.Sprintf("version%d", i)
		answers := s.play(v, key)
		if first == nil {
			first = answers
			continue
		}
		for n, answer := range answers {
			if answer != first[n] {
				t.Errorf("%s %s, %s over %s:\n%s\nover %s without TLS:\n%s", script[n].method, script[n].path, v.Version, v.Scheme, answer, "HTTP/1.1", first[n])
			}
		}
	}
	var about struct{ CertificateHashes []string }
	if err := json.Unmarshal([]byte(s.get("/v1/metadata")), &about); err != nil {
		t.Fatal(err)
	}
	if len(about.CertificateHashes) != 1 || len(shown) == 0 {
		t.Fatalf("published %v, shown %v", about.CertificateHashes, shown)
	}
	for _, hash := range shown {
		if !slices.Contains(about.CertificateHashes, hash) {
			t.Errorf("%s is shown, published are %v", hash, about.CertificateHashes)
		}
	}
}

// itsOwn is what differs from actor to actor: ids, times and generations.
var itsOwn = regexp.MustCompile(`"(id|createdAt)":"[^"]*"|"(generation|version)":\d+|local-[0-9a-v]+`)

// play asks the script and gives the answers, without what is the actor's own.
func (s *site) play(v servetest.Way, key string) (answers []string) {
	s.t.Helper()
	for _, ask := range script {
		request, err := http.NewRequestWithContext(s.t.Context(), ask.method, v.Scheme+"://"+s.address+strings.ReplaceAll(ask.path, "KEY", key), bytes.NewReader([]byte(ask.body)))
		if err != nil {
			if strings.Contains(ask.path, "%zz") { // Go's client cannot send it
				answers = append(answers, "")
				continue
			}
			s.t.Fatal(err)
		}
		for name, values := range ask.header {
			request.Header[name] = values
		}
		if ask.contentType != "" {
			request.Header.Set("Content-Type", ask.contentType)
		}
		answers = append(answers, s.answer(request, v, key))
	}
	return answers
}

func (s *site) answer(request *http.Request, v servetest.Way, key string) string {
	s.t.Helper()
	response, err := v.Do(request)
	if err != nil {
		s.t.Errorf("%s %s over %s: %v", request.Method, request.URL.Path, v.Version, err)
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		s.t.Errorf("%s %s over %s: read the answer: %v", request.Method, request.URL.Path, v.Version, err)
	}
	if response.Proto != v.Version {
		s.t.Errorf("answered over %s, not %s", response.Proto, v.Version)
	}
	header := response.Header.Clone()
	// Of the version, or of the actor's times, not of the answer.
	for _, name := range []string{"Date", "Alt-Svc", "Upgrade", "Content-Length"} {
		header.Del(name)
	}
	text := fmt.Sprintf("%d %v %s", response.StatusCode, header, body)
	return itsOwn.ReplaceAllString(strings.ReplaceAll(text, key, "KEY"), "…")
}
