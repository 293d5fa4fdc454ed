package broken

// connections are mistakes with clients and events.
func connections() []Mutant {
	return []Mutant{
		{"forgets-on-disconnect", "does not run onDisconnect", []string{"CONN-4", "CONN-7"}, []patch{unless(
			"forgets-on-disconnect", app+"data.go",
			`runner.OnDisconnect(t, attend("onDisconnect", "disconnect ", func(p params) plan { return p.Disconnect }))`,
		)}},
		{"on-disconnect-twice", "runs onDisconnect twice", []string{"CONN-4"}, []patch{first(
			"on-disconnect-twice", app+"data.go",
			`return r.enter(ctx, entry+conn.ID(), pick(p), hook, conn)`,
			`if hook == "onDisconnect" { _ = r.enter(ctx, entry+conn.ID(), nil, hook, conn) }`,
		)}},
		{"forgets-on-connect", "does not run onConnect", []string{"CONN-1"}, []patch{unless(
			"forgets-on-connect", app+"data.go",
			`runner.OnConnect(t, attend("onConnect", "connect ", func(p params) plan { return p.Connect }))`,
		)}},
		{"refusals-swallowed", "accepts connections whose hooks have failed", []string{"CONN-2"}, []patch{first(
			"refusals-swallowed", app+"data.go",
			`return cmp.Or(write(r.KV(), &r.State().Seq, entry), p.follow(ctx, hook, r, conn))`,
			`_ = write(r.KV(), &r.State().Seq, entry); _ = p.follow(ctx, hook, r, conn); return nil`,
		)}},
		{"connection-state-shared", "keeps one state for all connections", []string{"CONN-6"}, []patch{first(
			"connection-state-shared", app+"data.go",
			`return own(r.Conn(ctx), func(conn *roomConn) { conn.State().V = v })`,
			`for conn := range r.Conns() { conn.State().V = v }`,
		)}},
		{"sender-left-out", "broadcasts to all but the caller's connection", []string{"CONN-3"}, []patch{first(
			"sender-left-out", app+"data.go",
			`e.Broadcast(name, v); return nil })`,
			`e.BroadcastExcept(name, []*bare{e.Conn(ctx)}, v); return nil`,
		), {
			app + "data.go",
			`do2(t, "broadcast", func(e *events, _ turn, name string, v any) error {`,
			`do2(t, "broadcast", func(e *events, ctx turn, name string, v any) error {`,
		}}},
		{"unreliable-unbounded", "sends unreliable events of any size", []string{"CONN-11"}, []patch{{
			sdk + "event.go",
			`m.Unreliable && size > wire.MaxUnreliableEvent {`,
			`m.Unreliable && size > wire.MaxUnreliableEvent && !wrong("unreliable-unbounded") {`,
		}}},
		{"disconnected-stays-visible", "still lists a connection that it has closed", []string{"CONN-4"}, []patch{first(
			"disconnected-stays-visible", sdk+"connection.go",
			"in.removeConn(&c.connection)\n\tif c.ref != 0 {",
			`in.hold(newConnOutput(&c.connection, nil, clip(reason, maxMessage))); return`,
		)}},
		{"destroys-without-on-disconnect", "destroys an actor without onDisconnect of its connections", []string{"LIFE-6", "CONN-4"}, []patch{{
			sdk + "sleep.go",
			"if in.def.onDisconnect == nil {\n\t\treturn\n\t}\n\tin.leave(t)",
			"if in.def.onDisconnect == nil || wrong(\"destroys-without-on-disconnect\") {\n\t\treturn\n\t}\n\tin.leave(t)",
		}}},
		{"groups-unbounded", "sends all outputs of a turn in one group", []string{"GATE-4"}, []patch{first(
			"groups-unbounded", sdk+"flush.go",
			"l := &in.sess().limits\n\treturn len(in.held) >= l.MaxGroupOutputs",
			`return false`,
		), behind(
			"groups-unbounded", sdk+"commit.go",
			`n, cost := in.sess().portion(size, outputs)`,
			`n = len(outputs)`,
		)}},
	}
}

// stores are mistakes with KV.
func stores() []Mutant {
	return []Mutant{
		{"own-writes-unseen", "does not see in a turn what the turn has written", []string{"KV-3"}, []patch{first(
			"own-writes-unseen", app+"data.go",
			`return s.get(ctx, key, s.KV().Put(key, value))`,
			`before, err := s.get(ctx, key, nil); return before, cmp.Or(err, s.KV().Put(key, value))`,
		), first(
			"own-writes-unseen", app+"data.go",
			`return s.list(ctx, runner.ListOptions{Prefix: prefix}, s.KV().Put(key, value))`,
			`before, err := s.list(ctx, runner.ListOptions{Prefix: prefix}, nil); return before, cmp.Or(err, s.KV().Put(key, value))`,
		)}},
		{"list-unsorted", "lists in another order than that of the bytes", []string{"KV-1"}, []patch{first(
			"list-unsorted", app+"data.go",
			`return found, cmp.Or(before, err)`,
			`for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 { found[i], found[j] = found[j], found[i] }`,
		)}},
		{"range-inclusive", "lists the end of a range with it", []string{"KV-4"}, []patch{first(
			"range-inclusive", app+"data.go",
			`return s.list(ctx, runner.ListOptions{From: from, Until: until, Reverse: reverse, Limit: limit}, nil)`,
			`until = append(until, 0)`,
		)}},
		{"limit-unread", "lists more than it was asked for", []string{"KV-4"}, []patch{first(
			"limit-unread", app+"data.go",
			`list, err := s.KV().List(ctx, opts)`,
			`opts.Limit = 0`,
		)}},
		{"prefix-as-start", "lists everything from a prefix on", []string{"KV-4"}, []patch{first(
			"prefix-as-start", app+"data.go",
			`return s.list(ctx, runner.ListOptions{Prefix: prefix, Reverse: reverse, Limit: limit}, nil)`,
			`return s.list(ctx, runner.ListOptions{From: prefix, Reverse: reverse, Limit: limit}, nil)`,
		)}},
		{"batch-in-pieces", "commits a batch in several commits", []string{"KV-2"}, []patch{first(
			"batch-in-pieces", app+"data.go",
			`return s.KV().Batch(ops...)`,
			`for _, op := range ops { if err := s.KV().Batch(op); err != nil { return err }; s.Flush() }; return nil`,
		)}},
		{"keys-as-text", "takes keys for text", []string{"KV-1"}, []patch{first(
			"keys-as-text", app+"data.go",
			`return s.KV().Put(key, value) })`,
			`key = []byte(strings.ToValidUTF8(string(key), "?"))`,
		)}},
	}
}
