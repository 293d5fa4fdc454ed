// Package planeg is the suite seen from the other side: it says of a gateway whether it keeps its part of both protocols.
//
// A gateway under test is started by a shell command (Gateway). Cases, written in Go with the metadata of the YAML ones, play
// runners and clients against it, frame by frame: they read with package frame, package websocket and package webtransport, and share
// nothing with our gateway and SDKs but the generated messages. What clients speak is the run's choice (Transport), and cases do not
// see it, unless they are about it: a line carries the frames of a peer. Each case has an actor type of its own, so that several cases can use one
// gateway at once; those that break a gateway, or restart it, have one of their own.
//
// The command calls Run, which returns when everything that it started has ended. A case runs in one goroutine; each of its
// sockets is read by another, which the case's end waits for.
package planeg
