package main

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// The vectors show rules to implementations in other languages, and hold our own code to them: what a rule fixes is
// written down in the tables here, or computed without the packages under test, so that a fault of ours cannot become
// the expectation.

const vectorsDir = "spec/vectors"

//go:embed vectors.md
var vectorsReadme []byte

func generateVectors() error {
	if err := os.MkdirAll(vectorsDir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(vectorsDir, "README.md"), vectorsReadme, 0o644); err != nil {
		return err
	}
	for name, build := range map[string]func() (any, error){
		"address.json":       addressVectors,
		"frames-client.json": clientFrameVectors,
		"frames-runner.json": runnerFrameVectors,
		"payload.json":       payloadVectors,
		"commit-id.json":     commitIDVectors,
		"client-json.json":   clientJSONVectors,
	} {
		vectors, err := build()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := writeJSON(filepath.Join(vectorsDir, name), vectors); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// writeJSON writes lists of vectors, one vector a line, so that a changed one is one line of a diff.
func writeJSON(path string, lists any) error {
	all, err := marshal(lists)
	if err != nil {
		return err
	}
	var vectors map[string][]json.RawMessage
	if err := json.Unmarshal(all, &vectors); err != nil {
		return err
	}
	var b bytes.Buffer
	for i, name := range slices.Sorted(maps.Keys(vectors)) {
		fmt.Fprintf(&b, "%s\n  %q: [\n    ", []string{"{", ","}[min(i, 1)], name)
		b.Write(bytes.Join(asBytes(vectors[name]), []byte(",\n    ")))
		b.WriteString("\n  ]")
	}
	b.WriteString("\n}\n")
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// marshal is json.Marshal, with < and & as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

func asBytes(list []json.RawMessage) [][]byte {
	out := make([][]byte, len(list))
	for i, raw := range list {
		out[i] = raw
	}
	return out
}

// hexBytes is written as hex.
type hexBytes []byte

// MarshalText implements encoding.TextMarshaler.
func (h hexBytes) MarshalText() ([]byte, error) { //nolint:unparam // the interface has the error
	return hex.AppendEncode(nil, h), nil
}

// rules names the requirements that a vector shows.
type rules []string

// no is what an optional flag points to where it is not left out.
var no = new(bool)
