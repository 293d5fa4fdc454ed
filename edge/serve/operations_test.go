package serve

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The table of docs/operations.md says what is here.
func TestTimeoutsAndLimitsAreAsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Time-outs and limits of sockets †\n")
	section, _, _ = strings.Cut(section, "\n## ")
	thousands := func(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }
	head := fmt.Sprintf("%v | %d KiB |", readHeaderTimeout.Seconds(), maxHeaderBytes>>10)
	for _, want := range []string{
		fmt.Sprintf("| until the first byte, where one port takes TLS and plain text | %v s |", readHeaderTimeout.Seconds()),
		fmt.Sprintf("| TLS | handshake | %v s |", readHeaderTimeout.Seconds()),
		"| HTTP/1.1 | head of a request | " + strings.Replace(head, " |", " s |", 1),
		fmt.Sprintf("| between requests | %v s |", idleTimeout.Seconds()),
		fmt.Sprintf("| | silence | ping after %v s, answer within %v s |", silence.Seconds(), pongWait.Seconds()),
		fmt.Sprintf("| bytes that the client does not take | %v s |", stuckWrite.Seconds()),
		fmt.Sprintf("| requests at once | | %d on a connection; %s more", maxStreams, thousands(4*maxStreams)),
		fmt.Sprintf("| QUIC | handshake | %v s of silence, %v s in all | %d at once, then only with a proof of the address (Retry); %s at once |",
			readHeaderTimeout.Seconds(), 2*readHeaderTimeout.Seconds(), trustedHandshakes, thousands(maxHandshakes)),
		fmt.Sprintf("| without a packet | %v s |", idleTimeout.Seconds()),
		fmt.Sprintf("| %d KiB to %d MiB for a stream, %d to %d MiB for a connection", streamWindow>>10, maxStreamWindow>>20, connectionWindow>>20, maxConnWindow>>20),
		fmt.Sprintf("| %d and twice `max_connections`; of one direction %d |", maxStreams, maxUniStreams),
		fmt.Sprintf("| without a request | %v s | %s connections", idleTimeout.Seconds(), thousands(maxIdleGuests)),
	} {
		if !strings.Contains(section, want) {
			t.Errorf("the table lacks %q", want)
		}
	}
}
