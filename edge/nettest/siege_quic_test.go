package nettest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// quicAttacks are those on QUIC and HTTP/3.
var quicAttacks = []attack{
	{"QUIC: handshakes that end with the first packet", (*siege).halfHandshakes},
	{"HTTP/3: headers byte by byte", func(s *siege) error {
		return s.overQUIC(func(c *quic.Conn) error {
			for range 100 {
				stream, err := c.OpenStream()
				if err != nil {
					return err
				}
				if _, err := stream.Write([]byte{h3Headers, 0x43, 0xe8}); err != nil { // 1,000 bytes
					return err
				}
				go func() {
					for range 100 {
						if _, err := stream.Write([]byte{0}); err != nil {
							return
						}
						<-time.After(dribbleEvery)
					}
				}()
			}
			<-time.After(s.full / 2)
			return nil
		})
	}},
	{"HTTP/3: streams of which one byte comes", func(s *siege) error {
		return s.overQUIC(func(c *quic.Conn) error {
			for {
				stream, err := c.OpenStream()
				if err != nil {
					break // as many as there may be
				}
				if _, err := stream.Write([]byte{0x40}); err != nil { // half of a number
					return err
				}
			}
			<-time.After(s.full / 2)
			return nil
		})
	}},
	{"HTTP/3: streams opened and reset", (*siege).rapidResetOverHTTP3},
	{"HTTP/3: headers that are too large", func(s *siege) error {
		return s.overHTTP3(func(c *http3.ClientConn) error {
			request, err := http.NewRequest(http.MethodGet, "https://"+s.address+"/healthz", http.NoBody)
			if err != nil {
				return err
			}
			for i := range 40 {
				request.Header.Set(fmt.Sprintf("X-%d", i), strings.Repeat("a", 8<<10))
			}
			return wantStatus(c, request, http.StatusRequestHeaderFieldsTooLarge)
		})
	}},
	{"HTTP/3: a body byte by byte", func(s *siege) error {
		return s.overHTTP3(func(c *http3.ClientConn) error {
			request, err := http.NewRequest(http.MethodPost, "https://"+s.address+"/v1/actors/tally:slow/actions/add", &slowReader{})
			if err != nil {
				return err
			}
			return wantStatus(c, request, http.StatusBadRequest)
		})
	}},
	{"HTTP/3: answers that nobody takes", func(s *siege) error {
		config := quicConfig()
		config.InitialStreamReceiveWindow, config.MaxStreamReceiveWindow = 512, 512
		return s.overQUICWith(config, func(c *quic.Conn) error {
			for range 2 * many {
				stream, err := c.OpenStream()
				if err != nil {
					return err
				}
				if _, err := stream.Write(append([]byte{h3Headers, 17, 0, 0, 0xd1, 0xd7, 0x50, 1, 'a', 0x51, 8}, "/metrics"...)); err != nil {
					return err
				}
			}
			<-time.After(s.full / 2)
			return nil
		})
	}},
	{"HTTP/3: frames where they do not belong", func(s *siege) error {
		return s.overQUIC(func(c *quic.Conn) error {
			stream, err := c.OpenStream()
			if err != nil {
				return err
			}
			if _, err := stream.Write([]byte{0, 4, 1, 2, 3, 4}); err != nil { // DATA first
				return err
			}
			return partedWith(c, http3.ErrCodeFrameUnexpected)
		})
	}},
	{"HTTP/3: settings twice", func(s *siege) error {
		return s.overQUIC(func(c *quic.Conn) error {
			stream, err := c.OpenUniStream()
			if err != nil {
				return err
			}
			if _, err := stream.Write([]byte{0, 4, 0, 4, 0}); err != nil {
				return err
			}
			return partedWith(c, http3.ErrCodeFrameUnexpected)
		})
	}},
	{"HTTP/3: more streams of one way than allowed", func(s *siege) error {
		return s.overQUIC(func(c *quic.Conn) error {
			opened := 0
			for ; opened < 1000; opened++ {
				stream, err := c.OpenUniStream()
				if err != nil {
					break
				}
				if _, err := stream.Write([]byte{0x40, 0x54, 0}); err != nil { // of a WebTransport session that is not there
					return err
				}
			}
			if opened > 100 {
				return fmt.Errorf("%d streams could be opened", opened)
			}
			<-time.After(s.full / 2)
			return nil
		})
	}},
}

// Frames of HTTP/3, RFC 9114 section 7.2.
const h3Headers = 0x1

// h3Request is GET /, in a field section of QPACK without a table.
var h3Request = []byte{h3Headers, 8, 0, 0, 0xd1, 0xc1, 0xd7, 0x50, 1, 'a'}

// overQUIC has a client of its own do the attack, on a connection that is for HTTP/3 by its handshake only.
func (s *siege) overQUIC(do func(*quic.Conn) error) error { return s.overQUICWith(quicConfig(), do) }

func (s *siege) overQUICWith(config *quic.Config, do func(*quic.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), siegeWait)
	defer cancel()
	conn, err := quic.DialAddr(ctx, s.address, trust(http3.NextProtoH3), config)
	if err != nil {
		return err
	}
	err = do(conn)
	_ = conn.CloseWithError(0, "")
	<-conn.Context().Done()
	return err
}

// overHTTP3 has a client do the attack that keeps the rules of HTTP/3.
func (s *siege) overHTTP3(do func(*http3.ClientConn) error) error {
	return s.overQUIC(func(c *quic.Conn) error {
		transport := &http3.Transport{EnableDatagrams: true, AdditionalSettings: map[uint64]uint64{0x2c7cf000: 1}}
		return do(transport.NewClientConn(c))
	})
}

func wantStatus(c *http3.ClientConn, request *http.Request, want int) error {
	response, err := c.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != want {
		return fmt.Errorf("status %s, want %d", response.Status, want)
	}
	return nil
}

// partedWith wants the connection to be closed with a code.
func partedWith(c *quic.Conn, code http3.ErrCode) error {
	select {
	case <-c.Context().Done():
	case <-time.After(siegeWait):
		return errStays
	}
	if e, ok := errors.AsType[*quic.ApplicationError](context.Cause(c.Context())); !ok || e.ErrorCode != quic.ApplicationErrorCode(code) {
		return fmt.Errorf("want %v, closed with %w", code, context.Cause(c.Context()))
	}
	return nil
}

// rapidResetOverHTTP3 opens requests and takes them back before they are answered.
func (s *siege) rapidResetOverHTTP3() error {
	return s.overQUIC(func(c *quic.Conn) error {
		ctx, cancel := context.WithTimeout(c.Context(), s.full)
		defer cancel()
		n := 0
		for ; n < 50_000; n++ {
			stream, err := c.OpenStreamSync(ctx)
			if err != nil {
				break
			}
			if _, err := stream.Write(h3Request); err != nil {
				break
			}
			stream.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
			stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		}
		if n < 500 {
			return fmt.Errorf("only %d streams were opened", n)
		}
		return nil
	})
}

// halfHandshakes begin QUIC connections from many sockets, and answer nothing that comes.
func (s *siege) halfHandshakes() error {
	to, err := net.ResolveUDPAddr("udp", s.address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.full/2)
	defer cancel()
	var dialing sync.WaitGroup
	var heard atomic.Int64
	for range 50 {
		dialing.Go(func() {
			for ctx.Err() == nil {
				socket, err := net.ListenUDP("udp", nil)
				if err != nil {
					return
				}
				short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
				if conn, err := quic.Dial(short, deaf{socket}, to, trust(http3.NextProtoH3), quicConfig()); err == nil {
					heard.Add(1)
					_ = conn.CloseWithError(0, "")
				}
				cancel()
				_ = socket.Close()
			}
		})
	}
	dialing.Wait()
	if n := heard.Load(); n > 0 {
		return fmt.Errorf("%d handshakes came to their end", n)
	}
	return nil
}

// deaf is a socket on which nothing comes, until it is closed. It hides what else a UDP socket can.
type deaf struct{ net.PacketConn }

// ReadFrom implements net.PacketConn.
func (d deaf) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		if _, _, err := d.PacketConn.ReadFrom(p); err != nil {
			return 0, nil, err
		}
	}
}

// slowReader is a body that comes byte by byte.
type slowReader struct{}

// Read implements io.Reader.
func (*slowReader) Read(p []byte) (int, error) {
	<-time.After(dribbleEvery)
	p[0] = ' '
	return 1, nil
}
