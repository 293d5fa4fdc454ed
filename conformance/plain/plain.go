// Package plain makes text for people out of whatever bytes a program wrote: nothing in it moves a cursor, rings a bell or reads
// from right to left. Everything is pure.
//
// The command uses it for what it prints of others, package launch for the file that it writes.
package plain

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// colours say nothing where there are none.
var colours = regexp.MustCompile(`\x1b\[[0-9;:]*m`)

// Text keeps letters, signs, line ends and tabs; colours are left out, and all else stands as an escape, such as \x1b.
func Text(raw string) string {
	raw = colours.ReplaceAllString(raw, "")
	var b strings.Builder
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRuneInString(raw[i:])
		switch {
		case r == '\r' && strings.HasPrefix(raw[i+1:], "\n"): // the line ends of others
		case r == utf8.RuneError && n == 1, r < utf8.RuneSelf && !unicode.IsPrint(r) && r != '\n' && r != '\t':
			fmt.Fprintf(&b, `\x%02x`, raw[i])
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			b.WriteString(raw[i : i+n])
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// Line is Text in one line.
func Line(raw string) string {
	return strings.Join(strings.Fields(Text(raw)), " ")
}

// maxLine is how much of a line Last shows.
const maxLine = 200

// Last is the last n lines of Text that are not empty, long ones cut short, and the number of those before them.
func Last(raw string, n int) (lines []string, before int) {
	for line := range strings.Lines(raw) {
		if strings.TrimSpace(colours.ReplaceAllString(line, "")) != "" {
			lines = append(lines, line)
		}
	}
	before = max(0, len(lines)-n)
	lines = lines[before:]
	for i, line := range lines {
		line = line[:min(len(line), 8*maxLine)] // more than is shown, whatever is left out of it
		lines[i] = Clip(strings.TrimRight(Text(line), "\n"), maxLine)
	}
	return lines, before
}

// Clip shortens a text to n characters.
func Clip(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}
