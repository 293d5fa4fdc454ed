package certificate

import (
	"crypto/sha256"
	"crypto/x509"
	"testing"
	"time"
)

// clock is a time that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func shownBy(t *testing.T, s Source) [sha256.Size]byte {
	t.Helper()
	c, err := s.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(c.Certificate[0])
}

// [TLS-1]: what browsers ask of a certificate that they take by its hash.
func TestADevelopmentCertificateIsOneThatBrowsersTakeByItsHash(t *testing.T) {
	c := &clock{time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	d, err := newDevelopment("gateway.test", c.now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf := got.Leaf
	if leaf.PublicKeyAlgorithm != x509.ECDSA || leaf.SignatureAlgorithm != x509.ECDSAWithSHA256 {
		t.Errorf("key %v, signature %v", leaf.PublicKeyAlgorithm, leaf.SignatureAlgorithm)
	}
	if valid := leaf.NotAfter.Sub(leaf.NotBefore); valid > 14*24*time.Hour || c.at.Before(leaf.NotBefore) || c.at.Add(12*24*time.Hour).After(leaf.NotAfter) {
		t.Errorf("valid from %v to %v", leaf.NotBefore, leaf.NotAfter)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "gateway.test"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if hashes := d.Hashes(); len(hashes) != 1 || hashes[0] != sha256.Sum256(leaf.Raw) {
		t.Errorf("hashes %x", hashes)
	}
}

// [TLS-1]: whoever has read the hashes a day ago still knows the certificate, over many of them.
func TestASuccessorIsPublishedBeforeItIsShown(t *testing.T) {
	c := &clock{time.Now()}
	d, err := newDevelopment("", c.now)
	if err != nil {
		t.Fatal(err)
	}
	changes := 0
	for range 24 * 60 { // hours
		published, before := d.Hashes(), shownBy(t, d)
		c.at = c.at.Add(23 * time.Hour)
		after := shownBy(t, d)
		if after != before {
			changes++
		}
		known := false
		for _, hash := range published {
			known = known || hash == after
		}
		if !known {
			t.Fatalf("at %v %x is shown, published were %x", c.at, after, published)
		}
		leaf := d.current.Leaf
		if left := leaf.NotAfter.Sub(c.at); left < 24*time.Hour {
			t.Fatalf("%v are left", left)
		}
		c.at = c.at.Add(-22 * time.Hour)
	}
	if changes == 0 {
		t.Error("nothing changed in 60 days")
	}
}

func TestALongSleepEndsWithACertificateThatIsValid(t *testing.T) {
	c := &clock{time.Now()}
	d, err := newDevelopment("", c.now)
	if err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(365 * 24 * time.Hour)
	got, err := d.Certificate(nil)
	if err != nil || c.at.After(got.Leaf.NotAfter) || c.at.Before(got.Leaf.NotBefore) {
		t.Errorf("%v, valid from %v to %v", err, got.Leaf.NotBefore, got.Leaf.NotAfter)
	}
}
