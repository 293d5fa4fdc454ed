// Package replay plays the gateway's half of a recorded trace again, to another runner or to the same one, and compares what that
// says with what was recorded.
//
// The gateway chooses refs, ids, nonces and generations, so they are the same again; what a runner chooses (ids of reads, texts
// of errors that are for people) is bound or passed over. Frames of one actor are compared in their order, those of different
// actors have none. Gates of the contract app are reached and opened where they were: what waits at several of them goes on in the
// recorded order. A trace of which none was opened leaves them all open. Pings, acks and the counts of a resume are the virtual
// gateway's own.
//
// The command calls Run for each case of a trace. It starts the runner and ends it.
package replay
