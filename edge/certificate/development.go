package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

const (
	// validity is what browsers accept by hash: at most 14 days.
	validity = 13 * 24 * time.Hour
	// announced is how long before its end a certificate's successor is published, shown is when that takes its place.
	announced = 3 * 24 * time.Hour
	shown     = 2 * 24 * time.Hour
	// skew is how far a browser's clock may be behind.
	skew = time.Hour
)

// Development makes certificates for this machine, each valid for 13 days and replaced two days before its end [TLS-1].
type Development struct {
	names     []string
	addresses []net.IP
	now       func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	next    *tls.Certificate // nil: not yet
}

// NewDevelopment makes a certificate for localhost, the loopback addresses and the host, a name or an address.
func NewDevelopment(host string) (*Development, error) {
	return newDevelopment(host, time.Now)
}

func newDevelopment(host string, now func() time.Time) (*Development, error) {
	d := &Development{
		names: []string{"localhost"}, addresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, now: now,
	}
	if ip := net.ParseIP(host); ip != nil {
		d.addresses = append(d.addresses, ip)
	} else if host != "" && host != "localhost" {
		d.names = append(d.names, host)
	}
	var err error
	d.current, err = d.make()
	return d, err
}

// Certificate implements Source.
func (d *Development) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.turn()
	return d.current, err
}

// Hashes implements Source: the certificate's own, and its successor's once there is one.
func (d *Development) Hashes() [][sha256.Size]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turn() != nil {
		return nil // Certificate says why
	}
	hashes := [][sha256.Size]byte{sha256.Sum256(d.current.Certificate[0])}
	if d.next != nil {
		hashes = append(hashes, sha256.Sum256(d.next.Certificate[0]))
	}
	return hashes
}

// turn makes the successor and puts it in its place, in time.
func (d *Development) turn() error {
	left := d.current.Leaf.NotAfter.Sub(d.now())
	if left < announced && d.next == nil {
		next, err := d.make()
		if err != nil {
			return err
		}
		d.next = next
	}
	if left < shown {
		d.current, d.next = d.next, nil
	}
	return nil
}

func (d *Development) make() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for development: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a certificate for development: %w", err)
	}
	from := d.now().Add(-skew)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Stagedoor development"},
		NotBefore: from, NotAfter: from.Add(validity),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, DNSNames: d.names, IPAddresses: d.addresses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for development: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for development: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
