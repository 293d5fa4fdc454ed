package wire

import (
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// MaxUnreliableEvent bounds the name and the arguments of an unreliable event together, in bytes, so that a datagram takes
// it. Beyond it: event.too_large [CONN-11].
const MaxUnreliableEvent = 1000

// Limits are announced in the handshake and hit only the message that breaks them. Bytes, except where a comment says
// count. Each has its own error, named behind it.
type Limits struct {
	// MaxFrame bounds one frame or WebSocket message on any socket. Beyond it the socket is lost [FRAME-2].
	MaxFrame int

	MaxArgs          int // request.too_large
	MaxInput         int // request.too_large
	MaxParams        int // request.too_large
	MaxAction        int // request.invalid
	MaxEventName     int // request.invalid
	MaxCalls         int // count per session: session.too_many_calls
	MaxConnections   int // count per session: connection.too_many
	MaxSubscriptions int // count per connection: request.too_large
	MaxSessionQueue  int // session.slow_reader [SESS-6]
	MaxChannelKept   int // connection.resume_lost [SESS-17]

	// Of a gateway as a whole; 0: no limit.
	MaxSockets              int // count: gateway.overloaded [LIMIT-2]
	MaxSessionsPerPrincipal int // count: session.too_many [LIMIT-2]
	MaxSessionsPerAddress   int // count: session.too_many [LIMIT-2]
	MaxCallsPerPrincipal    int // count: request.too_many [LIMIT-2]
	MaxCallsPerAddress      int // count: request.too_many [LIMIT-2]
	MaxMemory               int // of all queues and buffers: gateway.overloaded, then as LIMIT-4 says

	MaxConnectionsPerActor int // count: actor.too_many_connections [LIMIT-3]

	MaxCallsPerActor   int // count: actor.overloaded [CALL-6]
	MaxReadsPerActor   int // count: runner.invalid_report
	MaxLinkQueue       int // runner.overloaded
	MaxState           int // state.too_large
	MaxKVKey           int // kv.key_too_large
	MaxKVValue         int // kv.value_too_large
	MaxKVBatch         int // kv.batch_too_large
	MaxKVOperations    int // count per commit: kv.batch_too_large
	MaxCommit          int // state.too_large
	MaxOutput          int // action.result_too_large
	MaxEvent           int // event.too_large
	MaxErrorMetadata   int // dropped from the error
	MaxConnectionState int // connection.state_too_large
	MaxGroupOutputs    int // count: runner.invalid_report [GATE-4]
	MaxGroupBytes      int // runner.invalid_report [GATE-4]
	MaxHeldBytes       int // outputs of one actor held behind commits: runner.invalid_report
	MaxUnacked         int // written and not acknowledged on a link, each way: writing waits [LINK-15]
	EventWindow        int // cost of one actor's events under way: runner.invalid_report [LINK-18]
	LinkWindow         int // cost of all events under way on a link: runner.invalid_report [LINK-18]
}

// DefaultLimits is the table of a gateway that was not told otherwise.
func DefaultLimits() Limits {
	return Limits{
		MaxFrame:         16 << 20,
		MaxArgs:          1 << 20,
		MaxInput:         1 << 20,
		MaxParams:        64 << 10,
		MaxAction:        128,
		MaxEventName:     128,
		MaxCalls:         1024,
		MaxConnections:   256,
		MaxSubscriptions: 256,
		MaxSessionQueue:  4 << 20,
		MaxChannelKept:   1 << 20,

		MaxSockets:              250_000,
		MaxSessionsPerPrincipal: 250_000,
		MaxSessionsPerAddress:   50_000,
		MaxCallsPerPrincipal:    250_000,
		MaxCallsPerAddress:      50_000,
		MaxMemory:               1 << 30,

		MaxConnectionsPerActor: 100_000,

		MaxCallsPerActor:   1024,
		MaxReadsPerActor:   64,
		MaxLinkQueue:       64 << 20,
		MaxState:           8 << 20,
		MaxKVKey:           2 << 10,
		MaxKVValue:         1 << 20,
		MaxKVBatch:         4 << 20,
		MaxKVOperations:    1024,
		MaxCommit:          14 << 20,
		MaxOutput:          1 << 20,
		MaxEvent:           1 << 20,
		MaxErrorMetadata:   16 << 10,
		MaxConnectionState: 64 << 10,
		MaxGroupOutputs:    4096,
		MaxGroupBytes:      8 << 20,
		MaxHeldBytes:       32 << 20,
		MaxUnacked:         16 << 20,
		EventWindow:        8 << 20,
		LinkWindow:         64 << 20,
	}
}

// Runner is the part of the table that a runner is told.
func (l Limits) Runner() *runnerv1alpha1.Limits {
	return &runnerv1alpha1.Limits{
		MaxMessage:         uint32(l.MaxFrame),
		MaxCallsPerActor:   uint32(l.MaxCallsPerActor),
		MaxState:           uint32(l.MaxState),
		MaxKvKey:           uint32(l.MaxKVKey),
		MaxKvValue:         uint32(l.MaxKVValue),
		MaxKvBatch:         uint32(l.MaxKVBatch),
		MaxKvOperations:    uint32(l.MaxKVOperations),
		MaxCommit:          uint32(l.MaxCommit),
		MaxOutput:          uint32(l.MaxOutput),
		MaxEvent:           uint32(l.MaxEvent),
		MaxErrorMetadata:   uint32(l.MaxErrorMetadata),
		MaxConnectionState: uint32(l.MaxConnectionState),
		MaxReadsPerActor:   uint32(l.MaxReadsPerActor),
		MaxGroupOutputs:    uint32(l.MaxGroupOutputs),
		MaxGroupBytes:      uint32(l.MaxGroupBytes),
		MaxHeldBytes:       uint32(l.MaxHeldBytes),
		MaxUnackedBytes:    uint32(l.MaxUnacked),
		EventWindow:        uint64(l.EventWindow),
		LinkWindow:         uint64(l.LinkWindow),

		MaxConnectionsPerActor: uint32(l.MaxConnectionsPerActor),
	}
}

// Client is the part of the table that a client is told.
func (l Limits) Client() *clientv1alpha1.Limits {
	return &clientv1alpha1.Limits{
		MaxMessage:       uint32(l.MaxFrame),
		MaxArgs:          uint32(l.MaxArgs),
		MaxInput:         uint32(l.MaxInput),
		MaxParams:        uint32(l.MaxParams),
		MaxCalls:         uint32(l.MaxCalls),
		MaxConnections:   uint32(l.MaxConnections),
		MaxSubscriptions: uint32(l.MaxSubscriptions),
	}
}
