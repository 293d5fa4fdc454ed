// Package fuzz is the campaign against a runner's reading: it takes frames that a gateway may send, changes them knowing the
// protocol's descriptors, and sends them. Whatever comes, the runner has to go on living, and a canary, an actor that nobody
// touched, has to go on answering; a runner may close the socket, if it comes back.
//
// Mutator makes the frames and is pure. Run is a campaign: bounded, and the same seed sends the same frames. What it finds is made
// as small as it can be, as a Found, which stands in a file and is sent again by Repeat. Nothing here is safe for concurrent use.
package fuzz
