package version

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123"}
	dirty := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for want, info := range map[string]*debug.BuildInfo{
		"devel":                    {},
		"v0.1.0":                   {Main: debug.Module{Version: "v0.1.0"}},
		"devel-0123456789ab":       {Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{commit}},
		"devel-0123456789ab-dirty": {Settings: []debug.BuildSetting{commit, dirty}},
	} {
		if got := describe(info); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestLineNamesTheProgram(t *testing.T) {
	if line := Line(); !strings.HasPrefix(line, "stagedoor ") || !strings.Contains(line, "go1.") {
		t.Errorf("%q", line)
	}
}
