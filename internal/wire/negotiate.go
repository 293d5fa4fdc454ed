package wire

// The range of runner protocol versions that this code speaks [LINK-4].
const (
	ProtocolMin = 1
	ProtocolMax = 1
)

// Features of the runner protocol beyond its core.
const (
	FeatureConnections = "connections"
	FeatureEvents      = "events"
	FeatureKV          = "kv"
	FeatureResume      = "resume"
	FeatureAdopt       = "adopt"
	FeatureCredit      = "credit"
)

// RunnerFeatures are what this code offers; core is not named.
func RunnerFeatures() []string {
	return []string{FeatureConnections, FeatureEvents, FeatureKV, FeatureResume, FeatureAdopt, FeatureCredit}
}

// Features of the client protocol.
const (
	FeatureClientResume     = "resume"     // a session that outlives its socket [SESS-13]
	FeatureClientUnreliable = "unreliable" // UnreliableEvent [CONN-11]
)

// Subprotocols of WebSocket and WebTransport.
const (
	SubprotocolClientProto = "stagedoor.v1.proto"
	SubprotocolClientJSON  = "stagedoor.v1.json"
	SubprotocolRunner      = "stagedoor.runner.v1alpha1"
)

// NegotiateProtocol picks the highest version that both ranges hold; ok is false where there is none [LINK-4].
func NegotiateProtocol(peerMin, peerMax uint32) (version uint32, ok bool) {
	version = min(peerMax, ProtocolMax)
	return version, version >= max(peerMin, ProtocolMin)
}

// NegotiateFeatures is what both sides name, in our order [LINK-4].
func NegotiateFeatures(ours, theirs []string) []string {
	known := make(map[string]bool, len(theirs))
	for _, f := range theirs {
		known[f] = true
	}
	both := []string{}
	for _, f := range ours {
		if known[f] {
			both = append(both, f)
		}
	}
	return both
}

// featureOf is the feature that a kind of the runner protocol belongs to; empty: core.
func featureOf(k Kind) string {
	switch k {
	case RunnerEmit:
		return FeatureEvents
	case RunnerKvRead, RunnerKvResult:
		return FeatureKV
	case RunnerConnectionOpen, RunnerConnectionClose, RunnerConnectionState, RunnerPrincipal:
		return FeatureConnections
	case RunnerHosted, RunnerAdopted:
		return FeatureAdopt
	case RunnerAck, RunnerResumed:
		return FeatureResume
	case RunnerCredit:
		return FeatureCredit
	default:
		return ""
	}
}

// Negotiated tells whether frames of the kind may be sent with these features [FRAME-4].
func Negotiated(k Kind, features []string) bool {
	need := featureOf(k)
	if need == "" {
		return true
	}
	for _, f := range features {
		if f == need {
			return true
		}
	}
	return false
}
