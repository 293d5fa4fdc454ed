package runner

import (
	"context"
	"fmt"
	"strings"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// Type is an actor type: the name under which a runner hosts it, its actions, hooks and options. Define makes it.
type Type[A any] struct {
	def *definition
}

// Name is the actor type's name, as in an address.
func (t *Type[A]) Name() string { return t.def.name }

func (t *Type[A]) definition() *definition { return t.def }

// Definition is any *Type: what New, Main and runnertest.New take.
type Definition interface {
	// Name is the actor type's name.
	Name() string
	definition() *definition
}

// definition is a Type without its Go type, as the engine uses it.
type definition struct {
	name    string
	options options
	actions map[string]*action
	events  map[string]declared // nil: none declared, all allowed
	ordered []string            // the declared events, for Hello

	// The user's code. nil: not registered. All but build run inside turns.
	build           func() hosted
	createState     func(self hosted, ctx context.Context) error
	onCreate        hook
	createVars      hook
	onWake          hook
	onSleep         hook
	onDestroy       hook
	run             hook
	beforeConnect   func(self hosted, ctx context.Context, params []byte) error
	createConnState func(self hosted, ctx context.Context, conn *connection) error
	onConnect       connHook
	onDisconnect    connHook
}

type (
	hook     func(self hosted, ctx context.Context) error
	connHook func(self hosted, ctx context.Context, conn *connection) error
)

// hosted is what embedding Actor gives the user's struct.
type hosted interface {
	bind(in *instance)
	encodeState() ([]byte, error)
	decodeState(b []byte) error
	newConnection() *connection
}

// pointerTo is satisfied by the pointer of a struct that embeds Actor.
type pointerTo[A any] interface {
	*A
	hosted
}

type options struct {
	sleepAfter    time.Duration // 0: the gateway's default
	stayAwake     bool
	durability    Durability
	actionTimeout time.Duration // 0: the caller's alone
	maxCalls      int           // 0: the gateway's limit
}

// Option adjusts an actor type at Define.
type Option func(*definition)

// Durability is the class in which a commit counts as acknowledged [CLASS-1].
type Durability int

// The durability classes. A runner that asks for one that the store cannot give is rejected.
const (
	// StoreDefault: disk on the embedded store, fast on Redis.
	StoreDefault Durability = iota
	// Volatile: nothing is written; the state lives as long as the actor is awake.
	Volatile
	// Fast: the store's process has it.
	Fast
	// Disk: it is synced to the store's disk.
	Disk
	// Replicated: at least one replica has it.
	Replicated
)

// WithSleepAfter sets the idle time after which an actor sleeps. Default: the gateway's, 30 s.
func WithSleepAfter(d time.Duration) Option {
	return func(def *definition) { def.options.sleepAfter = d }
}

// WithStayAwake keeps the type's actors in memory until they are stopped from outside or call Sleep.
func WithStayAwake() Option {
	return func(def *definition) { def.options.stayAwake = true }
}

// WithDurability asks for a durability class. Default: StoreDefault.
func WithDurability(class Durability) Option {
	return func(def *definition) { def.options.durability = class }
}

// WithActionTimeout bounds each action, on top of the caller's own deadline: at its end the action's context is canceled.
// Default: the caller's deadline alone.
func WithActionTimeout(d time.Duration) Option {
	return func(def *definition) { def.options.actionTimeout = d }
}

// WithMaxCalls bounds the calls that wait for one actor at once; one more is answered actor.overloaded by the gateway
// [CALL-6]. Default: the gateway's limit.
func WithMaxCalls(n int) Option {
	return func(def *definition) { def.options.maxCalls = n }
}

// WithEvents declares the type's events. Once a type declares any, emitting or subscribing to another is
// event.not_found [CONN-9].
func WithEvents(names ...string) Option {
	return func(def *definition) {
		for _, name := range names {
			def.declareEvent(name)
		}
	}
}

// Define makes an actor type of the struct A, which embeds Actor. The name is 1 to 64 of [A-Za-z0-9_.-], not only dots
// [ADDR-1]; any other panics.
func Define[A any, P pointerTo[A]](name string, opts ...Option) *Type[A] {
	if !validTypeName(name) {
		panic(fmt.Sprintf("runner: actor type %q: a name is 1 to 64 of [A-Za-z0-9_.-], not only dots", name)) //nolint:forbidigo // a definition is wrong when the program begins, or never
	}
	def := &definition{name: name, actions: map[string]*action{}, build: func() hosted { return P(new(A)) }}
	for _, opt := range opts {
		opt(def)
	}
	return &Type[A]{def: def}
}

func validTypeName(name string) bool {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
	return len(name) <= 64 && strings.Trim(name, ".") != "" && strings.Trim(name, allowed) == ""
}

// announce is the type as Hello names it.
func (d *definition) announce() *runnerv1alpha1.ActorType {
	return &runnerv1alpha1.ActorType{
		Name:         d.name,
		Durability:   runnerv1alpha1.Durability(d.options.durability),
		Concurrency:  runnerv1alpha1.Concurrency_CONCURRENCY_SERIAL,
		SleepAfterMs: uint32(d.options.sleepAfter.Milliseconds()),
		StayAwake:    d.options.stayAwake,
		MaxCalls:     uint32(d.options.maxCalls),
		Events:       d.ordered,
	}
}
