// Package replay plays the gateway's half of a recorded trace again, to another runner or to the same one, and compares what that
// says with what was recorded.
//
// The gateway chooses refs, ids, nonces and generations, so they are the same again; what a runner chooses (ids of reads, texts
// of errors that are for people) is bound or passed over. Frames of one actor are compared in their order, those of different
// actors have none. Gates of the contract app are open from the beginning, since a trace does not hold them. Pings, acks and the
// counts of a resume are the virtual gateway's own.
//
// The command calls Run for each case of a trace. It starts the runner and ends it.
package replay
