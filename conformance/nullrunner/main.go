// Command nullrunner is a runner that does next to nothing, for the tests of the suite: no case may pass with it, and the suite may not
// hang, crash or lose results over it.
//
//	conform run --runner "nullrunner KIND"
//
// It shares the suite's own framing, since it is to be wrong on purpose only. It ends when its socket does.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// kinds are the runners by name.
var kinds = map[string]func() error{
	"absent":    absent,    // never dials
	"babble":    babble,    // never dials, and prints without end
	"silent":    silent,    // dials, and says nothing
	"garbage":   garbage,   // sends random bytes
	"handshake": handshake, // says Hello, and nothing after it
	"crash":     crash,     // says Hello, and ends when an actor is to start
	"flood":     flood,     // says Hello, and answers without end what nobody asked
	"parrot":    parrot,    // sends back whatever comes
	"always-ok": alwaysOK,  // answers everything with success and nothing in it
	"refusing":  refusing,  // answers everything with an error
}

func main() {
	if len(os.Args) != 2 || kinds[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "usage: nullrunner %s\n", strings.Join(slices.Sorted(maps.Keys(kinds)), "|"))
		os.Exit(64)
	}
	if err := kinds[os.Args[1]](); err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, "nullrunner:", err)
		os.Exit(1)
	}
}

func absent() error { select {} }

func babble() error {
	line := strings.Repeat("\x1b[31m\x00\xff garbage ", 100) + "\n"
	for {
		if _, err := io.WriteString(os.Stdout, line); err != nil {
			return err
		}
	}
}

// link is a socket to the suite.
type link struct{ *websocket.Conn }

func dial() (link, error) {
	endpoint := strings.Replace(cmp.Or(os.Getenv("STAGEDOOR_ENDPOINT"), "ws://127.0.0.1:6420"), "http", "ws", 1)
	header := http.Header{"Authorization": {"Bearer " + os.Getenv("STAGEDOOR_TOKEN")}}
	conn, err := websocket.Dial(context.Background(), strings.TrimSuffix(endpoint, "/")+"/runner/v1alpha1", "stagedoor.runner.v1alpha1", header)
	return link{conn}, err
}

// drain reads until the socket ends.
func (l link) drain() error {
	for {
		if _, _, err := l.Read(); err != nil {
			return nil
		}
	}
}

func (l link) send(f *runnerv1alpha1.Frame) error {
	body, err := proto.Marshal(f)
	if err != nil {
		return err
	}
	return l.Write(websocket.Binary, frame.Append(nil, body))
}

// each calls answer with every frame that comes.
func (l link) each(answer func(*runnerv1alpha1.Frame) error) error {
	for {
		_, message, err := l.Read()
		if err != nil {
			return nil
		}
		bodies, err := frame.Split(message, websocket.MaxMessage)
		if err != nil {
			return err
		}
		for _, body := range bodies {
			f := &runnerv1alpha1.Frame{}
			if err := proto.Unmarshal(body, f); err != nil {
				return err
			}
			if err := answer(f); err != nil {
				return err
			}
		}
	}
}

func silent() error {
	l, err := dial()
	if err != nil {
		return err
	}
	return l.drain()
}

func garbage() error {
	l, err := dial()
	if err != nil {
		return err
	}
	go func() { _ = l.drain() }()
	noise := make([]byte, 1000)
	for {
		if _, err := rand.Read(noise); err != nil {
			return err
		}
		if err := l.Write(websocket.Binary, noise); err != nil {
			return nil
		}
	}
}
