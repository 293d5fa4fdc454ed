package broken

// lanes are mistakes with WebTransport: its streams, its datagrams, and sessions that go from one transport to another.
func lanes() []Mutant {
	return []Mutant{
		mutant("one-stream-for-all", "sends the frames of all connections on the stream of channel 0", "GWT-01", always(
			"one-stream-for-all", session+"lane.go", `case ch == nil || ch == &s.own || s.socket.streams == nil`, `:`,
		)),
		mutant("early-streams-reset", "resets streams that come before Hello", "GWT-01", first(
			"early-streams-reset", api+"webtransport.go", "select {\n\tcase <-s.a.Begun():", `select { case <-s.a.Begun(): default: l.Reset(); s.drop(l); return }`,
		)),
		mutant("any-session-taken", "takes WebTransport sessions of any subprotocol", "GWT-02",
			never("any-session-taken", api+"webtransport.go", `if err != nil || !known`, ` {`)),
		mutant("foreign-frames-taken", "takes frames from the stream of another connection", "GWT-03",
			never("foreign-frames-taken", session+"branch.go", `if n := connectionIn(m); n != b.ch.number`, ` {`)),
		mutant("broken-streams-unsaid", "does not say why it resets a stream", "GWT-04",
			unless("broken-streams-unsaid", session+"branch.go", `a.fault(wire.RequestInvalidFrame.Newf("Framing: %v.", err))`)),
		mutant("connections-on-channel-0", "takes a connection's frames from the stream of channel 0", "GWT-05",
			never("connections-on-channel-0", session+"receive.go", `if n := connectionIn(m); n != 0 && a.streams != nil`, ` {`)),
		mutant("strange-streams-unsaid", "does not say which frames a stream begins with", "GWT-06",
			unless("strange-streams-unsaid", session+"branch.go", `b.of.fault(wire.RequestInvalidFrame.Newf("A stream begins with Hello, ConnectionOpen or ConnectionResume."))`)),
		mutant("streams-left-open", "does not end the stream of a connection that has ended", "GWT-07",
			never("streams-left-open", session+"channel.go", `if ch.stream != nil && !ch.queued`, ` {`)),
		mutant("leaving-streams-kept", "keeps a connection whose client has ended its stream", "GWT-07",
			unless("leaving-streams-kept", session+"branch.go", `s.sessions.later(func() { conn.Close(nil) })`)),
		mutant("stream-losses-unmended", "sends nothing again of a connection that goes on over another stream", "GWT-08 GTRN-01 GTRN-03",
			never("stream-losses-unmended", session+"rejoin.go", `case ch.kept.frames > 0`, `:`)),
		mutant("stream-frames-denied", "says that it got nothing of a connection that goes on", "GWT-08", patch{
			session + "rejoin.go", `Frames: ch.received.frames}`, `Frames: map[bool]uint64{false: ch.received.frames}[wrong("stream-frames-denied")]}`,
		}),
		mutant("lost-streams-unmissed", "keeps a connection that has lost its stream for good", "GWT-09",
			unless("lost-streams-unmissed", session+"rejoin.go", `s.sessions.later(func() { conn.Close(wire.ConnectionClosed.New()) })`)),
		mutant("strays-kept", "waits for a connection's stream as long as it takes", "GWT-10",
			unless("strays-kept", session+"rejoin.go", `s.lose(ch)`)),
		mutant("forgotten-channels-misnamed", "says of a connection that it has forgotten that the count is wrong", "GWT-11", patch{
			session + "rejoin.go", `ch == nil && !s.numbers.free(n):`, `ch == nil && !s.numbers.free(n) && !(wrong("forgotten-channels-misnamed") && frames > 0):`,
		}),
		mutant("unread-streams-fatal", "ends the session of a client that does not read one connection", "GWT-12", patch{
			api + "lane.go", "func (l *lane) Send(message []byte) bool {\n", "func (l *lane) Send(message []byte) bool {\n\tif wrong(\"unread-streams-fatal\") && l.Backlog() > 1<<20 { return false }\n",
		}),
		mutant("closes-unnamed", "closes WebTransport sessions without code and reason", "GWT-13 GWT-05",
			behind("closes-unnamed", api+"parting.go", `code, reason := closeCode(e)`, `code, reason = 0, ""`)),
		mutant("farewells-unsent", "closes WebTransport sessions without Goodbye", "GWT-13 GWT-05",
			behind("farewells-unsent", api+"parting.go", `s.closing = true`, `farewell = nil`)),
		mutant("datagrams-as-frames", "takes any frame from a datagram", "GWT-14", first(
			"datagrams-as-frames", session+"branch.go", "switch f.Kind {\n\tcase wire.ClientPing:", `if f.Kind != wire.ClientPing { s.reading.Lock(); a.frame(data, nil); s.reading.Unlock(); return }`,
		)),
		mutant("datagrams-answered-elsewhere", "answers a Ping that came as a datagram on channel 0", "GWT-14", first(
			"datagrams-answered-elsewhere", session+"branch.go", `a.streams.Datagram(a.form.append(nil, pong)[wire.HeaderLen:])`, `s.send(nil, pong); return`,
		)),
		mutant("first-pings-framed", "sends no Ping as a datagram", "GWT-15",
			never("first-pings-framed", session+"session.go", `if first && a.streams != nil`, ` {`)),
		mutant("pings-lost", "sends every Ping as a datagram", "GWT-15",
			patch{session + "session.go", `if first && a.streams != nil`, `if (first || wrong("pings-lost")) && a.streams != nil`}),
		mutant("lost-opens-refused", "does not go on with a connection whose open was lost", "GWT-16",
			first("lost-opens-refused", session+"rejoin.go", `s.await(b, n)`, `return wire.ConnectionNotFound.New()`)),
		mutant("no-event-as-datagram", "sends unreliable events on streams", "GWT-17",
			patch{session + "unreliable.go", `case s.socket.streams != nil:`, `case s.socket.streams != nil && !wrong("no-event-as-datagram"):`}),
	}
}

// loose are mistakes with unreliable events.
func loose() []Mutant {
	return []Mutant{
		mutant("loose-counted", "counts unreliable events", "GUNR-01",
			first("loose-counted", session+"unreliable.go", `s.pass(nil, frame.Bytes, nil)`, `s.pass(ch, frame.Bytes, frame); return`)),
		mutant("loose-to-everybody", "sends unreliable events as such to who does not know them", "GUNR-02",
			always("loose-to-everybody", session+"unreliable.go", "if s.loose", " {\n\t\tform")),
		mutant("loose-kept", "keeps unreliable events for a client without socket", "GUNR-03",
			first("loose-kept", session+"unreliable.go", `if to == nil || ch.queued || to.Backlog() > maxUnread {`, `if to == nil { s.pass(ch, frame.Bytes, frame); return }`)),
		mutant("loose-unheld", "lets unreliable events leave before the commit that covers them", "GUNR-04"),
	}
}
