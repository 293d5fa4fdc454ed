//go:build unix

package bench

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// lineFormat is a line of the table: scenario, load, rate, p50, p99, bare rate, bare p50, ratio, memory.
const lineFormat = "%-13s %-16s %22s %9s %9s %12s %9s %6s  %s\n"

// PrintHead writes the head of the table for people.
func PrintHead(w io.Writer) error {
	_, err := fmt.Fprintf(w, lineFormat, "scenario", "load", "rate", "p50", "p99", "bare rate", "bare p50", "ratio", "memory")
	return err
}

// Print writes the row as lines of the table: under the figures what has to be said about them.
func (r *Row) Print(w io.Writer) error {
	rate, bareRate := "-", "-"
	if r.Rate > 0 {
		rate = thousands(r.Rate) + " " + r.Unit + "/s"
	}
	if r.BareRate > 0 {
		bareRate = thousands(r.BareRate) + "/s"
	}
	line := fmt.Sprintf(lineFormat, r.Name, cmp.Or(r.Load(), "1"), rate, span(r.P50), span(r.P99), bareRate, span(r.BareP50),
		ratio(r.Ratio), r.memory())
	lines := []string{strings.TrimRight(line, " \n")}
	if r.Note != "" {
		lines = append(lines, "  note: "+r.Note)
	}
	if r.Errors > 0 {
		lines = append(lines, fmt.Sprintf("  %d operations failed, one of them: %s", r.Errors, r.Fault))
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}

// memory is "9,876 B a session (8,765 B heap), bare 7,000 B".
func (r *Row) memory() string {
	if r.Bytes == 0 {
		return ""
	}
	text := fmt.Sprintf("%s B for each of the %s", thousands(r.Bytes), r.Unit)
	if r.HeapBytes != 0 {
		text += fmt.Sprintf(" (gateway's heap %s B)", thousands(r.HeapBytes))
	}
	if r.BareBytes != 0 {
		text += fmt.Sprintf(", bare %s B", thousands(r.BareBytes))
	}
	return text
}

// span is a number of milliseconds with three digits.
func span(ms float64) string {
	if ms <= 0 {
		return "-"
	}
	return digits(ms) + " ms"
}

func ratio(r float64) string {
	if r <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", r)
}

// digits is a number with at least three digits.
func digits(v float64) string {
	switch {
	case v >= 100:
		return thousands(v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// thousands is a whole number with commas.
func thousands(v float64) string {
	text := strconv.FormatFloat(v, 'f', 0, 64)
	sign := ""
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		sign, text = "-", rest
	}
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return sign + text
}
