package conformance

import (
	"embed"
	"io/fs"
)

//go:embed cases/*.yaml
var cases embed.FS

// Cases are the case files of the build.
func Cases() (fs.FS, error) { return fs.Sub(cases, "cases") }
