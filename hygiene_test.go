package stagedoor

import (
	"bytes"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Words that are put together here, so that this file does not hold what it looks for.
var machinePaths = regexp.MustCompile(`(^|[\s"'=:(` + "`" + `])/(` + strings.Join([]string{
	"work", "root", "home/[a-z]+", "Users/[A-Za-z]+", "private/var", "tmp/[a-z]+_jobs",
}, "|") + `)(/|\b)`)

var lockedHost = regexp.MustCompile(`"resolved":\s*"https?://([^/"]+)`)

var makeCommand = regexp.MustCompile("(?m)(?:^|`|&& )make ([a-z][a-z-]*)")

func TestNothingHoldsOnOneMachineOnly(t *testing.T) {
	for _, file := range theTree(t).files {
		text := readText(t, file)
		if at := machinePaths.Find(text); at != nil {
			t.Errorf("%s names a path of one machine: %q", file, at)
		}
	}
}

// A lock file written behind a mirror names the mirror, and installs nowhere else.
func TestLockFilesNamePublicRegistries(t *testing.T) {
	public := []string{"registry.npmjs.org", "registry.yarnpkg.com", "static.crates.io"}
	for _, file := range theTree(t).files {
		if base := path.Base(file); base != "package-lock.json" && base != "Cargo.lock" && base != ".npmrc" {
			continue
		}
		for _, m := range lockedHost.FindAllSubmatch(readText(t, file), -1) {
			if host := string(m[1]); !slices.Contains(public, host) {
				t.Errorf("%s resolves packages from %s", file, host)
			}
		}
		if path.Base(file) == ".npmrc" && bytes.Contains(readText(t, file), []byte("registry=")) {
			t.Errorf("%s names a registry; that is for a machine's own settings", file)
		}
	}
}

func TestDocumentedCommandsExist(t *testing.T) {
	makefile := string(readText(t, "Makefile"))
	for _, file := range theTree(t).files {
		if path.Ext(file) != ".md" {
			continue
		}
		for _, m := range makeCommand.FindAllSubmatch(readText(t, file), -1) {
			if name := string(m[1]); !strings.Contains(makefile, "\n"+name+":") {
				t.Errorf("%s says `make %s`, which the Makefile does not know", file, name)
			}
		}
	}
}

func TestMachinePathsAreSeen(t *testing.T) {
	for text, bad := range map[string]bool{
		"cd " + "/wo" + "rk/main":          true,
		`dir: "` + "/ro" + `ot/go"`:        true,
		"open " + "/ho" + "me/ann/file":    true,
		"a/work/b is a relative path":      false,
		"GET /v1/actors":                   false,
		"/var/lib/stagedoor":               false,
		"the working directory, /workshop": false,
	} {
		if got := machinePaths.MatchString(text); got != bad {
			t.Errorf("%q: %t", text, got)
		}
	}
}

// readText is the content of a text file; nothing for a binary one.
func readText(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil
	}
	return text
}
