package broken

// clients are mistakes with what a client's socket brings.
func clients() []Mutant {
	return []Mutant{
		mutant("hello-required", "begins no session without Hello", "GCLI-01", patch{
			session + "receive.go", "\tif s == nil {\n\t\tif !a.hello(", "\tif s == nil {\n\t\tif wrong(\"hello-required\") { a.Leave(wire.RequestInvalid.New()); return false }\n\t\tif !a.hello(",
		}),
		mutant("second-hello-fatal", "ends a session for a second Hello", "GCLI-19", first(
			"second-hello-fatal", session+"receive.go",
			`a.fault(wire.RequestInvalid.Newf("A session has one Hello, and it comes first."))`,
			`a.Leave(wire.RequestInvalid.New()); return false`,
		)),
		mutant("any-subprotocol-taken", "takes sockets of any subprotocol", "GCLI-02",
			patch{api + "websocket.go", `return "", false`, `return "", wrong("any-subprotocol-taken")`}),
		mutant("call-numbers-unread", "takes a call whose number is in use", "GCLI-03",
			never("call-numbers-unread", session+"call.go", `case s.calls[c.Tag] != nil`, `:`)),
		mutant("both-targets-taken", "takes calls with both connection and target", "GCLI-04",
			never("both-targets-taken", session+"call.go", `case m.Connection != 0 && (m.Target != nil || m.TargetID != "")`, `:`)),
		mutant("connection-numbers-unread", "takes connections under any number", "GCLI-05",
			never("connection-numbers-unread", session+"connection.go", `case !s.numbers.free(n)`, `:`)),
		mutant("connection-numbers-grow", "refuses a connection number that is lower than one before", "GCLI-05 GTRN-01",
			never("connection-numbers-grow", session+"numbers.go", `return in`, ` || n > u.highest`)),
		mutant("no-connection-as-closed", "says of a connection that was never there that it was closed", "GCLI-20", first(
			"no-connection-as-closed", session+"call.go", `return wire.ConnectionNotFound.Newf("The session has no open connection %d.", m.Connection)`, `return wire.ConnectionClosed.New()`,
		)),
		mutant("cancels-on-channel-0", "counts the CancelCall of a connection's call on channel 0", "GCLI-21", patch{
			session + "receive.go", "s.count(m.GetConnection(), size)\n\t\ts.cancel(", "s.count(map[bool]uint64{false: m.GetConnection()}[wrong(\"cancels-on-channel-0\")], size)\n\t\ts.cancel(",
		}),
		mutant("garbage-fatal", "ends a session for a frame that cannot be read", "GCLI-06", patch{
			session + "form.go", "\t\ta.unreadable(from.channel(0), size)\n\t\ta.fault(", "\t\tif wrong(\"garbage-fatal\") { a.Leave(wire.RequestInvalidFrame.New()); return false }\n\t\ta.unreadable(from.channel(0), size)\n\t\ta.fault(",
		}),
		mutant("client-framing-unsaid", "leaves a client without a word where framing is wrong", "GCLI-07", first(
			"client-framing-unsaid", session+"form.go",
			`a.Close(wire.RequestInvalidFrame.Newf("Framing: %v.", err)`, `a.out.Finish(nil, nil); return false`,
		)),
		mutant("client-kinds-unanswered", "does not answer a client's frames of unknown kinds", "GCLI-08",
			unless("client-kinds-unanswered", session+"form.go", `a.answer(&commonv1alpha1.Unsupported{Kind: uint32(f.Kind), Number: wire.NumberAt(f.Body, 1)})`)),
		mutant("bad-json-fatal", "ends a session for a message that is no JSON", "GCLI-09", first(
			"bad-json-fatal", session+"form.go", `a.answer(&clientv1alpha1.ProtocolError{Error: bad.Err.Proto()})`, `a.Leave(bad.Err); return`,
		)),
		mutant("silent-clients-kept", "keeps clients that say nothing", "GCLI-10",
			unless("silent-clients-kept", session+"attachment.go", `a.Leave(wire.SessionHelloTimedOut.New())`)),
		mutant("arrived-repeated", "sends a client again what it has", "GCLI-11 GTRN-02",
			unless("arrived-repeated", session+"resume.go", `s.forget(ch, frames)`)),
		mutant("tokens-kept", "takes a resume token again and again", "GCLI-12",
			patch{session + "resume.go", `(token == s.resume.token || token == s.resume.taken)`, `(wrong("tokens-kept") || token == s.resume.token || token == s.resume.taken)`},
			unless("tokens-kept", session+"resume.go", `s.sessions.void(s.resume.taken)`),
			unless("tokens-kept", session+"sessions.go", "delete(all.tokens, old)"),
		),
		mutant("unknown-tokens-rejected", "rejects a client whose session it does not know", "GCLI-13", patch{
			session + "attachment.go", "case s == nil:\n\t\tcase s.form", "case s == nil && wrong(\"unknown-tokens-rejected\"):\n\t\t\treturn a.reject(wire.RequestInvalid.New())\n\t\tcase s == nil:\n\t\tcase s.form",
		}),
		mutant("client-acks-unread", "takes an Ack of more than a client was sent", "GCLI-14",
			patch{session + "channel.go", `case ch == nil || r.GetFrames() > ch.sent:`, `case ch == nil || r.GetFrames() > ch.sent && !wrong("client-acks-unread"):`}),
		mutant("clients-unacknowledged", "acknowledges nothing of a client's", "GCLI-22",
			patch{session + "channel.go", `if s.socket == nil || ch.received == ch.told {`, `if s.socket == nil || ch.received == ch.told || wrong("clients-unacknowledged") {`}),
		mutant("connections-outlive-session", "keeps the connections of a session that has ended", "GCLI-15 GSESS-03 GSESS-05",
			unless("connections-outlive-session", session+"session.go", `c.Close(wire.ConnectionClosed.New())`)),
		mutant("long-arguments-taken", "takes arguments over the limit", "GCLI-16",
			never("long-arguments-taken", session+"call.go", `case len(m.Args) > l.MaxArgs`, `:`)),
		mutant("idempotency-ignored", "takes calls with an idempotency key, and does not read it", "GCLI-17",
			never("idempotency-ignored", session+"call.go", `case len(m.IdempotencyKey) > 0`, `:`)),
		mutant("long-messages-taken", "takes messages over the limit", "GCLI-18",
			patch{api + "api.go", `newUpgraders(cfg.Session.Limits.MaxFrame)`, `newUpgraders(map[bool]int{false: cfg.Session.Limits.MaxFrame, true: 1 << 30}[wrong("long-messages-taken")])`},
			patch{session + "form.go", `wire.NextFrame(data, a.sessions.cfg.Limits.MaxFrame)`, `wire.NextFrame(data, map[bool]int{false: a.sessions.cfg.Limits.MaxFrame, true: 1 << 30}[wrong("long-messages-taken")])`},
		),
	}
}

// sessions are mistakes with a client's session.
func sessions() []Mutant {
	return []Mutant{
		mutant("client-pings-unanswered", "answers no Ping of a client", "GSESS-01",
			unless("client-pings-unanswered", session+"receive.go", `s.send(nil, &clientv1alpha1.Pong{Nonce: m.GetNonce(), NowMs: time.Now().UnixMilli()})`)),
		mutant("clients-unpinged", "sends no Ping to a client that says nothing", "GSESS-02",
			unless("clients-unpinged", session+"attachment.go", `s.ping(a, quiet < 2*every)`)),
		mutant("slow-readers-kept", "loses what a client does not read, and keeps its session", "GSESS-03",
			first("slow-readers-kept", session+"session.go", `s.cfg.Stats.Limit(stats.MaxSessionQueue)`, `return`)),
		mutant("kept-unbounded", "keeps all that it has sent", "GSESS-04",
			never("kept-unbounded", session+"channel.go", `if ch.kept.bytes > s.cfg.Limits.MaxChannelKept`, ` {`)),
		mutant("goodbyes-unheard", "keeps the session of a client that said Goodbye", "GSESS-05",
			patch{session + "receive.go", "a.out.Finish(nil, nil)\n\t\ts.end()", "a.out.Finish(nil, nil)\n\t\tif !wrong(\"goodbyes-unheard\") { s.end() }"}),
		mutant("superseded-sockets-kept", "leaves the first socket open when a client goes on over another", "GSESS-06",
			unless("superseded-sockets-kept", session+"resume.go", `old.out.Cut(goodbye(s.form, e, commonv1alpha1.Reconnect_RECONNECT_NEVER), e)`)),
		mutant("calls-unbounded", "gives an actor any number of calls at once", "GSESS-07",
			always("calls-unbounded", route+"call.go", `if len(inc.calls)+len(inc.opens) < int(inc.maxCalls)`, ` {`)),
	}
}

// requests are mistakes of HTTP.
func requests() []Mutant {
	return []Mutant{
		mutant("creations-as-found", "answers a creation as if the actor had been there", "GHTTP-01",
			unless("creations-as-found", api+"actors.go", `status = http.StatusCreated`)),
		mutant("one-page", "ends a listing with its first page", "GHTTP-02",
			patch{api + "actors.go", `"cursor": next}`, `"cursor": map[bool]string{false: next}[wrong("one-page")]}`}),
		mutant("content-types-unread", "takes any body for JSON", "GHTTP-03",
			first("content-types-unread", api+"body.go", `return "", wire.RequestUnsupportedMediaType`, `return mediaJSON, nil`)),
		mutant("accept-unread", "answers every request in JSON", "GHTTP-03", patch{
			api + "body.go", "func wantsCBOR(r *http.Request) bool {\n", "func wantsCBOR(r *http.Request) bool {\n\tif wrong(\"accept-unread\") { return false }\n",
		}),
		mutant("deadlines-unread", "does not read the deadline of a call over HTTP", "GHTTP-04",
			behind("deadlines-unread", api+"action.go", `text := parameter(r, "deadlineMs", "Stagedoor-Deadline-Ms")`, `text = ""`)),
		mutant("metadata-empty", "does not say what it is", "GHTTP-05", first(
			"metadata-empty", api+"meta.go", `h.reply(w, r, http.StatusOK, about)`, `about = map[string]any{}`,
		)),
		mutant("own-origin-refused", "refuses requests from its own origin", "GHTTP-06",
			never("own-origin-refused", api+"cors.go", `strings.EqualFold(u.Host, r.Host)`, "\n")),
		mutant("foreign-origins-served", "serves those whose origin may not ask", "GHTTP-06", patch{
			api + "cors.go", "if !h.allowed(origin, r) {\n", "if !h.allowed(origin, r) {\n\t\tif wrong(\"foreign-origins-served\") { return true }\n",
		}),
		mutant("http3-otherwise", "answers what it cannot do by another status over HTTP/3", "GHTTP-08", patch{
			api + "body.go", "status int, v any) {\n", "status int, v any) {\n\tif wrong(\"http3-otherwise\") && r.ProtoMajor == 3 && status >= 400 { status = 500 }\n",
		}),
		mutant("hooks-skipped", "destroys actors from outside without their hook", "GHTTP-07",
			patch{route + "ensure.go", `if info.State == idle.String() && !`, `if wrong("hooks-skipped") || info.State == idle.String() && !`}),
	}
}

// values are mistakes with addresses and JSON.
func values() []Mutant {
	return []Mutant{
		mutant("segments-decoded-first", "splits the segment of an address when it is decoded", "GADR-01",
			first("segments-decoded-first", api+"api.go", `addr, id, err := address.ParseSegment(segment, namespace)`, `segment = unescaped(segment)`)),
		mutant("ids-of-another-partition", "gives ids of another partition than that of the key", "GADR-02",
			patch{"gateway/address/id.go", `binary.BigEndian.PutUint16(raw[0:2], partition)`, `if wrong("ids-of-another-partition") { partition ^= 1 }; binary.BigEndian.PutUint16(raw[0:2], partition)`}),
		mutant("large-integers-as-numbers", "writes integers as numbers that JavaScript cannot hold", "GJSON-01",
			patch{"internal/jsoncbor/tojson.go", `big := arg > maxSafe || negative && arg >= maxSafe`, `big := !wrong("large-integers-as-numbers") && (arg > maxSafe || negative && arg >= maxSafe)`}),
		mutant("lookalikes-unmarked", "does not tell an array from a form that looks the same", "GJSON-02",
			never("lookalikes-unmarked", "internal/jsoncbor/tojson.go", `if escaped && done == 0`, ` {`)),
		mutant("limits-on-json", "measures limits on the JSON", "GJSON-03", patch{
			api + "body.go", "if media == mediaJSON {\n", "if media == mediaJSON && wrong(\"limits-on-json\") && len(raw) > h.limits.MaxArgs { return b, wire.RequestTooLarge.New() }\n\tif media == mediaJSON {\n",
		}),
		mutant("first-connections-unopened", "opens no connection for a socket at an actor's address", "GJSON-04",
			patch{api + "websocket.go", `if first == nil || a.OpenFirst(first) {`, `if first == nil || wrong("first-connections-unopened") || a.OpenFirst(first) {`}),
	}
}
