package planeg

import (
	"bytes"
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
	status := m.Run()
	if folder, _ := built(); folder != "" {
		_ = os.RemoveAll(folder)
	}
	os.Exit(status)
}

// A case may not take the order in which it wrote to two sockets, or to two streams of one, for the order in which a gateway
// reads them.
func TestNoCaseRacesItsOwnSockets(t *testing.T) {
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	program := buildGateway(t)
	for _, transport := range []Transport{WebSocket, WebTransport} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			command := program + " gateway --listen 127.0.0.1:{inner} --data {data} --insecure" + ourWindows
			if transport == WebTransport {
				command += " --tls-cert {cert} --tls-key {key}"
			}
			holds(t, Config{
				Command:   fmt.Sprintf("%s='%s' exec %s {port}", delayedCommand, command, self),
				Transport: transport,
				Cases: only(func(c *Case) bool {
					fits, _ := c.Over(transport)
					return fits && !c.Slow && !c.Tokens && !c.Alone && (!c.WebTransport || transport == WebTransport)
				}),
			})
		})
	}
}

func delayed(command, port string) error {
	outer, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	packets, err := net.ListenPacket("udp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	inner, err := freeAddress()
	if err != nil {
		return err
	}
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
	go passPackets(packets, inner)
	return gateway.Wait()
}

// passPackets passes packets on, some of them late, which overtake each other.
func passPackets(outer net.PacketConn, inner string) {
	servers := map[string]net.Conn{}
	b := make([]byte, 64<<10)
	for {
		n, client, err := outer.ReadFrom(b)
		if err != nil {
			return
		}
		server := servers[client.String()]
		if server == nil {
			if server, err = net.Dial("udp", inner); err != nil { //nolint:noctx // loopback
				return
			}
			servers[client.String()] = server
			go func() {
				b := make([]byte, 64<<10)
				for {
					n, err := server.Read(b)
					if err != nil {
						return
					}
					packet := bytes.Clone(b[:n])
					lateOrNot(func() { _, _ = outer.WriteTo(packet, client) })
				}
			}()
		}
		packet := bytes.Clone(b[:n])
		lateOrNot(func() { _, _ = server.Write(packet) })
	}
}

func lateOrNot(do func()) {
	if rand.IntN(4) > 0 {
		do()
		return
	}
	time.AfterFunc(rand.N(20*time.Millisecond), do)
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
