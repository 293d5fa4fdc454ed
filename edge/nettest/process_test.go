package nettest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stagedoor-dev/stagedoor/edge/certificate"
	"github.com/stagedoor-dev/stagedoor/edge/serve"
	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/store/embedded"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// gatewayEnv makes the test binary a gateway with a runner instead of a test; it holds settings.
const gatewayEnv = "STAGEDOOR_NETTEST_GATEWAY"

// settings of the gateway in the other process.
type settings struct {
	Address    string // to listen on; port 0: any
	Ping       time.Duration
	MaxMemory  int
	MaxSockets int
}

// figures are what a gateway process says of itself.
type figures struct {
	Goroutines int
	Heap       int // bytes, after collections
	RSS        int // bytes
}

// gatewayProcess serves until its standard input ends. On its standard output it says where, and figures for each line read.
func gatewayProcess(text string) int {
	err := serveProcess(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serveProcess(text string) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := embedded.Open(embedded.Options{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		return err
	}
	limits := wire.DefaultLimits()
	if s.MaxMemory > 0 {
		limits.MaxMemory = s.MaxMemory
	}
	if s.MaxSockets > 0 {
		limits.MaxSockets = s.MaxSockets
	}
	g, err := gateway.New(gateway.Config{Store: store, Insecure: true, ClientPing: s.Ping, Limits: limits, Logger: logger})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended, over := context.WithCancel(context.Background())
	defer over()
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := host(ctx, g, logger); err != nil {
			logger.Error("the runner ended", "error", err)
		}
	})
	options, err := listening(ctx, s.Address, logger)
	if err == nil {
		fmt.Println(options.HTTP.Addr())
		go func() {
			answerFigures()
			stuck := time.AfterFunc(15*time.Second, writeStacks)
			context.AfterFunc(ended, func() { stuck.Stop() })
			cancel()
		}()
		err = serve.Run(ctx, g, options)
		over()
	}
	cancel()
	serving.Wait()
	return errors.Join(err, store.Close())
}

func listening(ctx context.Context, address string, logger *slog.Logger) (serve.Options, error) {
	source, err := certificate.NewDevelopment("")
	if err != nil {
		return serve.Options{}, err
	}
	tcp, udp, err := serve.ListenBoth(ctx, address, 0)
	return serve.Options{
		HTTP: tcp, QUIC: udp, Certificates: source, PlainToo: true, Logger: logger, DrainTimeout: 20 * time.Second,
		SessionStreams: 2 * wire.DefaultLimits().MaxConnections,
	}, err
}

// host runs the actors beside the gateway.
func host(ctx context.Context, g *gateway.Gateway, logger *slog.Logger) error {
	var links sync.WaitGroup
	defer links.Wait()
	r, err := runner.New(runner.Config{
		Endpoint: "tcp://gateway:1", Logger: logger,
		Dial: func(context.Context) (net.Conn, error) {
			ours, theirs := net.Pipe()
			links.Go(func() { g.ServeRunner(theirs) })
			return ours, nil
		},
	}, metronomeType(), tallyType())
	if err != nil {
		return err
	}
	return r.Serve(ctx)
}

// answerFigures answers each line of the standard input, until it ends.
func answerFigures() {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if in.Text() == "stacks" {
			writeStacks()
			continue
		}
		if in.Text() == "collect" {
			debug.FreeOSMemory()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		text, err := json.Marshal(figures{Goroutines: runtime.NumGoroutine(), Heap: int(m.HeapAlloc), RSS: residentSize()})
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}

// writeStacks is for whoever looks for what does not end.
func writeStacks() {
	b := make([]byte, 4<<20)
	_, _ = os.Stderr.Write(b[:runtime.Stack(b, true)])
}

// residentSize is what the process holds of the machine's memory; 0: the system does not say.
func residentSize() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	number, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	kilobytes, _ := strconv.Atoi(number)
	return kilobytes << 10
}

// counters are the numbers of a gateway's /metrics, by their names with labels.
func counters(client *http.Client, base string) (map[string]float64, error) {
	response, err := client.Get(base + "/metrics")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	numbers := map[string]float64{}
	for line := range bytes.Lines(text) {
		name, number, found := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if value, bad := strconv.ParseFloat(string(number), 64); found && bad == nil {
			numbers[string(name)] = value
		}
	}
	return numbers, err
}
