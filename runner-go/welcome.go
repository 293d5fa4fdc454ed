package runner

import (
	"bytes"
	"fmt"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// handshake takes the first frame of the gateway [LINK-1].
func (d *dialog) handshake(f wire.Frame) error {
	m, err := wire.DecodeRunner(f)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *runnerv1alpha1.Welcome:
		return d.welcome(m)
	case *runnerv1alpha1.Reject:
		d.goodbye = &farewell{
			cause:      &Error{Code: m.Code, Message: rejectText(m), Retryable: m.Retryable},
			final:      !m.Retryable,
			retryAfter: time.Duration(m.RetryAfterMs) * time.Millisecond,
		}
		return nil // the gateway closes the socket
	case *commonv1alpha1.Goodbye:
		d.onGoodbye(m)
		return nil
	}
	return fmt.Errorf("%w: kind %d before Welcome", wire.ErrMalformed, f.Kind)
}

// welcome goes on with the session that Hello asked for, or begins another one [LINK-16] [LINK-17].
func (d *dialog) welcome(m *runnerv1alpha1.Welcome) error {
	r := d.h.runner
	if m.ResumedReceived != nil {
		if d.asked == nil || !bytes.Equal(m.Session, d.asked.id) {
			return fmt.Errorf("%w: a session resumed that was not asked for", wire.ErrMalformed)
		}
		d.sess = d.asked
		if d.sess.lease.ended() {
			return errLapsed
		}
		if err := d.sess.link.attach(d.out, *m.ResumedReceived); err != nil {
			return err
		}
		r.backoff.welcome(m.BackoffMinMs, m.BackoffMaxMs)
		r.log.Info("linked to the gateway again", "endpoint", r.config.Endpoint)
	} else {
		s := newSession(d.h, m, d.helloAt)
		d.h.begin(s, d.announced)
		d.sess = s
		s.link.first(d.out)
		r.backoff.welcome(m.BackoffMinMs, m.BackoffMaxMs)
		r.log.Info("linked to the gateway", "endpoint", r.config.Endpoint, "gateway", m.Gateway, "runner", m.Runner)
	}
	close(d.welcomed)
	return nil
}

func rejectText(m *runnerv1alpha1.Reject) string {
	if m.ProtocolMax == 0 {
		return m.Message
	}
	return fmt.Sprintf("%s (the gateway speaks versions %d to %d, this runner %d to %d)",
		m.Message, m.ProtocolMin, m.ProtocolMax, wire.ProtocolMin, wire.ProtocolMax)
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
	set(&l.MaxUnacked, m.GetMaxUnackedBytes())
	return l
}

// onGoodbye ends the session, or only the socket if the session goes on over another one [LINK-6].
func (d *dialog) onGoodbye(m *commonv1alpha1.Goodbye) {
	if m.Code == wire.RunnerSuperseded.New().Name() {
		return
	}
	d.over.Store(true)
	d.goodbye = &farewell{
		cause:      &Error{Code: m.Code, Message: m.Message, Retryable: m.Reconnect != commonv1alpha1.Reconnect_RECONNECT_NEVER},
		final:      m.Reconnect == commonv1alpha1.Reconnect_RECONNECT_NEVER,
		retryAfter: time.Duration(m.RetryAfterMs) * time.Millisecond,
	}
}
