package plain

import (
	"strings"
	"testing"
)

func TestTextIsHarmless(t *testing.T) {
	for raw, want := range map[string]string{
		"Grüße, 世界 🚪\tand a tab\n":   "Grüße, 世界 🚪\tand a tab\n",
		"\x1b[31;1mred\x1b[0m":       "red",
		"\x1b[2J\x1b]0;title\a\x07":  `\x1b[2J\x1b]0;title\x07\x07`,
		"\x00\x7f\xff\u0085":         `\x00\x7f\xff\u0085`,
		"windows\r\nback\rover":      "windows\nback\\x0dover",
		"right\u202eleft\u200b":      `right\u202eleft\u200b`,
		"a replacement \ufffd stays": "a replacement \ufffd stays",
	} {
		if got := Text(raw); got != want {
			t.Errorf("%q becomes %q, want %q", raw, got, want)
		}
	}
	if got := Line(" two\nlines\x1b[K\n"); got != `two lines\x1b[K` {
		t.Errorf("as a line: %q", got)
	}
}

func TestTheLastLinesAreFewAndShort(t *testing.T) {
	lines, before := Last("one\n\n\x1b[0m\ntwo\nthree "+strings.Repeat("x", 1<<20)+"\nfour", 3)
	if before != 1 || len(lines) != 3 || lines[0] != "two" || len([]rune(lines[1])) != maxLine || lines[2] != "four" {
		t.Errorf("%d before %.300q", before, lines)
	}
	if lines, before := Last("", 3); len(lines) != 0 || before != 0 {
		t.Errorf("of nothing there are %q", lines)
	}
}
