// Package app is the contract of the app that every runner under test hosts: a text. The programs that keep it stand in
// conformance/adapters.
package app

import _ "embed"

// Contract is the text, as Markdown.
//
//go:embed README.md
var Contract []byte
