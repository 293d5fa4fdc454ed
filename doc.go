// Package stagedoor holds no code: its tests are the rules of the whole repository.
//
// They read the tree as it stands, tracked or not, and parse it themselves instead of asking the go command, whose
// answers go test would cache: which package may import which, a comment on every package, generated code as its
// generators write it, requirement ids that exist and are tested, sizes, and nothing that holds on one machine only.
// Nobody imports this package.
package stagedoor
