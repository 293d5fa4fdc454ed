// Package version says which build this is. Safe for concurrent use.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the linker when a release is built: -X …/edge/version.release=v0.1.0.
var release string

// Version is the release, or for another build the module's version with the commit it was built from, as far as known.
func Version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	return describe(info)
}

func describe(info *debug.BuildInfo) string {
	version, dirty := "devel", ""
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v // since Go 1.24 it names the commit, too
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			version += "-" + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	return version + dirty
}

// Line is the version with what it was built by and for.
func Line() string {
	return fmt.Sprintf("stagedoor %s (%s, %s/%s)", Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
