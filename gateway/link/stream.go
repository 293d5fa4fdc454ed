package link

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// readBuffer holds the frames of one read; larger frames get memory of their own.
const readBuffer = 64 << 10

// ServeStream runs a socket of a runner on a byte stream (tcp, tls, unix) until it ends. It owns conn. begin is told of the
// socket and returns what is to be done when it has ended.
func ServeStream(cfg Config, conn net.Conn, begin func(*Conn) (ended func())) {
	c := Accept(cfg, streamSocket{conn})
	defer begin(c)()
	defer c.Ended()
	r := bufio.NewReaderSize(conn, readBuffer)
	for {
		if err := c.receiveNext(r); err != nil {
			if !errors.Is(err, errEnough) && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				cfg.Logger.Info("runner socket ended", "peer", c.socket.Peer(), "error", err)
			}
			return
		}
	}
}

// receiveNext reads one frame and all that arrived whole behind it.
func (c *Conn) receiveNext(r *bufio.Reader) error {
	header, err := r.Peek(wire.HeaderLen)
	if err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(header)
	if err := wire.CheckLength(n, c.cfg.Limits.MaxFrame); err != nil {
		return c.framing(err)
	}
	size := wire.HeaderLen + int(n)
	if size > readBuffer {
		return c.receiveLarge(r, size)
	}
	if _, err := r.Peek(size); err != nil {
		return err
	}
	whole, err := r.Peek(r.Buffered())
	if err != nil {
		return err
	}
	whole = whole[:wholeFrames(whole)]
	err = c.Receive(whole)
	_, _ = r.Discard(len(whole))
	return err
}

func (c *Conn) receiveLarge(r io.Reader, size int) error {
	frame := make([]byte, size)
	if _, err := io.ReadFull(r, frame); err != nil {
		return fmt.Errorf("read a frame of %d bytes: %w", size, err)
	}
	return c.Receive(frame)
}

// wholeFrames is the length of the frames that b holds entirely. The lengths behind the first are not trusted here:
// one over the limit ends the run and is judged when its turn comes.
func wholeFrames(b []byte) int {
	end := 0
	for len(b)-end >= wire.HeaderLen {
		n := int64(binary.BigEndian.Uint32(b[end:]))
		if int64(len(b)-end-wire.HeaderLen) < n {
			break
		}
		end += wire.HeaderLen + int(n)
	}
	return end
}

type streamSocket struct{ net.Conn }

func (s streamSocket) WriteFrames(b []byte) error {
	_, err := s.Write(b)
	return err
}

func (s streamSocket) Peer() string {
	if a := s.RemoteAddr(); a != nil && a.String() != "" {
		return a.Network() + " " + a.String()
	}
	return "local socket"
}
