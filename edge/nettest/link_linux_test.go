package nettest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Addresses of the two ends of a link, seen in its namespaces only.
const (
	clientIP = "10.77.0.1"
	serverIP = "10.77.0.2"
)

// link is a path between two network namespaces, one of clients and one of servers: a TUN device in each, and a relay that
// carries their packets. Namespaces and devices have no names on the machine: they end with the process, however it ends.
type link struct {
	*relay
	clients, servers space
}

// newLink makes one that lasts as long as the test, which is skipped where that is not allowed.
func newLink(t testing.TB) *link {
	t.Helper()
	l := new(link)
	near, err := l.clients.open(t, clientIP)
	var far *os.File
	if err == nil {
		far, err = l.servers.open(t, serverIP)
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("make network namespaces: %v", err)
		}
		t.Skipf("network namespaces cannot be made here, which takes root and /dev/net/tun: %v", err)
	}
	l.relay = startRelay(near, far)
	t.Cleanup(l.stop)
	return l
}

// dialTCP implements network, among the clients.
func (l *link) dialTCP(ctx context.Context, address string) (conn net.Conn, err error) {
	err = l.clients.run(func() error {
		conn, err = plainNetwork{}.dialTCP(ctx, address)
		return err
	})
	return conn, err
}

// listenUDP implements network, among the clients.
func (l *link) listenUDP() (socket net.PacketConn, err error) {
	err = l.clients.run(func() error {
		socket, err = net.ListenPacket("udp4", clientIP+":0")
		return err
	})
	return socket, err
}

// space is a network namespace.
type space struct{ file *os.File }

// open makes a namespace with a device that has the address, and leads to its neighbours.
func (s *space) open(t testing.TB, address string) (device *os.File, err error) {
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		if s.file, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		t.Cleanup(func() { _ = s.file.Close() })
		if device, err = openTUN("path"); err != nil {
			return err
		}
		t.Cleanup(func() { _ = device.Close() }) // the relay may have closed it
		return configure("path", address)
	})
	return device, err
}

// run runs in the namespace: a socket stays where it was made, and a process where it was started.
func (s *space) run(do func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter a namespace: %w", err)
		}
		return do()
	})
}

// onThread runs on a thread of its own, which ends with it.
func onThread(do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good
		done <- do()
	}()
	return <-done
}

// openTUN makes a device of IP packets, which ends with its file.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the device %s: %w", name, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil // not before: a file is polled from here on
}

// configure gives the device of the present namespace an address in a net of four, and turns it on.
func configure(device, address string) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	for _, step := range []struct {
		what  string
		which uint
		set   func(*unix.Ifreq) error
	}{
		{"address", unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(net.ParseIP(address).To4()) }},
		{"mask", unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(net.CIDRMask(30, 32)) }},
		{"flags", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
	} {
		request, err := unix.NewIfreq(device)
		if err == nil {
			err = step.set(request)
		}
		if err == nil {
			err = unix.IoctlIfreq(socket, step.which, request)
		}
		if err != nil {
			return fmt.Errorf("set the %s of a device: %w", step.what, err)
		}
	}
	return nil
}
