package adapters_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/conformance/app"
)

// actionsOf reads the actions of each type off the contract's tables.
func actionsOf(contract string) map[string][]string {
	all := map[string][]string{}
	for _, section := range regexp.MustCompile(`(?m)^### `).Split(contract, -1)[1:] {
		name, text, _ := strings.Cut(section, "\n")
		_, table, there := strings.Cut(text, "\n| action |")
		if !there {
			continue
		}
		table, _, _ = strings.Cut(table, "\n\n")
		for _, row := range regexp.MustCompile("(?m)^\\| ((?:`[A-Za-z]+`(?:, )?)+) \\|").FindAllStringSubmatch(table, -1) {
			for action := range strings.SplitSeq(row[1], ", ") {
				all[name] = append(all[name], strings.Trim(action, "`"))
			}
		}
	}
	return all
}

// A wrong number of arguments is an answer of its own in Go, so nothing runs that the contract gives arguments.
func TestEveryActionOfTheContractIsThere(t *testing.T) {
	contract := actionsOf(string(app.Contract))
	if len(contract) != 10 || !slices.Contains(contract["counter"], "destroy") || !slices.Contains(contract["kv"], "fill") {
		t.Fatalf("the contract's tables are not read: %v", contract)
	}
	w := newWorld(t, []string{built.runnerGo})
	for actorType, actions := range contract {
		for _, action := range actions {
			handle := w.client.GetOrCreate(actorType, []string{action})
			if err := handle.Call(w.context(), action, nil); client.CodeOf(err) == client.CodeActorActionNotFound {
				t.Errorf("%s has no action %s", actorType, action)
			}
		}
	}
}
