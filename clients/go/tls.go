package client

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxHashedValidity is how long a certificate that is trusted for its hash may be valid, as in browsers.
const maxHashedValidity = 14 * 24 * time.Hour

var errCertificate = errors.New("the gateway's certificate")

// tlsConfig is the application's TLS configuration for the gateway. hashes, if any, stand in place of roots.
func tlsConfig(o Options, e endpoint, hashes [][]byte) *tls.Config {
	config := o.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName = e.base.Hostname()
	}
	if len(hashes) == 0 {
		return config
	}
	further := config.VerifyConnection
	config.InsecureSkipVerify = true // for what VerifyConnection does instead
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return fmt.Errorf("%w is missing", errCertificate)
		}
		if err := verifyHash(state.PeerCertificates[0], hashes, time.Now()); err != nil {
			return err
		}
		if further != nil {
			return further(state)
		}
		return nil
	}
	return config
}

// verifyHash checks what browsers check of a certificate that is trusted for its hash.
func verifyHash(c *x509.Certificate, hashes [][]byte, now time.Time) error {
	sum := sha256.Sum256(c.Raw)
	_, isECDSA := c.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !slices.ContainsFunc(hashes, func(hash []byte) bool { return bytes.Equal(hash, sum[:]) }):
		return fmt.Errorf("%w is another one: its hash is %x", errCertificate, sum)
	case now.Before(c.NotBefore), now.After(c.NotAfter):
		return fmt.Errorf("%w is valid from %s to %s", errCertificate, c.NotBefore, c.NotAfter)
	case c.NotAfter.Sub(c.NotBefore) > maxHashedValidity:
		return fmt.Errorf("%w is valid for more than two weeks", errCertificate)
	case !isECDSA:
		return fmt.Errorf("%w has a key that is not ECDSA", errCertificate)
	}
	return nil
}
