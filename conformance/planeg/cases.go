package planeg

import (
	"slices"
	"strings"
)

// Cases are all cases of plane G, in the order of their ids.
func Cases() []*Case {
	all := slices.Concat(handshakeCases(), framingCases(), callCases(), gateCases(), fencingCases(), resumeCases(), clientCases(), errorCases(), lifeCases(), creditCases(),
		addressCases(), httpCases(), jsonCases(), sessionCases(), placeCases(), eventsCases(), laneCases(), looseCases(), transportCases())
	slices.SortStableFunc(all, func(x, y *Case) int { return strings.Compare(x.ID, y.ID) })
	return all
}

// needs reads the requirements of a case.
func needs(list string) []string { return strings.Fields(list) }
