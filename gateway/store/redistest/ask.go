package redistest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Error is an error reply.
type Error string

func (e Error) Error() string { return string(e) }

// Do sends one command on a connection of its own and returns the reply: string, int64, []any, nil or an Error.
func (n *Node) Do(command ...string) (any, error) {
	conn, err := n.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// A paused server accepts, and never answers.
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	if password := n.s.options.Password; password != "" && !n.sentinel {
		auth := []string{"AUTH", password}
		if user := n.s.options.User; user != "" {
			auth = []string{"AUTH", user, password}
		}
		if _, err := roundTrip(conn, r, auth); err != nil {
			return nil, err
		}
	}
	return roundTrip(conn, r, command)
}

func (n *Node) dial() (net.Conn, error) {
	if n.tls == nil {
		return net.Dial("tcp", n.Addr)
	}
	return tls.Dial("tcp", n.Addr, n.tls)
}

// Must is Do; an error fails the test.
func (n *Node) Must(command ...string) any {
	n.s.t.Helper()
	reply, err := n.Do(command...)
	if err != nil {
		n.s.t.Fatalf("%s of %s: %v", strings.Join(command, " "), n.Addr, err)
	}
	return reply
}

// Info is one section of INFO by name.
func (n *Node) Info(section string) (map[string]string, error) {
	reply, err := n.Do("INFO", section)
	if err != nil {
		return nil, err
	}
	text, _ := reply.(string)
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info, nil
}

func (n *Node) role() (string, error) {
	info, err := n.Info("replication")
	return info["role"], err
}

// follows is the address of the node's master; empty for a master.
func (n *Node) follows() (string, error) {
	info, err := n.Info("replication")
	if err != nil || info["role"] != "slave" {
		return "", err
	}
	return net.JoinHostPort(info["master_host"], info["master_port"]), nil
}

func roundTrip(w io.Writer, r *bufio.Reader, command []string) (any, error) {
	request := fmt.Appendf(nil, "*%d\r\n", len(command))
	for _, word := range command {
		request = fmt.Appendf(request, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := w.Write(request); err != nil {
		return nil, err
	}
	return readReply(r)
}

func readReply(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return nil, errors.New("an empty reply")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return nil, Error(rest)
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reply %q: %w", line, err)
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		bulk := make([]byte, n+2)
		_, err := io.ReadFull(r, bulk)
		return string(bulk[:n]), err
	case kind == '*':
		return readArray(r, n)
	}
	return nil, fmt.Errorf("reply %q is not of RESP2", line)
}

// readArray keeps error replies as elements.
func readArray(r *bufio.Reader, n int64) (any, error) {
	list := make([]any, n)
	for i := range list {
		element, err := readReply(r)
		if reply := Error(""); errors.As(err, &reply) {
			element, err = reply, nil
		}
		if err != nil {
			return nil, err
		}
		list[i] = element
	}
	return list, nil
}
