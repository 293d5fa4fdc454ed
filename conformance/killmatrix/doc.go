// Package killmatrix proves that the suite's cases can fail, and that they do not cry wolf: it runs each mutant against the cases
// that name it, and every case against each odd but legal variant.
//
// Of a mutant that lives, of a case that does not kill a mutant which it names, and of a case that kills none, Matrix tells; the
// build is red then. Mutants on the wire (package mutant) work on any runner; those inside the runner are programs of their own,
// chosen by CONFORM_MUTANT. Gateway does the same for plane G, with a gateway that has mutants inside. The command calls it; several
// runners, or gateways, are tried beside each other.
package killmatrix
