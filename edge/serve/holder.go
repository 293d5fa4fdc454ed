package serve

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listening is the state of a listening socket in /proc/net/tcp.
const listening = "0A"

// Holder says which process listens on a TCP address, "process 123 (name)", as far as this system tells; else "".
func Holder(address string) string {
	_, service, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return ""
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for _, inode := range inodesOf(content, uint16(port)) {
			if pid, name := ownerOf(inode); pid != 0 {
				return fmt.Sprintf("process %d (%s)", pid, name)
			}
		}
	}
	return ""
}

// inodesOf finds the sockets that listen on a port in a table of the kernel, whose lines are "sl local remote state …
// inode", the local address as hexadecimal address:port.
func inodesOf(table []byte, port uint16) []string {
	var found []string
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != listening {
			continue
		}
		if _, local, ok := strings.Cut(fields[1], ":"); ok && local == fmt.Sprintf("%04X", port) {
			found = append(found, fields[9])
		}
	}
	return found
}

// ownerOf looks for the socket among the open files of all processes that we may look into.
func ownerOf(inode string) (pid int, name string) {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is well-formed
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || target != "socket:["+inode+"]" {
			continue
		}
		process := filepath.Dir(filepath.Dir(link))
		pid, err = strconv.Atoi(filepath.Base(process))
		if err != nil {
			continue
		}
		comm, err := os.ReadFile(filepath.Join(process, "comm"))
		if err != nil {
			return pid, "unknown"
		}
		return pid, strings.TrimSpace(string(comm))
	}
	return 0, ""
}
