package webtransport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	wt "github.com/quic-go/webtransport-go"
)

// serve answers sessions at /ok with that, and refuses all others.
func serve(t *testing.T, answer func(*wt.Session)) (address string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &wt.Server{ApplicationProtocols: []string{"known"}}
	server.H3 = &http3.Server{
		TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13}),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/ok" {
				w.WriteHeader(http.StatusTeapot)
				return
			}
			session, err := server.Upgrade(w, r)
			if err != nil {
				t.Error(err)
				return
			}
			answer(session)
		}),
	}
	wt.ConfigureHTTP3Server(server.H3)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(socket)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		_ = socket.Close()
		<-done
	})
	return "https://" + socket.LocalAddr().String()
}

func TestStreamsDatagramsAndTheEndCross(t *testing.T) {
	address := serve(t, func(s *wt.Session) {
		ctx := context.Background()
		for _, end := range []func(*wt.Stream){func(s *wt.Stream) { _ = s.Close() }, func(s *wt.Stream) { s.CancelWrite(7) }} {
			stream, err := s.AcceptStream(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			b := make([]byte, 4)
			_, _ = io.ReadFull(stream, b)
			_, _ = stream.Write(b)
			end(stream)
		}
		one, err := s.AcceptUniStream(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = one.Read(make([]byte, 1))
		d, err := s.ReceiveDatagram(ctx)
		if err == nil {
			err = s.SendDatagram(append(d, '!'))
		}
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = s.ReceiveDatagram(ctx)
		_ = s.CloseWithError(1008, "session.over")
	})
	s, err := Dial(t.Context(), address+"/ok", []string{"other", "known"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Protocol() != "known" {
		t.Errorf("the subprotocol is %q", s.Protocol())
	}
	for _, want := range []error{nil, ErrReset} {
		stream, err := s.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(stream); !errors.Is(err, want) || err == nil && string(b) != "ping" {
			t.Errorf("the stream brought %q, %v; want %v", b, err, want)
		}
		stream.Reset()
	}
	left, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	left.Reset()
	if _, err := left.Read(make([]byte, 1)); !errors.Is(err, ErrLeft) {
		t.Errorf("a stream that was left says %v", err)
	}
	if err := s.OpenOneWay(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.SendDatagram([]byte("d")); err != nil {
		t.Fatal(err)
	}
	if d, err := s.ReceiveDatagram(); err != nil || string(d) != "d!" {
		t.Errorf("the datagram is %q, %v", d, err)
	}
	_ = s.SendDatagram([]byte("end"))
	<-s.Done()
	var closed *CloseError
	if err := s.Ended(); !errors.As(err, &closed) || closed.Code != 1008 || closed.Reason != "session.over" {
		t.Errorf("the session ended with %v", err)
	}
}

func TestARefusalNamesItsStatus(t *testing.T) {
	_, err := Dial(t.Context(), serve(t, func(*wt.Session) {})+"/other", []string{"known"}, nil)
	if err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("refused with %v", err)
	}
}
