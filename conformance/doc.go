// Package conformance holds the requirements suite: it says of any runner, in whatever language, whether it keeps the runner
// protocol, and of any gateway whether it does its part.
//
// The suite is a gateway of its own (package vgw) that runners dial. It reads cases (cases/*.yaml by package casefile), runs
// them (package engine), looks at the whole traffic besides (package monitor) and comes to a verdict (package verdict). It
// shares nothing with our gateway and SDKs but the generated messages, since it must not share their misreadings; only the
// contract app of an SDK (adapters/) imports that SDK.
//
// This package itself holds the cases and the text that they were written for, embedded, so that the command is one file.
package conformance
