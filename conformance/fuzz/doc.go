// Package fuzz is the campaign against a runner's reading: it takes frames that a gateway may send, changes them knowing the
// protocol's descriptors, and sends them. Whatever comes, the runner has to go on living, and a canary, an actor that nobody
// touched, has to go on answering; a runner may close the socket, if it comes back.
//
// Mutator makes the frames and is pure. Target, which the command gives, is where they go. A campaign is bounded, and the same
// seed sends the same frames. Nothing here is safe for concurrent use.
package fuzz
