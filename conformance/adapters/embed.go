// Package adapters holds the contract app in each language that has an SDK, for `conform init`. The programs themselves stand in its
// folders; package broken makes wrong ones.
package adapters

import (
	"embed"
	"io/fs"
)

//go:embed runner-go/*.go
var goFiles embed.FS

//go:embed runner-js/src/*.ts
var jsFiles embed.FS

// Go is the app on the Go SDK: its package main.
func Go() (fs.FS, error) { return fs.Sub(goFiles, "runner-go") }

// JS is the app on the JavaScript SDK: its sources.
func JS() (fs.FS, error) { return fs.Sub(jsFiles, "runner-js/src") }
