package planeg

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// delayedCommand, when set, makes this test binary a gateway that is slow to hear: it runs that command on another port and
// passes every socket on, each chunk as late as chance will have it.
const delayedCommand = "PLANEG_DELAYED"

func TestMain(m *testing.M) {
	if command := os.Getenv(delayedCommand); command != "" {
		if err := delayed(command, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A case may not take the order in which it wrote to two sockets for the order in which a gateway reads them.
func TestNoCaseRacesItsOwnSockets(t *testing.T) {
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	command := buildGateway(t) + " gateway --listen 127.0.0.1:{inner} --data {data} --limit-max-event 8192 --limit-event-window 65536 --insecure"
	holds(t, Config{
		Command: fmt.Sprintf("%s='%s' exec %s {port}", delayedCommand, command, self),
		Cases:   only(func(c *Case) bool { return !c.Slow && !c.Tokens && !c.Alone }),
	})
}

func delayed(command, port string) error {
	outer, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	inner := free.Addr().String()
	_ = free.Close()
	_, number, _ := net.SplitHostPort(inner)
	gateway := exec.Command("sh", "-c", "exec "+strings.ReplaceAll(command, "{inner}", number)) //nolint:noctx // the process group is killed
	gateway.Stdout, gateway.Stderr = os.Stdout, os.Stderr
	if err := gateway.Start(); err != nil {
		return err
	}
	go func() {
		for {
			client, err := outer.Accept()
			if err != nil {
				return
			}
			go pass(client, inner)
		}
	}()
	return gateway.Wait()
}

func pass(client net.Conn, inner string) {
	defer client.Close()
	server, err := net.Dial("tcp", inner) //nolint:noctx // loopback
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		late(server, client)
		server.Close()
	}()
	late(client, server)
}

// late copies chunk by chunk; what a slow link keeps back, it keeps in order.
func late(to io.Writer, from io.Reader) {
	chunk := make([]byte, 64<<10)
	for {
		n, err := from.Read(chunk)
		if n > 0 {
			if rand.IntN(4) == 0 {
				<-time.After(rand.N(20 * time.Millisecond))
			}
			if _, err := to.Write(chunk[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
