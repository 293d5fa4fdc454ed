package stats

import "slices"

// The limits that are counted when somebody reaches them [LIMIT-1]: the fields of wire.Limits in snake case.
const (
	MaxFrame                = "max_frame"
	MaxArgs                 = "max_args"
	MaxInput                = "max_input"
	MaxParams               = "max_params"
	MaxAction               = "max_action"
	MaxEventName            = "max_event_name"
	MaxCalls                = "max_calls"
	MaxConnections          = "max_connections"
	MaxSubscriptions        = "max_subscriptions"
	MaxSessionQueue         = "max_session_queue"
	MaxChannelKept          = "max_channel_kept"
	MaxSockets              = "max_sockets"
	MaxSessionsPerPrincipal = "max_sessions_per_principal"
	MaxSessionsPerAddress   = "max_sessions_per_address"
	MaxCallsPerPrincipal    = "max_calls_per_principal"
	MaxCallsPerAddress      = "max_calls_per_address"
	MaxMemory               = "max_memory"
	MaxConnectionsPerActor  = "max_connections_per_actor"
	MaxCallsPerActor        = "max_calls_per_actor"
	MaxReadsPerActor        = "max_reads_per_actor"
	MaxLinkQueue            = "max_link_queue"
	MaxState                = "max_state"
	MaxKVKey                = "max_kv_key"
	MaxKVValue              = "max_kv_value"
	MaxKVBatch              = "max_kv_batch"
	MaxKVOperations         = "max_kv_operations"
	MaxCommit               = "max_commit"
	MaxOutput               = "max_output"
	MaxEvent                = "max_event"
	MaxErrorMetadata        = "max_error_metadata"
	MaxConnectionState      = "max_connection_state"
	MaxGroupOutputs         = "max_group_outputs"
	MaxGroupBytes           = "max_group_bytes"
	MaxHeldBytes            = "max_held_bytes"
	MaxUnacked              = "max_unacked"
	EventWindow             = "event_window"
	LinkWindow              = "link_window"
)

// limits are their names in order; a limit's counter has the same index.
var limits = [...]string{
	EventWindow, LinkWindow, MaxAction, MaxArgs, MaxCalls, MaxCallsPerActor, MaxCallsPerAddress, MaxCallsPerPrincipal,
	MaxChannelKept, MaxCommit, MaxConnectionState, MaxConnections, MaxConnectionsPerActor, MaxErrorMetadata, MaxEvent,
	MaxEventName, MaxFrame, MaxGroupBytes, MaxGroupOutputs, MaxHeldBytes, MaxInput, MaxKVBatch, MaxKVKey, MaxKVOperations,
	MaxKVValue, MaxLinkQueue, MaxMemory, MaxOutput, MaxParams, MaxReadsPerActor, MaxSessionQueue, MaxSessionsPerAddress,
	MaxSessionsPerPrincipal, MaxSockets, MaxState, MaxSubscriptions, MaxUnacked,
}

// Limit counts that a limit was reached; the name is one of the constants above, another counts nothing.
func (s *Stats) Limit(name string) {
	if i, ok := slices.BinarySearch(limits[:], name); ok {
		s.limits[i].Inc()
	}
}

// EachLimit visits the counters of all limits.
func (s *Stats) EachLimit(visit func(name string, reached *Counter)) {
	for i, name := range limits {
		visit(name, &s.limits[i])
	}
}
