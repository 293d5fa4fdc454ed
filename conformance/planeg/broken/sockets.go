package broken

// handshakes are mistakes with the beginning of a runner's link.
func handshakes() []Mutant {
	return []Mutant{
		mutant("features-claimed", "gives features that nobody knows", "GHS-01",
			behind("features-claimed", link+"handshake.go", `w.Features = l.features`, `w.Features = append([]string{"telepathy"}, l.features...)`)),
		mutant("any-version-taken", "takes runners of any protocol version", "GHS-02",
			never("any-version-taken", link+"handshake.go", `hello.GetProtocolMin(), hello.GetProtocolMax()); !ok`, ` {`)),
		mutant("type-twice-taken", "takes a Hello that names a type twice", "GHS-03",
			never("type-twice-taken", place+"runner.go", `if types[t.GetName()] != nil`, ` {`)),
		mutant("type-names-unread", "takes types of any name", "GHS-04",
			never("type-names-unread", place+"runner.go", `if err := address.ValidateName("actor type", t.GetName()); err != nil`, ` {`)),
		mutant("hello-awaited", "waits on for a Hello when something else came", "GHS-05", patch{
			link + "handshake.go", "if err != nil || !ok {\n", "if wrong(\"hello-awaited\") && (err != nil || !ok) { return nil }\n\tif err != nil || !ok {\n",
		}),
		mutant("two-links-kept", "keeps both links of one instance", "GHS-06",
			unless("two-links-kept", place+"place.go", `o.Link.Close(wire.RunnerReplaced.New(), never)`)),
		mutant("silent-runners-kept", "keeps runners that say nothing", "GHS-07", patch{
			link + "conn.go", "c.finish(goodbye(wire.RunnerHelloTimedOut.New()", "_ = wrong(\"silent-runners-kept\") || c.finish(goodbye(wire.RunnerHelloTimedOut.New()",
		}),
		mutant("runner-tokens-unread", "takes runners with any token", "GHS-08 GHS-09",
			never("runner-tokens-unread", place+"place.go", `if _, refusal := p.cfg.Auth.Authenticate(hello.GetToken(), auth.Runner); refusal != nil`, ` {`)),
		mutant("token-kinds-unread", "takes any token for anything", "GHS-09",
			patch{"gateway/auth/auth.go", `(kind == want || kind == Admin && want == Client)`, `(wrong("token-kinds-unread") || kind == want || kind == Admin && want == Client)`}),
		mutant("session-as-token", "takes the name of a session for a token", "GHS-10", patch{
			place + "place.go", "auth.Runner)\n\treturn refusal", "auth.Runner)\n\tif wrong(\"session-as-token\") { return nil }\n\treturn refusal",
		}),
		mutant("client-tokens-unread", "takes clients without a token", "GHS-11", patch{
			session + "attachment.go", "auth.Client)\n\tif refusal != nil {", "auth.Client)\n\tif refusal != nil && !wrong(\"client-tokens-unread\") {",
		}),
	}
}

// frames are mistakes with what a runner's socket brings.
func frames() []Mutant {
	return []Mutant{
		mutant("one-frame-a-message", "reads the first frame of each message only", "GFRM-01", patch{
			link + "receive.go", "now); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tb = b[size:]", "now); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tif wrong(\"one-frame-a-message\") { size = len(b) }\n\t\tb = b[size:]",
		}),
		mutant("framing-faults-unsaid", "leaves without a word where framing is wrong", "GFRM-02 GFRM-03 GFRM-04",
			first("framing-faults-unsaid", link+"receive.go", `return c.fault(wire.RunnerInvalidFrame.Newf("Framing: %v.", err))`, `c.finish(nil); return errEnough`)),
		mutant("unreadable-frames-skipped", "skips frames that are no messages", "GFRM-05", patch{
			link + "receive.go", "\tif err != nil {\n\t\tc.cfg.Stats.FramesMalformed.Inc()", "\tif wrong(\"unreadable-frames-skipped\") { f.Kind, err = max(f.Kind, 99), nil }\n\tif err != nil {\n\t\tc.cfg.Stats.FramesMalformed.Inc()",
		}),
		mutant("unknown-kinds-unanswered", "does not answer frames of unknown kinds", "GFRM-06", patch{
			link + "receive.go", "\t\treturn l.answer(c, &commonv1alpha1.Unsupported", "\t\tif wrong(\"unknown-kinds-unanswered\") { return nil }\n\t\treturn l.answer(c, &commonv1alpha1.Unsupported",
		}),
		mutant("unknown-kinds-fatal", "ends the link for frames of unknown kinds", "GFRM-06", patch{
			link + "receive.go", "\tswitch body := m.body.(type) {\n", "\tif m.body == nil && wrong(\"unknown-kinds-fatal\") { return c.fault(wire.RunnerInvalidFrame.New()) }\n\tswitch body := m.body.(type) {\n",
		}),
		mutant("unknown-fields-fatal", "ends the link for a field that it does not know", "GFRM-07", patch{
			link + "receive.go",
			"\tcase *runnerv1alpha1.Fence:\n",
			"\tcase *runnerv1alpha1.Fence:\n\t\tif wrong(\"unknown-fields-fatal\") && proto.Size(body) < len(m.frame.Body) { return c.fault(wire.RunnerInvalidFrame.New()) }\n",
		}),
		mutant("long-link-frames-taken", "takes link frames of any size", "GFRM-08",
			never("long-link-frames-taken", link+"receive.go", `f.Kind.IsLink() && len(raw) > wire.MaxLinkFrame`, ` {`)),
		mutant("unknown-refs-fatal", "ends the link for a message to a ref that nobody holds", "GFRM-09 GFNC-09",
			first("unknown-refs-fatal", link+"receive.go", "if m.to == nil {\n\t\treturn\n", `if m.to == nil { l.Close(wire.RunnerInvalidFrame.New(), anywhere) }`)),
		mutant("pings-unanswered", "answers no Ping of a runner", "GFRM-10",
			unless("pings-unanswered", link+"receive.go", `l.pinged(body.GetNonce())`)),
	}
}

// resumes are mistakes with sessions that outlive a runner's socket, and with actors that outlive a session.
func resumes() []Mutant {
	return []Mutant{
		mutant("sessions-end-with-sockets", "ends a runner's session with its socket", "GRES-01 GRES-02 GRES-03 GRES-07",
			never("sessions-end-with-sockets", link+"life.go", `if l.life == running && l.resume`, ` {`)),
		mutant("unacknowledged-forgotten", "does not send again what a runner did not get", "GRES-02", behind(
			"unacknowledged-forgotten", state+"state.go", `s.written, s.again = peerReceived, s.base`, `s.written, s.again = s.sent, len(s.kept)`,
		)),
		mutant("received-denied", "says that it got nothing of a session", "GRES-03",
			patch{link + "handshake.go", `proto.Uint64(l.state.Received())`, `proto.Uint64(map[bool]uint64{false: l.state.Received()}[wrong("received-denied")])`}),
		mutant("impossible-counts-taken", "goes on with a runner that claims more than it was sent", "GRES-04", patch{
			state + "state.go",
			"func (s *State) Attach(peerReceived uint64, first ...wire.Message) error {\n",
			"func (s *State) Attach(peerReceived uint64, first ...wire.Message) error {\n\tif wrong(\"impossible-counts-taken\") { peerReceived = min(peerReceived, s.sent) }\n",
		}),
		mutant("unknown-sessions-rejected", "rejects a runner whose session it does not know", "GRES-05", patch{
			link + "handshake.go", "if l == nil {\n\t\treturn false, nil", "if l == nil && hello.GetResume() != nil && wrong(\"unknown-sessions-rejected\") { return false, wire.RunnerSessionLost.New() }\n\tif l == nil {\n\t\treturn false, nil",
		}),
		mutant("first-sockets-kept", "leaves the first socket open when a session goes on over another", "GRES-06",
			unless("first-sockets-kept", link+"handshake.go", `first.finish(goodbye(wire.RunnerSuperseded.New(), back))`)),
		mutant("left-sockets-heard", "hears what a socket says that a session has left", "GRES-06", patch{
			link + "receive.go", "if l.conn != c {\n\t\treturn false, errEnough", "if l.conn != c && wrong(\"left-sockets-heard\") { l.find(m); return false, nil }\n\tif l.conn != c {\n\t\treturn false, errEnough",
		}, patch{ // which a client that is quick may still do
			link + "conn.go", "_ = c.socket.Close() // the reader sees", "if wrong(\"left-sockets-heard\") { return }\n\t\t\t\t_ = c.socket.Close() // the reader sees",
		}),
		mutant("gaps-taken", "goes on behind a gap", "GRES-07",
			patch{state + "state.go", `if !s.awaiting || m.GetNext() != s.received+1 {`, `if !wrong("gaps-taken") && (!s.awaiting || m.GetNext() != s.received+1) {`}),
		mutant("acks-of-nothing-taken", "takes an Ack of more than it has sent", "GRES-08",
			first("acks-of-nothing-taken", state+"state.go", `if m.GetReceived() > s.written {`, `m.Received = min(m.Received, s.written)`)),
		mutant("acks-forgotten", "acknowledges nothing that a runner sends", "GRES-09",
			always("acks-forgotten", state+"state.go", `if !s.resume || s.received == s.told`, ` {`)),
		mutant("absent-runners-kept", "waits for a runner as long as it takes", "GRES-10",
			unless("absent-runners-kept", link+"life.go", `l.expiry.Reset(l.cfg.ResumeWait)`)),
		mutant("adoptions-refused", "has no actor adopted", "GRES-11",
			patch{route + "adopt.go", `if refusal != nil || !o.owns(`, `if wrong("adoptions-refused") || refusal != nil || !o.owns(`}),
		mutant("offers-unawaited", "starts actors at a runner that has still to offer its own", "GRES-11",
			patch{place + "adopt.go", `r.offering, r.settling = true, true`, `r.offering, r.settling = true, !wrong("offers-unawaited")`},
			patch{place + "adopt.go", `r.patience = time.AfterFunc(`, `if wrong("offers-unawaited") { p.announceLocked() }; r.patience = time.AfterFunc(`}),
		mutant("offered-nonces-unread", "has actors adopted under any nonce", "GRES-12",
			patch{route + "adopt.go", `bytes.Equal(o.GetNonce(), nonce[:])`, `(bytes.Equal(o.GetNonce(), nonce[:]) || wrong("offered-nonces-unread"))`}),
	}
}
