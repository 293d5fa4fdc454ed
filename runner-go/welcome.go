package runner

import (
	"fmt"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// handshake takes the first frame of the gateway [LINK-1].
func (s *session) handshake(f wire.Frame) error {
	m, err := wire.DecodeRunner(f)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *runnerv1alpha1.Welcome:
		s.adopt(m)
		s.begun = true
		s.welcomed <- m
		return nil
	case *runnerv1alpha1.Reject:
		s.goodbye = &farewell{
			cause:      &Error{Code: m.Code, Message: rejectText(m), Retryable: m.Retryable},
			final:      !m.Retryable,
			retryAfter: time.Duration(m.RetryAfterMs) * time.Millisecond,
		}
		return nil // the gateway closes the socket
	case *commonv1alpha1.Goodbye:
		s.onGoodbye(m)
		return nil
	case *commonv1alpha1.Ping:
		s.link.pushLink(wire.Runner(&runnerv1alpha1.Pong{Nonce: m.Nonce}))
		return nil
	case nil:
		s.unsupported(f.Kind, 0)
		return nil
	}
	return fmt.Errorf("%w: kind %d before Welcome", wire.ErrMalformed, f.Kind)
}

func rejectText(m *runnerv1alpha1.Reject) string {
	if m.ProtocolMax == 0 {
		return m.Message
	}
	return fmt.Sprintf("%s (the gateway speaks versions %d to %d, this runner %d to %d)",
		m.Message, m.ProtocolMin, m.ProtocolMax, wire.ProtocolMin, wire.ProtocolMax)
}

// adopt takes over what Welcome says; zero leaves a default.
func (s *session) adopt(m *runnerv1alpha1.Welcome) {
	s.features = wire.NegotiateFeatures(wire.RunnerFeatures(), m.Features)
	s.limits = runnerLimits(m.Limits)
	s.faults = faults{development: m.Development, maxMetadata: s.limits.MaxErrorMetadata}
	s.sleepAfter = milliseconds(m.TimeoutsMs["sleep_after"], defaultSleepAfter)
	s.stopGrace = milliseconds(m.TimeoutsMs["stop"], defaultStopGrace)
	s.pingEvery = milliseconds(m.PingMs, defaultPing)
	s.lostAfter = milliseconds(m.LostMs, defaultLost)
}

func milliseconds(ms uint32, otherwise time.Duration) time.Duration {
	if ms == 0 {
		return otherwise
	}
	return time.Duration(ms) * time.Millisecond
}

func runnerLimits(m *runnerv1alpha1.Limits) wire.Limits {
	l := wire.DefaultLimits()
	set := func(to *int, v uint32) {
		if v != 0 {
			*to = int(v)
		}
	}
	set(&l.MaxFrame, m.GetMaxMessage())
	set(&l.MaxState, m.GetMaxState())
	set(&l.MaxKVKey, m.GetMaxKvKey())
	set(&l.MaxKVValue, m.GetMaxKvValue())
	set(&l.MaxKVBatch, m.GetMaxKvBatch())
	set(&l.MaxKVOperations, m.GetMaxKvOperations())
	set(&l.MaxCommit, m.GetMaxCommit())
	set(&l.MaxOutput, m.GetMaxOutput())
	set(&l.MaxEvent, m.GetMaxEvent())
	set(&l.MaxErrorMetadata, m.GetMaxErrorMetadata())
	set(&l.MaxConnectionState, m.GetMaxConnectionState())
	set(&l.MaxReadsPerActor, m.GetMaxReadsPerActor())
	set(&l.MaxGroupOutputs, m.GetMaxGroupOutputs())
	set(&l.MaxGroupBytes, m.GetMaxGroupBytes())
	set(&l.MaxHeldBytes, m.GetMaxHeldBytes())
	return l
}

func (s *session) onGoodbye(m *commonv1alpha1.Goodbye) {
	s.goodbye = &farewell{
		cause:      &Error{Code: m.Code, Message: m.Message, Retryable: m.Reconnect != commonv1alpha1.Reconnect_RECONNECT_NEVER},
		final:      m.Reconnect == commonv1alpha1.Reconnect_RECONNECT_NEVER,
		retryAfter: time.Duration(m.RetryAfterMs) * time.Millisecond,
	}
}
