// Package certificate holds the certificate that a gateway shows: one that is made for development, or one from files that is
// read again when they change.
//
// edge/serve asks a Source at each handshake; the hashes of a development certificate are for the browser's
// serverCertificateHashes, and gateway/api publishes them. Safe for concurrent use. Requirements: TLS-1, TLS-2.
package certificate

import (
	"crypto/sha256"
	"crypto/tls"
)

// Source gives the certificate of the moment.
type Source interface {
	// Certificate is for tls.Config.GetCertificate.
	Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Hashes are the SHA-256 sums of the certificates that may be shown now or soon; none: clients have to trust who signed it.
	Hashes() [][sha256.Size]byte
}
