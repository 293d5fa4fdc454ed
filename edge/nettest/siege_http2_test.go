package nettest

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Frames of HTTP/2, RFC 9113 section 6.
const (
	h2Data         = 0x0
	h2Headers      = 0x1
	h2Reset        = 0x3
	h2Settings     = 0x4
	h2Ping         = 0x6
	h2GoAway       = 0x7
	h2Continuation = 0x9

	h2EndStream  = 0x1
	h2EndHeaders = 0x4

	h2EnhanceYourCalm = 0xb
	h2FrameSizeError  = 0x6

	h2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// http2Attacks are those on HTTP/2.
var http2Attacks = []attack{
	{"HTTP/2: the preface byte by byte", func(s *siege) error { return s.dribbled("", h2Preface+strings.Repeat("\x00", 1000)) }},
	{"HTTP/2: the preface byte by byte, over TLS", func(s *siege) error {
		return crowd(func() error {
			conn, err := tls.Dial("tcp", s.address, trust("h2"))
			if err != nil {
				return err
			}
			_, err = dribble(conn, "", h2Preface[:20]) // all but its end
			return err
		})
	}},
	{"HTTP/2: headers byte by byte", func(s *siege) error {
		return s.overHTTP2(func(c *h2Client) error {
			begin := h2Block("GET", "/healthz")
			err := c.write(h2Headers, h2EndStream, 1, begin)
			for range 20 {
				if err == nil {
					err = c.write(h2Continuation, 0, 1, []byte{0})
				}
				<-time.After(dribbleEvery)
			}
			return nil // that nobody is harmed is seen elsewhere
		})
	}},
	{"HTTP/2: headers without end", func(s *siege) error {
		return s.overHTTP2(func(c *h2Client) error {
			part := append([]byte{0x40, 0x81, 'a', 0x7f, 0x81, 0x7f}, strings.Repeat("a", 16000)...)
			err := c.write(h2Headers, h2EndStream, 1, h2Block("GET", "/healthz"))
			for i := 0; err == nil && i < 10_000; i++ {
				err = c.write(h2Continuation, 0, 1, part)
			}
			return c.parted(0)
		})
	}},
	{"HTTP/2: empty continuations without end", func(s *siege) error {
		return s.overHTTP2(func(c *h2Client) error {
			err := c.write(h2Headers, h2EndStream, 1, h2Block("GET", "/healthz"))
			for i := 0; err == nil && i < 100_000; i++ {
				err = c.write(h2Continuation, 0, 1, nil)
			}
			return nil
		})
	}},
	{"HTTP/2: rapid reset", func(s *siege) error {
		return s.overHTTP2(func(c *h2Client) error {
			block, code := h2Block("GET", "/v1/metadata"), binary.BigEndian.AppendUint32(nil, 0x8)
			var err error
			for id := uint32(1); err == nil && id < 100_000; id += 2 {
				if err = c.write(h2Headers, h2EndStream|h2EndHeaders, id, block); err == nil {
					err = c.write(h2Reset, 0, id, code)
				}
			}
			return nil
		})
	}},
	{"HTTP/2: more streams than allowed", func(s *siege) error {
		return s.overHTTP2(func(c *h2Client) error {
			block := h2Block("POST", "/v1/actors/tally:many/actions/add")
			var err error
			for id := uint32(1); err == nil && id < 4000; id += 2 {
				err = c.write(h2Headers, h2EndHeaders, id, block)
			}
			return c.refused()
		})
	}},
	{"HTTP/2: pings and settings without end, whose answers nobody reads", func(s *siege) error {
		conn, err := tls.Dial("tcp", s.address, trust("h2"))
		if err != nil {
			return err
		}
		defer conn.Close()
		c := &h2Client{conn: conn}
		_, err = io.WriteString(conn, h2Preface)
		_ = conn.SetWriteDeadline(time.Now().Add(s.full))
		for err == nil {
			if err = c.write(h2Settings, 0, 0, nil); err == nil {
				err = c.write(h2Ping, 0, 0, make([]byte, 8))
			}
		}
		return nil
	}},
	{"HTTP/2: answers that nobody takes", func(s *siege) error {
		return s.overHTTP2(func(c *h2Client) error {
			err := c.write(h2Settings, 0, 0, []byte{0, 4, 0, 0, 0, 0}) // a window of nothing
			for id := uint32(1); err == nil && id < 2*many; id += 2 {
				err = c.write(h2Headers, h2EndStream|h2EndHeaders, id, h2Block("GET", "/metrics"))
			}
			late := time.After(siegeWait)
			for range many {
				select {
				case <-c.resets:
				case <-c.ended:
					return errors.New("the connection was closed")
				case <-late:
					return errors.New("the streams are still there")
				}
			}
			return err
		})
	}},
	{"HTTP/2: a frame that is too large", func(s *siege) error {
		return s.overHTTP2(func(c *h2Client) error {
			_, _ = c.conn.Write([]byte{0xff, 0xff, 0xff, h2Data, 0, 0, 0, 0, 1})
			return c.parted(h2FrameSizeError)
		})
	}},
}

// h2Client is a client of HTTP/2 that keeps no rules. What comes is read until it ends.
type h2Client struct {
	conn    *tls.Conn
	reading sync.WaitGroup

	goAway chan uint32 // codes
	resets chan uint32
	ended  chan struct{}
}

// overHTTP2 has a client of its own do the attack.
func (s *siege) overHTTP2(do func(*h2Client) error) error {
	conn, err := tls.Dial("tcp", s.address, trust("h2"))
	if err != nil {
		return err
	}
	c := &h2Client{conn: conn, goAway: make(chan uint32, 64), resets: make(chan uint32, 64), ended: make(chan struct{})}
	c.reading.Go(c.read)
	_, err = io.WriteString(conn, h2Preface)
	if err == nil {
		err = c.write(h2Settings, 0, 0, nil)
	}
	if err == nil {
		err = do(c)
	}
	_ = conn.Close()
	c.reading.Wait()
	return err
}

func (c *h2Client) write(kind, flags byte, stream uint32, body []byte) error {
	frame := append(make([]byte, 0, 9+len(body)), byte(len(body)>>16), byte(len(body)>>8), byte(len(body)), kind, flags)
	frame = append(binary.BigEndian.AppendUint32(frame, stream), body...)
	_, err := c.conn.Write(frame)
	return err
}

func (c *h2Client) read() {
	defer close(c.ended)
	for {
		var header [9]byte
		if _, err := io.ReadFull(c.conn, header[:]); err != nil {
			return
		}
		body := make([]byte, int(header[0])<<16|int(header[1])<<8|int(header[2]))
		if _, err := io.ReadFull(c.conn, body); err != nil {
			return
		}
		switch {
		case header[3] == h2GoAway && len(body) >= 8:
			offer(c.goAway, binary.BigEndian.Uint32(body[4:]))
		case header[3] == h2Reset && len(body) == 4:
			offer(c.resets, binary.BigEndian.Uint32(body))
		}
	}
}

// offer is for who may not look.
func offer[T any](to chan T, v T) {
	select {
	case to <- v:
	default:
	}
}

// parted wants the gateway to part with the client, with a code unless that is 0.
func (c *h2Client) parted(code uint32) error {
	select {
	case <-c.ended:
	case <-time.After(siegeWait):
		return errStays
	}
	if code == 0 {
		return nil
	}
	select {
	case got := <-c.goAway:
		if got != code {
			return fmt.Errorf("GOAWAY with code %d, want %d", got, code)
		}
		return nil
	default:
		return errors.New("no GOAWAY came")
	}
}

// refused wants a stream or all to be refused.
func (c *h2Client) refused() error {
	select {
	case <-c.resets:
	case <-c.goAway:
	case <-c.ended:
	case <-time.After(siegeWait):
		return errStays
	}
	return nil
}

// h2Block is a request's header block, without compression.
func h2Block(method, path string) []byte {
	block := []byte{0x87} // :scheme https
	for _, field := range []struct {
		name  byte // index in the static table, RFC 7541 appendix A
		value string
	}{{2, method}, {4, path}, {1, "a"}} {
		block = append(append(block, field.name, byte(len(field.value))), field.value...)
	}
	return block
}
