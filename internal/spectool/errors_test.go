package main

import (
	"go/format"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const registryHead = "# Errors\n\n| code | status | retryable | ran | from | message |\n|---|---|---|---|---|---|\n"

func TestTheRegistryIsReadRowByRow(t *testing.T) {
	got, err := parseRegistry(registryHead +
		"| actor.not_found | 404 | no | no | g | The actor does not exist. |\n\nText between | tables | counts for nothing.\n\n" +
		"| code | status | retryable | ran | from | message |\n|---|---|---|---|---|---|\n" +
		"| session.ping_timed_out | 408 | yes | - | gc | The peer stopped answering. |\n| no | code |\n")
	want := []code{
		{"actor", "not_found", 404, false, "RanNo", "g", "The actor does not exist."},
		{"session", "ping_timed_out", 408, true, "RanUnspecified", "gc", "The peer stopped answering."},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMalformedRowsAreRefused(t *testing.T) {
	const good = "| actor.not_found | 404 | no | no | g | The actor does not exist. |\n"
	for name, source := range map[string]string{
		"no table":         "# Errors\n",
		"no rows":          registryHead,
		"status of text":   registryHead + "| a.b | many | no | no | g | x. |\n",
		"unknown ran":      registryHead + "| a.b | 400 | no | perhaps | g | x. |\n",
		"unknown sender":   registryHead + "| a.b | 400 | no | no | gx | x. |\n",
		"no sender":        registryHead + "| a.b | 400 | no | no |  | x. |\n",
		"retryable unsaid": registryHead + "| a.b | 400 | maybe | no | g | x. |\n",
		"the same twice":   registryHead + good + good,
		"no message":       registryHead + good + "| a.b | 400 | no | no | g |  |\n",
		"too few cells":    registryHead + good + "| a.b | 400 | no | no | g |\n",
	} {
		if codes, err := parseRegistry(source); err == nil {
			t.Errorf("%s: %+v", name, codes)
		}
	}
}

func TestCodesHaveGoNames(t *testing.T) {
	for name, want := range map[string]string{
		"actor.not_found":      "ActorNotFound",
		"kv.key_too_large":     "KVKeyTooLarge",
		"request.invalid_json": "RequestInvalidJSON",
		"internal.error":       "InternalError",
	} {
		group, rest, _ := strings.Cut(name, ".")
		if got := (code{group: group, code: rest}).goName(); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestSendersAreASet(t *testing.T) {
	if got := (code{from: "grc"}).senders(); got != "FromGateway | FromRunner | FromClient" {
		t.Errorf("got %s", got)
	}
}

func TestTheGeneratedSourceIsGo(t *testing.T) {
	source, err := os.ReadFile("../../spec/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	codes, err := parseRegistry(string(source))
	if err != nil || len(codes) < 50 {
		t.Fatalf("%d codes, %v", len(codes), err)
	}
	for _, generated := range []string{registrySource(codes), namesSource("client", codes)} {
		if _, err := format.Source([]byte(generated)); err != nil {
			t.Error(err)
		}
		for _, c := range codes {
			if !strings.Contains(generated, c.goName()+" ") || !strings.Contains(generated, c.group+"."+c.code) {
				t.Errorf("%s.%s is not in the generated source", c.group, c.code)
			}
		}
	}
}

func TestTheVectorsAreDeterministic(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := generateVectors(); err != nil {
		t.Fatal(err)
	}
	fresh, err := filepath.Glob(vectorsDir + "/*")
	if err != nil || len(fresh) < 7 {
		t.Fatalf("%v, %v", fresh, err)
	}
	first := map[string][]byte{}
	for _, path := range fresh {
		if first[path], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := generateVectors(); err != nil {
		t.Fatal(err)
	}
	for _, path := range fresh {
		again, err := os.ReadFile(path)
		if err != nil || !reflect.DeepEqual(again, first[path]) {
			t.Errorf("%s is another one the second time (%v)", path, err)
		}
	}
}
