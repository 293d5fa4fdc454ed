package main

import (
	"fmt"
	"strings"
)

// tablesTS is the registry for a package of JavaScript: the type of all codes, and what the registry says of those that the
// sender (a letter of the column "from") may make itself.
func tablesTS(sender string, codes []code) string {
	var b strings.Builder
	b.WriteString(header + "/** ErrorCode is a code of the closed registry, spec/errors.md; errors of group `user` have codes of their own. */\nexport type ErrorCode =")
	for _, c := range codes {
		fmt.Fprintf(&b, "\n  | %q", c.group+"."+c.code)
	}
	b.WriteString(";\n\n/** registry is what is said of the errors that this package makes itself, unless it knows better. */\nexport const registry = {\n")
	for _, c := range codes {
		if strings.Contains(c.from, sender) {
			fmt.Fprintf(&b, "  %q: { status: %d, retryable: %t, ran: %q, text: %q },\n",
				c.group+"."+c.code, c.status, c.retryable, c.ranTS(), c.text)
		}
	}
	b.WriteString("} as const;\n\n/** OwnCode is a code that this package may make an error of. */\nexport type OwnCode = keyof typeof registry;\n")
	return b.String()
}

func (c code) ranTS() string {
	return map[string]string{"RanNo": "no", "RanYes": "yes", "RanMaybe": "maybe", "RanUnspecified": ""}[c.ran]
}
