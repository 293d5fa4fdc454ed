package broken

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stagedoor-dev/stagedoor/conformance/overlay"
)

// Where what TypeScript is compiled to stands.
const (
	appJS = "conformance/adapters/runner-js/dist/"
	sdkJS = "runner-js/dist/"
)

// javascript are mistakes of the table in the JavaScript runner, by their names. The Go one and it have nothing in common but the
// protocol, so that a case which finds a mistake in both does not look for one of its traces.
func javascript() map[string][]patch {
	return map[string][]patch{
		"answers-twice": {twiceJS(
			"answers-twice", sdkJS+"host/call.js",
			`actor.ledger.output({ kind: "callResult", actor: actor.port.ref, id: this.id, output });`,
		)},
		"cancel-unheard": {unlessJS("cancel-unheard", sdkJS+"host/incarnation.js", `return this.mailbox.cancel(m.id, m.reason);`)},
		"stop-unheard":   {unlessJS("stop-unheard", sdkJS+"host/incarnation.js", `return this.#stopActor(m);`)},
		"wake-as-creation": {{
			sdkJS + "host/start.js",
			`if (this.#m.create)`,
			`if (this.#m.create || wrong("wake-as-creation"))`,
		}},
		"versions-restart": {{
			sdkJS + "host/incarnation.js",
			`new Outbox(this, m.version)`,
			`new Outbox(this, wrong("versions-restart") ? 0 : m.version)`,
		}},
		"events-newest-first": {{
			sdkJS + "host/ledger.js",
			`actor.outbox.post(group, held);`,
			`if (wrong("events-newest-first")) held.sort((a, b) => (a.kind === "emit" && b.kind === "emit" ? held.indexOf(b) - held.indexOf(a) : 0)); actor.outbox.post(group, held);`,
		}},
		"answer-before-commit": {{
			sdkJS + "host/outbox.js",
			`this.#commit(commit, outputs.slice(0, count), bytes);`,
			`{ const early = (m) => (m.kind === "callResult" && wrong("answer-before-commit")) || (m.kind === "emit" && wrong("events-before-commit"));
			for (const m of outputs.slice(0, count).filter(early)) this.#actor.port.send(m);
			this.#commit(commit, outputs.slice(0, count).filter((m) => !early(m)), bytes); }`,
		}},
		"events-before-commit": nil, // the same patch
		"commits-unawaited": {{
			sdkJS + "host/outbox.js",
			`if (commit !== undefined && this.inflight)`,
			`if (commit !== undefined && this.inflight && !wrong("commits-unawaited"))`,
		}},
		"unsubscribed-unsent": {{
			sdkJS + "host/open.js",
			`new Connection(actor, m.connectionId, m.connection, m.params);`,
			`new Connection(actor, m.connectionId, m.connection, m.params); conn.subscriptions = m.subscriptions;`,
		}, {
			sdkJS + "host/connection.js",
			`{ to: this.#inner.address });`,
			`{ to: wrong("unsubscribed-unsent") && !this.#inner.subscriptions?.includes(name) ? [] : this.#inner.address });`,
		}},
		"unexpected-errors-shown": {{
			sdkJS + "host/fault.js",
			`session.development ?`,
			`session.development || wrong("unexpected-errors-shown") ?`,
		}},
		"unknown-kind-kills": {{
			sdkJS + "link/deliver.js",
			`s.say({ kind: "unsupported",`,
			`if (wrong("unknown-kind-kills")) process.exit(1); else s.say({ kind: "unsupported",`,
		}},
		"forgets-on-disconnect": {{
			appJS + "connected.js",
			`onDisconnect: async`,
			`onDisconnect: wrong("forgets-on-disconnect") ? undefined : async`,
		}},
		"state-shared": {{
			appJS + "counter.js",
			`add: (c, d) => (c.state.n += d),`,
			`add: (c, d) => (c.state.n = wrong("state-shared") ? (globalThis.sharedByAll = (globalThis.sharedByAll ?? 0) + d) : c.state.n + d),`,
		}},
		"rolls-back": {{
			appJS + "counter.js",
			"addThenFail: (c, d, code) => {",
			"addThenFail: (c, d, code) => { if (wrong(\"rolls-back\")) throw planned(code);",
		}},
		"bytes-as-numbers": {{
			appJS + "echo.js",
			`echo: (_, value) => value,`,
			`echo: (_, value) => (wrong("bytes-as-numbers") && value instanceof Uint8Array ? [...value] : value),`,
		}},
	}
}

func unlessJS(name, file, statement string) patch {
	return patch{file, statement, `if (wrong("` + name + `")) return; ` + statement}
}

func twiceJS(name, file, statement string) patch {
	return patch{file, statement, `for (let n = wrong("` + name + `") ? 2 : 1; n > 0; n--) ` + statement}
}

// InJavaScript are the names of the mistakes that BuildJavaScript knows, in order.
func InJavaScript() []string { return slices.Sorted(maps.Keys(javascript())) }

// wrongJS begins each file that is changed.
const wrongJS = "const wrong = (name) => process.env." + Variable + " === name;\n"

// BuildJavaScript puts a copy of the JavaScript adapter and its SDK, with all mistakes of InJavaScript in it, into an empty folder, and
// gives the command that runs it: Variable chooses one of them. What the copy is made of has to be built (npm run build); the error wraps
// os.ErrNotExist if it is not.
func BuildJavaScript(root, folder string) (command string, err error) {
	if root, err = filepath.Abs(root); err != nil {
		return "", fmt.Errorf("find the sources: %w", err)
	}
	var patches []Mutant
	all := javascript()
	for _, name := range InJavaScript() {
		patches = append(patches, Mutant{Name: name, patches: all[name]})
	}
	changed, err := overlay.Apply(root, patchesOf(patches))
	if err != nil {
		return "", err
	}
	sdkCopy, appCopy := filepath.Join(folder, "node_modules/stagedoor"), filepath.Join(folder, "app")
	for from, to := range map[string]string{sdkJS: filepath.Join(sdkCopy, "dist"), appJS: appCopy} {
		if err := os.CopyFS(to, os.DirFS(filepath.Join(root, from))); err != nil {
			return "", fmt.Errorf("copy %s: %w", from, err)
		}
	}
	for name, source := range changed {
		to := filepath.Join(sdkCopy, "dist", strings.TrimPrefix(name, sdkJS))
		if rest, isApp := strings.CutPrefix(name, appJS); isApp {
			to = filepath.Join(appCopy, rest)
		}
		if err := os.WriteFile(to, append([]byte(wrongJS), source...), 0o600); err != nil {
			return "", fmt.Errorf("change %s: %w", name, err)
		}
	}
	if err := modules(root, folder); err != nil {
		return "", err
	}
	return "node " + filepath.Join(appCopy, "main.js"), nil
}

// modules gives the copy what the SDK and the adapter depend on.
func modules(root, folder string) error {
	for name, from := range map[string]string{"node_modules/stagedoor/package.json": "runner-js/package.json", "package.json": appJS + "../package.json"} {
		source, err := os.ReadFile(filepath.Join(root, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), source, 0o600)
		}
		if err != nil {
			return fmt.Errorf("copy %s: %w", from, err)
		}
	}
	all, err := os.ReadDir(filepath.Join(root, "node_modules"))
	if err != nil {
		return fmt.Errorf("find the dependencies: %w", err)
	}
	for _, entry := range all {
		if entry.Name() == "stagedoor" {
			continue
		}
		if err := os.Symlink(filepath.Join(root, "node_modules", entry.Name()), filepath.Join(folder, "node_modules", entry.Name())); err != nil {
			return fmt.Errorf("link the dependencies: %w", err)
		}
	}
	return nil
}
