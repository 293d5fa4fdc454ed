// Package model is the campaign that finds what nobody wrote a case for: it makes random cases over the interpreter actor of
// the contract app, says beforehand what a runner must answer, and lets the engine run them.
//
// What an actor must answer comes from a reference model of a few lines: a value, some keys, a counter in memory. A case mixes
// programs, sleep and wake, sockets that break, and commits that are acknowledged late. One that fails is shrunk to the fewest
// steps that still fail, and is then an ordinary case file for conformance/cases/found.
//
// The command runs it, seeded and bounded. It judges nothing itself: Check is told how to run a case. Nothing here is safe for
// concurrent use.
package model
