package main

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// The vectors show rules to implementations in other languages, and hold our own code to them: what a rule fixes is
// written down in the tables here, or computed without the packages under test, so that a fault of ours cannot become
// the expectation.

const vectorsDir = "spec/vectors"

//go:embed vectors.md
var vectorsReadme []byte

func generateVectors() error {
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

func writeJSON(path string, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// hexBytes is written as hex.
type hexBytes []byte

// MarshalText implements encoding.TextMarshaler.
func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// rules names the requirements that a vector shows.
type rules []string

// no is what an optional flag points to where it is not left out.
var no = new(bool)
