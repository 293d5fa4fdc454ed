package redis

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"strings"
)

//go:embed library/*.lua
var libraryFiles embed.FS

// libraryParts are joined in this order; each uses what stands before it.
var libraryParts = []string{
	"base", "directory", "kv", "schedule", "result", "commit", "owner", "cluster", "register",
}

// The library carries its own hash in its name and in those of its functions. A library on a server is therefore never
// replaced, only added, and gateways of two builds can work on one store while a cluster is upgraded.
var libraryName, functionPrefix, librarySource = buildLibrary()

func buildLibrary() (name, prefix, source string) {
	var body strings.Builder
	for _, part := range libraryParts {
		text, err := libraryFiles.ReadFile("library/" + part + ".lua")
		if err != nil {
			continue // It is missing from libraryParts or the folder: TestLibraryIsWhole says so.
		}
		body.Write(text)
		body.WriteByte('\n')
	}
	sum := sha256.Sum256([]byte(body.String()))
	hash := hex.EncodeToString(sum[:4])
	name, prefix = "stagedoor_"+hash, "sd_"+hash+"_"
	return name, prefix, "#!lua name=" + name + "\nlocal PREFIX = '" + prefix + "'\n" + body.String()
}

// The functions, by the names that register.lua gives them. Those from fnResolve on write nothing.
var (
	fnCreate        = functionPrefix + "create"
	fnDestroy       = functionPrefix + "destroy"
	fnAcquire       = functionPrefix + "acquire"
	fnRelease       = functionPrefix + "release"
	fnCommit        = functionPrefix + "commit"
	fnClaim         = functionPrefix + "claim"
	fnExtend        = functionPrefix + "extend"
	fnGrant         = functionPrefix + "grant"
	fnRevoke        = functionPrefix + "revoke"
	fnRememberTypes = functionPrefix + "remember_types"

	fnResolve    = functionPrefix + "resolve"
	fnDescribe   = functionPrefix + "describe"
	fnList       = functionPrefix + "list"
	fnReadKeys   = functionPrefix + "read_keys"
	fnReadRange  = functionPrefix + "read_range"
	fnResult     = functionPrefix + "result"
	fnNextDue    = functionPrefix + "next_due"
	fnLive       = functionPrefix + "live"
	fnLease      = functionPrefix + "lease"
	fnKnownTypes = functionPrefix + "known_types"
)
