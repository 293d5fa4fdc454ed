package monitor

import (
	_ "embed" // for codes.txt
	"regexp"
	"strings"
	"sync"
)

// codes.txt is the registry of spec/errors.md as of the build, a line "group.code from" each; a test holds it equal.
//
//go:embed codes.txt
var codesText string

var registry = sync.OnceValue(func() map[string]string {
	from := map[string]string{}
	for line := range strings.Lines(codesText) {
		code, who, _ := strings.Cut(strings.TrimSpace(line), " ")
		from[code] = who
	}
	return from
})

var userCode = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// refused says why a runner may not send that code; empty: it may [ERR-2].
func refused(group, code string) string {
	if group == "user" {
		if !userCode.MatchString(code) {
			return "is no code of an application"
		}
		return ""
	}
	from, known := registry()[group+"."+code]
	switch {
	case !known:
		return "is not in the registry"
	case !strings.Contains(from, "r"):
		return "may not be sent by a runner"
	}
	return ""
}

var row = regexp.MustCompile(`(?m)^\| ([a-z]+\.[a-z_]+) \| [0-9]+ \| [a-z]+ \| [a-z-]+ \| ([a-z]+) \|`)

// Codes reads spec/errors.md, for the test.
func codesOf(spec string) string {
	var b strings.Builder
	for _, m := range row.FindAllStringSubmatch(spec, -1) {
		b.WriteString(m[1] + " " + m[2] + "\n")
	}
	return b.String()
}
