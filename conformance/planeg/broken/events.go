package broken

// streams are mistakes with server-sent events.
func streams() []Mutant {
	return []Mutant{
		mutant("event-streams-deaf", "subscribes event streams to nothing", "GSSE-01",
			unless("event-streams-deaf", api+"events.go", `open.Subscriptions = r.URL.Query()["event"]`)),
		mutant("event-names-unread", "has events of any name in event streams", "GSSE-01",
			patch{session + "sse.go", `return utf8.ValidString(name)`, `return wrong("event-names-unread") || utf8.ValidString(name)`}),
		mutant("event-streams-begun-early", "has an event stream say that its connection was refused", "GSSE-02", patch{
			session + "sse.go", "if !t.begun {\n", "if !t.begun && !wrong(\"event-streams-begun-early\") {\n",
		}),
		mutant("event-streams-forgotten", "begins each event stream anew", "GSSE-03",
			behind("event-streams-forgotten", api+"events.go", `last := lastEventID(r)`, `last = ""`)),
		mutant("events-repeated", "sends a client the last event again that it has", "GSSE-03",
			first("events-repeated", session+"sse.go", `t.frames = frames`, `frames--`)),
		mutant("event-streams-of-anything", "goes on with an event stream whatever is asked for", "GSSE-04", patch{
			session + "sse.go", `return of.ID == open.GetTargetId()`, `return wrong("event-streams-of-anything") || of.ID == open.GetTargetId()`,
		}),
		mutant("event-streams-unpinged", "sends no comment in an event stream", "GSSE-05",
			first("event-streams-unpinged", api+"events.go", `return c.send([]byte(": ping`, `return nil`)),
	}
}
