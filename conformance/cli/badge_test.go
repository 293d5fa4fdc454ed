package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// Every report is written, and the badge of result.json is the one that the run itself writes.
func TestReportsAreWritten(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	writers, err := reportWriters([]string{"json=" + at("result.json"), "html=" + at("report.html"), "junit=" + at("junit.xml"), "badge=" + at("badge.svg")})
	if err != nil {
		t.Fatal(err)
	}
	result := &verdict.Result{Schema: 1, Subject: "runner", Claimed: []string{"core"}, Cases: []verdict.Case{{ID: "HS-01", Status: verdict.Pass}}}
	result.Conclude()
	for _, write := range writers {
		if err := write(result); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"report.html": `id="req-LINK-1"`, "junit.xml": "<testsuites>", "badge.svg": "conformant · core"} {
		if text, err := os.ReadFile(at(name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s does not hold %s (%v)", name, want, err)
		}
	}
	var out, errs bytes.Buffer
	if status := Main([]string{"badge", at("result.json")}, &out, &errs); status != 0 {
		t.Fatalf("badge ends with %d: %s", status, errs.String())
	}
	if text, _ := os.ReadFile(at("badge.svg")); out.String() != string(text) {
		t.Errorf("conform badge prints %s", out.String())
	}
	if status := Main([]string{"badge", at("junit.xml")}, &out, &errs); status != verdict.ExitUsage {
		t.Errorf("a file that is no result gives the status %d", status)
	}
}
