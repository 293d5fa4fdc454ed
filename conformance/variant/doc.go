// Package variant makes odd runners and odd gateways that keep the protocol all the same. The suite must pass them: a case that
// fails on one cries wolf.
//
// There are two ways to be odd. Taps change frames: unknown fields, other numbers, short pages, repeated requests. Travel (package
// proxy) changes how frames come along: several in one WebSocket message, one in each, in fragments, byte by byte, late. What is
// not allowed is a mutant (package mutant).
//
// The table is read-only, and a Tap belongs to one session.
package variant
