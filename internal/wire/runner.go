package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// Kinds of the runner protocol, as in runner.proto.
const (
	RunnerCall            Kind = 1
	RunnerCallResult      Kind = 2
	RunnerCommit          Kind = 3
	RunnerCommitResult    Kind = 4
	RunnerEmit            Kind = 5
	RunnerPart            Kind = 6
	RunnerKvRead          Kind = 8
	RunnerKvResult        Kind = 9
	RunnerCancelCall      Kind = 12
	RunnerHello           Kind = 16
	RunnerWelcome         Kind = 17
	RunnerReject          Kind = 18
	RunnerStartActor      Kind = 20
	RunnerActorReady      Kind = 21
	RunnerStopActor       Kind = 22
	RunnerActorStopped    Kind = 23
	RunnerActorIntent     Kind = 24
	RunnerConnectionOpen  Kind = 30
	RunnerConnectionClose Kind = 31
	RunnerConnectionState Kind = 32
	RunnerPrincipal       Kind = 34
	RunnerHosted          Kind = 50
	RunnerAdopted         Kind = 51
	RunnerDrain           Kind = 52
	RunnerFence           Kind = 60
	RunnerFenceReached    Kind = 61
	RunnerUnsupported     Kind = 62
	RunnerPing            Kind = 100
	RunnerPong            Kind = 101
	RunnerAck             Kind = 102
	RunnerCredit          Kind = 103
	RunnerResumed         Kind = 104
	RunnerGoodbye         Kind = 105
)

// Call is runner.v1alpha1.Call. Decoded, its byte fields alias the frame. Alarm stays encoded: it is rare.
type Call struct {
	Actor          uint64
	ID             uint64
	Action         []byte // UTF-8
	Args           []byte
	Connection     uint64
	DeadlineMs     uint32
	Principal      uint64
	IdempotencyKey []byte
	Attempt        uint32
	Trace          []byte
	TraceState     []byte // UTF-8
	Alarm          []byte // encoded Alarm
	HasAlarm       bool
	Oneway         bool
	NowMs          int64
}

// Kind implements Message.
func (*Call) Kind() Kind { return RunnerCall }

// Size implements Message.
func (m *Call) Size() int {
	n := sizeUint(1, m.Actor) + sizeUint(2, m.ID) + sizeBytes(3, m.Action) + sizeBytes(4, m.Args) +
		sizeUint(5, m.Connection) + sizeUint(6, uint64(m.DeadlineMs)) + sizeUint(7, m.Principal) +
		sizeBytes(8, m.IdempotencyKey) + sizeUint(9, uint64(m.Attempt)) + sizeBytes(10, m.Trace) +
		sizeBytes(11, m.TraceState) + sizeBool(13, m.Oneway) + sizeUint(14, uint64(m.NowMs))
	if m.HasAlarm {
		n += sizePresent(12, m.Alarm)
	}
	return n
}

// AppendTo implements Message.
func (m *Call) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, m.Actor)
	dst = appendUint(dst, 2, m.ID)
	dst = appendBytes(dst, 3, m.Action)
	dst = appendBytes(dst, 4, m.Args)
	dst = appendUint(dst, 5, m.Connection)
	dst = appendUint(dst, 6, uint64(m.DeadlineMs))
	dst = appendUint(dst, 7, m.Principal)
	dst = appendBytes(dst, 8, m.IdempotencyKey)
	dst = appendUint(dst, 9, uint64(m.Attempt))
	dst = appendBytes(dst, 10, m.Trace)
	dst = appendBytes(dst, 11, m.TraceState)
	if m.HasAlarm {
		dst = appendPresent(dst, 12, m.Alarm)
	}
	dst = appendBool(dst, 13, m.Oneway)
	return appendUint(dst, 14, uint64(m.NowMs))
}

// Unmarshal decodes the body of a frame into m, replacing what it held.
func (m *Call) Unmarshal(b []byte) error {
	*m = Call{}
	f := fields{what: "Call", rest: b}
	for f.next() {
		switch {
		case f.isVarint():
			m.setVarint(&f)
		case !f.isBytes():
		case f.num == 3:
			m.Action = f.text("Call.action")
		case f.num == 4:
			m.Args = f.bytes
		case f.num == 8:
			m.IdempotencyKey = f.bytes
		case f.num == 10:
			m.Trace = f.bytes
		case f.num == 11:
			m.TraceState = f.text("Call.tracestate")
		case f.num == 12:
			m.HasAlarm = true
			m.Alarm, f.err = mergeAlarm(m.Alarm, f.bytes)
		}
	}
	return f.err
}

func (m *Call) setVarint(f *fields) {
	switch f.num {
	case 1:
		m.Actor = f.value
	case 2:
		m.ID = f.value
	case 5:
		m.Connection = f.value
	case 6:
		m.DeadlineMs = uint32(f.value)
	case 7:
		m.Principal = f.value
	case 9:
		m.Attempt = uint32(f.value)
	case 13:
		m.Oneway = f.value != 0
	case 14:
		m.NowMs = int64(f.value)
	default: // unknown [FRAME-4]
	}
}

// CallResult is runner.v1alpha1.CallResult. HasOutput tells an absent output from an empty one.
type CallResult struct {
	Actor     uint64
	ID        uint64
	Output    []byte
	HasOutput bool
	Error     *Error
	NotRun    bool
}

// Kind implements Message.
func (*CallResult) Kind() Kind { return RunnerCallResult }

// Size implements Message.
func (m *CallResult) Size() int {
	n := sizeUint(1, m.Actor) + sizeUint(2, m.ID) + sizeError(5, m.Error) + sizeBool(6, m.NotRun)
	if m.HasOutput {
		n += sizePresent(4, m.Output)
	}
	return n
}

// AppendTo implements Message.
func (m *CallResult) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, m.Actor)
	dst = appendUint(dst, 2, m.ID)
	if m.HasOutput {
		dst = appendPresent(dst, 4, m.Output)
	}
	dst = appendError(dst, 5, m.Error)
	return appendBool(dst, 6, m.NotRun)
}

// Unmarshal decodes the body of a frame into m, replacing what it held.
func (m *CallResult) Unmarshal(b []byte) error {
	*m = CallResult{}
	f := fields{what: "CallResult", rest: b}
	for f.next() {
		switch {
		case f.num == 1 && f.isVarint():
			m.Actor = f.value
		case f.num == 2 && f.isVarint():
			m.ID = f.value
		case f.num == 4 && f.isBytes():
			m.Output, m.HasOutput = f.bytes, true
		case f.num == 5 && f.isBytes():
			f.err = mergeError(&m.Error, f.bytes)
		case f.num == 6 && f.isVarint():
			m.NotRun = f.value != 0
		}
	}
	return f.err
}

func mergeError(e **Error, b []byte) error {
	if *e == nil {
		*e = new(Error)
	}
	return mergeInto(*e, b)
}

// Commit is runner.v1alpha1.Commit. Changes is one encoded Changes.
type Commit struct {
	Actor   uint64
	Version uint64
	Changes []byte
	Outputs uint32
}

// Kind implements Message.
func (*Commit) Kind() Kind { return RunnerCommit }

// Size implements Message.
func (m *Commit) Size() int {
	return sizeUint(1, m.Actor) + sizeUint(2, m.Version) + sizeBytes(3, m.Changes) + sizeUint(4, uint64(m.Outputs))
}

// AppendTo implements Message.
func (m *Commit) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, m.Actor)
	dst = appendUint(dst, 2, m.Version)
	dst = appendBytes(dst, 3, m.Changes)
	return appendUint(dst, 4, uint64(m.Outputs))
}

// Unmarshal decodes the body of a frame into m, replacing what it held.
func (m *Commit) Unmarshal(b []byte) error {
	*m = Commit{}
	f := fields{what: "Commit", rest: b}
	for f.next() {
		switch {
		case f.num == 1 && f.isVarint():
			m.Actor = f.value
		case f.num == 2 && f.isVarint():
			m.Version = f.value
		case f.num == 3 && f.isBytes():
			m.Changes = f.bytes
		case f.num == 4 && f.isVarint():
			m.Outputs = uint32(f.value)
		}
	}
	return f.err
}

// CommitResult is runner.v1alpha1.CommitResult.
type CommitResult struct {
	Actor   uint64
	Version uint64
	Error   *Error
}

// Kind implements Message.
func (*CommitResult) Kind() Kind { return RunnerCommitResult }

// Size implements Message.
func (m *CommitResult) Size() int {
	return sizeUint(1, m.Actor) + sizeUint(2, m.Version) + sizeError(3, m.Error)
}

// AppendTo implements Message.
func (m *CommitResult) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, m.Actor)
	dst = appendUint(dst, 2, m.Version)
	return appendError(dst, 3, m.Error)
}

// Unmarshal decodes the body of a frame into m, replacing what it held.
func (m *CommitResult) Unmarshal(b []byte) error {
	*m = CommitResult{}
	f := fields{what: "CommitResult", rest: b}
	for f.next() {
		switch {
		case f.num == 1 && f.isVarint():
			m.Actor = f.value
		case f.num == 2 && f.isVarint():
			m.Version = f.value
		case f.num == 3 && f.isBytes():
			f.err = mergeError(&m.Error, f.bytes)
		}
	}
	return f.err
}

// Emit is runner.v1alpha1.Emit.
type Emit struct {
	Actor      uint64
	Event      []byte // UTF-8
	To         []uint64
	Args       []byte
	Except     []uint64
	All        bool
	Unreliable bool
}

// Cost is what the event costs of a credit [LINK-18].
func (m *Emit) Cost() uint64 { return 64 + uint64(len(m.Event)) + uint64(len(m.Args)) }

// Kind implements Message.
func (*Emit) Kind() Kind { return RunnerEmit }

// Size implements Message.
func (m *Emit) Size() int {
	return sizeUint(1, m.Actor) + sizeBytes(2, m.Event) + sizePacked(3, m.To) + sizeBytes(4, m.Args) +
		sizePacked(5, m.Except) + sizeBool(6, m.All) + sizeBool(7, m.Unreliable)
}

// AppendTo implements Message.
func (m *Emit) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, m.Actor)
	dst = appendBytes(dst, 2, m.Event)
	dst = appendPacked(dst, 3, m.To)
	dst = appendBytes(dst, 4, m.Args)
	dst = appendPacked(dst, 5, m.Except)
	dst = appendBool(dst, 6, m.All)
	return appendBool(dst, 7, m.Unreliable)
}

// Unmarshal decodes the body of a frame into m, replacing what it held.
func (m *Emit) Unmarshal(b []byte) error {
	*m = Emit{}
	f := fields{what: "Emit", rest: b}
	for f.next() {
		switch {
		case f.num == 1 && f.isVarint():
			m.Actor = f.value
		case f.num == 2 && f.isBytes():
			m.Event = f.text("Emit.event")
		case f.num == 3 && (f.isVarint() || f.isBytes()):
			m.To = f.appendRepeated(m.To, "Emit.to")
		case f.num == 4 && f.isBytes():
			m.Args = f.bytes
		case f.num == 5 && (f.isVarint() || f.isBytes()):
			m.Except = f.appendRepeated(m.Except, "Emit.except")
		case f.num == 6 && f.isVarint():
			m.All = f.value != 0
		case f.num == 7 && f.isVarint():
			m.Unreliable = f.value != 0
		}
	}
	return f.err
}

// Part is runner.v1alpha1.Part.
type Part struct {
	Actor uint64
	Data  []byte
	Last  bool
}

// Kind implements Message.
func (*Part) Kind() Kind { return RunnerPart }

// Size implements Message.
func (m *Part) Size() int {
	return sizeUint(1, m.Actor) + sizeBytes(4, m.Data) + sizeBool(5, m.Last)
}

// AppendTo implements Message.
func (m *Part) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, m.Actor)
	dst = appendBytes(dst, 4, m.Data)
	return appendBool(dst, 5, m.Last)
}

// Unmarshal decodes the body of a frame into m, replacing what it held.
func (m *Part) Unmarshal(b []byte) error {
	*m = Part{}
	f := fields{what: "Part", rest: b}
	for f.next() {
		switch {
		case f.num == 1 && f.isVarint():
			m.Actor = f.value
		case f.num == 4 && f.isBytes():
			m.Data = f.bytes
		case f.num == 5 && f.isVarint():
			m.Last = f.value != 0
		}
	}
	return f.err
}

// ActorRef reads field 1, the actor's ref, of any actor-scoped message; 0 if there is none. It looks no further than
// it must, so that damage behind it can be charged to the actor [LINK-9].
func ActorRef(body []byte) uint64 {
	num, typ, n := protowire.ConsumeTag(body)
	if n < 0 || num != 1 || typ != protowire.VarintType {
		return 0
	}
	v, n := protowire.ConsumeVarint(body[n:])
	if n < 0 {
		return 0
	}
	return v
}

var runnerSchema = newSchema((*runnerv1alpha1.Frame)(nil))

// Runner makes a frame's message of a generated one of the runner protocol. It panics on a foreign message: a bug.
func Runner(m proto.Message) Message { return runnerSchema.message(m) }

// DecodeRunner decodes a frame of the runner protocol: *Call, *CallResult, *Commit, *CommitResult, *Emit, *Part or a
// generated message. nil without error: an unknown kind [FRAME-4].
func DecodeRunner(f Frame) (any, error) {
	switch f.Kind {
	case RunnerCall:
		m := new(Call)
		return m, m.Unmarshal(f.Body)
	case RunnerCallResult:
		m := new(CallResult)
		return m, m.Unmarshal(f.Body)
	case RunnerCommit:
		m := new(Commit)
		return m, m.Unmarshal(f.Body)
	case RunnerCommitResult:
		m := new(CommitResult)
		return m, m.Unmarshal(f.Body)
	case RunnerEmit:
		m := new(Emit)
		return m, m.Unmarshal(f.Body)
	case RunnerPart:
		m := new(Part)
		return m, m.Unmarshal(f.Body)
	default:
		return runnerSchema.decode(f)
	}
}

// DecodeAlarm decodes Call.Alarm.
func DecodeAlarm(b []byte) (*runnerv1alpha1.Alarm, error) {
	m := new(runnerv1alpha1.Alarm)
	return m, unmarshalMerge("Call.alarm", b, m)
}

// DecodeChanges decodes Commit.Changes.
func DecodeChanges(b []byte) (*runnerv1alpha1.Changes, error) {
	m := new(runnerv1alpha1.Changes)
	return m, unmarshalMerge("Commit.changes", b, m)
}

// mergeAlarm checks one occurrence of Call.alarm and joins it to earlier ones: concatenation is protobuf's merge.
func mergeAlarm(have, more []byte) ([]byte, error) {
	if _, err := DecodeAlarm(more); err != nil {
		return nil, err
	}
	if len(have) == 0 {
		return more, nil
	}
	return append(have[:len(have):len(have)], more...), nil
}

func unmarshalMerge(what string, b []byte, m proto.Message) error {
	if err := (proto.UnmarshalOptions{Merge: true, DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrMalformed, what, err)
	}
	return nil
}
