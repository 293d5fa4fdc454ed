//go:build unix

package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// measures are what Compare puts side by side.
var measures = []struct {
	name string
	of   func(*Row) float64
}{
	{"rate /s", func(r *Row) float64 { return r.Rate }},
	{"p50 ms", func(r *Row) float64 { return r.P50 }},
	{"p99 ms", func(r *Row) float64 { return r.P99 }},
	{"ratio", func(r *Row) float64 { return r.Ratio }},
	{"bytes", func(r *Row) float64 { return r.Bytes }},
}

// Compare writes what has changed between two runs. Rows belong together if name and parameters are the same; those that
// only one run has are listed.
func Compare(w io.Writer, before, after []Row) error {
	var out bytes.Buffer
	const format = "%-13s %-16s %-8s %12s %12s %9s\n"
	fmt.Fprintf(&out, format, "scenario", "load", "", "old", "new", "change")
	for i := range before {
		old := &before[i]
		new := find(after, old.identity())
		if new == nil {
			continue
		}
		for _, m := range measures {
			if a, b := m.of(old), m.of(new); a != 0 || b != 0 {
				fmt.Fprintf(&out, format, old.Name, old.Load(), m.name, digits(a), digits(b), change(a, b))
			}
		}
		if old.Errors+new.Errors > 0 {
			fmt.Fprintf(&out, format, old.Name, old.Load(), "errors", fmt.Sprint(old.Errors), fmt.Sprint(new.Errors), "")
		}
	}
	listMissing(&out, "only in the old run", before, after)
	listMissing(&out, "only in the new run", after, before)
	_, err := w.Write(out.Bytes())
	return err
}

func find(rows []Row, identity string) *Row {
	i := slices.IndexFunc(rows, func(r Row) bool { return r.identity() == identity })
	if i < 0 {
		return nil
	}
	return &rows[i]
}

func listMissing(out *bytes.Buffer, what string, rows, from []Row) {
	for i := range rows {
		if find(from, rows[i].identity()) == nil {
			fmt.Fprintf(out, "%s: %s\n", what, rows[i].identity())
		}
	}
}

// change is in percent of the old value.
func change(a, b float64) string {
	if a == 0 {
		return "-"
	}
	return fmt.Sprintf("%+.1f %%", 100*(b/a-1))
}

// maxRow bounds a line of a file of rows.
const maxRow = 1 << 20

// Read reads rows, one JSON object a line. Empty lines are passed over.
func Read(r io.Reader) ([]Row, error) {
	var rows []Row
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxRow)
	seen := map[string]int{}
	number := 0
	for lines.Scan() {
		number++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		row, err := parse(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if first := seen[row.identity()]; first > 0 {
			return nil, fmt.Errorf("line %d: %s stands in line %d already; compare one run with one run", number, row.identity(), first)
		}
		seen[row.identity()] = number
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	}
	if len(rows) == 0 {
		return nil, errors.New("it holds no results; `stagedoor bench --json` writes them")
	}
	return rows, nil
}

func parse(line []byte) (Row, error) {
	var row Row
	if err := json.Unmarshal(line, &row); err != nil {
		return row, fmt.Errorf("it is not a result: %w", err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(line, &keys); err != nil {
		return row, fmt.Errorf("it is not a result: %w", err)
	}
	var absent []string
	for _, key := range []string{"name", "rate_per_s", "p50_ms", "p99_ms", "bare_rate_per_s", "ratio"} {
		if _, has := keys[key]; !has {
			absent = append(absent, key)
		}
	}
	if len(absent) > 0 {
		return row, fmt.Errorf("it is not a result: it lacks %s", strings.Join(absent, ", "))
	}
	return row, nil
}
