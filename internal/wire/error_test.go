package wire

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// [ERR-1] to [ERR-4].
func TestAnErrorIsPassedOnOnlyFromThoseWhoMaySendIt(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   *Error
		from Sender
		want *Error
		ok   bool
	}{
		{
			"a runner's own",
			&Error{Group: "action", Code: "invalid_arguments", Message: "x", Ran: RanNo}, FromRunner,
			&Error{Group: "action", Code: "invalid_arguments", Message: "x", Ran: RanNo}, true,
		},
		{
			"without ran", // [ERR-4]
			&Error{Group: "action", Code: "invalid_arguments", Message: "x"}, FromRunner,
			&Error{Group: "action", Code: "invalid_arguments", Message: "x", Ran: RanNo}, true,
		},
		{"of the gateway, from a runner", ActorNotFound.New(), FromRunner, InternalError.New(), false},
		{"unknown code", &Error{Group: "actor", Code: "bewitched"}, FromRunner, InternalError.New(), false},
		{"unknown group", &Error{Group: "magic", Code: "not_found"}, FromGateway, InternalError.New(), false},
		{"code across the dot", &Error{Group: "actor.not", Code: "found"}, FromGateway, InternalError.New(), false},
		{"nothing", &Error{}, FromRunner, InternalError.New(), false},
		{
			"the user's", // [ERR-3]
			&Error{Group: "user", Code: "no_funds", Message: "m", Metadata: []byte{0xa0}, Retryable: true, Ran: RanNo}, FromRunner,
			&Error{Group: "user", Code: "no_funds", Message: "m", Metadata: []byte{0xa0}, Retryable: true, Ran: RanNo}, true,
		},
		{"the user's without ran", &Error{Group: "user", Code: "a"}, FromRunner, &Error{Group: "user", Code: "a", Ran: RanYes}, true},
		{"the user's without code", &Error{Group: "user"}, FromRunner, InternalError.New(), false},
		{"the user's with a space", &Error{Group: "user", Code: "a b"}, FromRunner, InternalError.New(), false},
		{"the user's too long", &Error{Group: "user", Code: strings.Repeat("a", 65)}, FromRunner, InternalError.New(), false},
	} {
		before := *tt.in
		got, ok := tt.in.Accept(tt.from)
		if ok != tt.ok || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %t", tt.name, got, ok)
		}
		if !reflect.DeepEqual(*tt.in, before) {
			t.Errorf("%s: the error that came in was changed", tt.name)
		}
	}
}

func TestAnyErrorHasAPublicForm(t *testing.T) {
	own := ActorNotFound.Newf("no %s", "room")
	for _, tt := range []struct {
		name string
		err  error
		want *Error
	}{
		{"an Error", own, own},
		{"a wrapped Error", fmt.Errorf("place: %w", own), own},
		{"a code", ActorOverloaded, ActorOverloaded.New()},
		{"a wrapped code", fmt.Errorf("secret: %w", ActorOverloaded), ActorOverloaded.New()},
		{"anything else", errors.New("secret"), StoreUnavailable.New()},
	} {
		got := AsError(tt.err, StoreUnavailable)
		if !reflect.DeepEqual(got, tt.want) || strings.Contains(got.Message, "secret") {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	if !errors.Is(fmt.Errorf("place: %w", own), ActorNotFound) || errors.Is(own, ActorOverloaded) {
		t.Error("codes are not told apart")
	}
}

func TestErrorsKeepTheirFieldsAcrossTheProto(t *testing.T) {
	e := &Error{Group: "user", Code: "c", Message: "m", Metadata: []byte{1}, Retryable: true, Ran: RanMaybe, RetryAfterMs: 5}
	if got := ErrorFromProto(e.Proto()); !reflect.DeepEqual(got, e) {
		t.Errorf("%+v", got)
	}
	if ErrorFromProto((*Error)(nil).Proto()) != nil {
		t.Error("no error became one")
	}
	p := e.Proto()
	p.Ran = 99
	if ErrorFromProto(p).Ran != RanUnspecified {
		t.Error("an unknown ran is not UNSPECIFIED")
	}
}

func TestRanHasATextForm(t *testing.T) {
	for ran, text := range map[Ran]string{RanUnspecified: "", RanNo: "no", RanYes: "yes", RanMaybe: "maybe"} {
		if ran.String() != text || ParseRan(text) != ran {
			t.Errorf("%d is %q, and that is %d", ran, ran.String(), ParseRan(text))
		}
	}
	if ParseRan("perhaps") != RanUnspecified {
		t.Error("an unknown text is not UNSPECIFIED")
	}
}

// TestTheRegistryMakesSense holds the rules that every row must keep.
func TestTheRegistryMakesSense(t *testing.T) {
	for name, c := range registry {
		if name != c.Group+"."+c.Code || LookupCode(c.Group, c.Code) != c || c.Group == UserGroup || !validUserCode(c.Code) {
			t.Errorf("%s is registered as %s.%s", name, c.Group, c.Code)
		}
		if c.Status < 400 || c.Status > 599 || http.StatusText(c.Status) == "" && c.Status != 499 {
			t.Errorf("%s has the status %d", name, c.Status)
		}
		if c.From == 0 || !strings.HasSuffix(c.Text, ".") {
			t.Errorf("%s is sent by nobody, or says %q", name, c.Text)
		}
		// What may succeed unchanged is no fault of the request. A runner whose bytes were damaged may come back.
		temporary := c.Status == 408 || c.Status == 429 || c.Status >= 500
		if c.Retryable && !temporary && c != RunnerInvalidFrame {
			t.Errorf("%s is retryable with the status %d", name, c.Status)
		}
		// Busy and unreachable are answers of somebody who did nothing.
		if (c.Status == 429 || c.Status == 503) && !c.Retryable {
			t.Errorf("%s is not retryable with the status %d", name, c.Status)
		}
		// A request that was refused for its form, its caller or its address never reached user code.
		if refused := c.Group == "request" || c.Group == "auth"; refused && c.Ran != RanNo {
			t.Errorf("%s may have run: %s", name, c.Ran)
		}
		// Repeating what ran is not safe, so it is never advised by the registry alone.
		if c.Retryable && c.Ran == RanYes {
			t.Errorf("%s is retryable though it ran", name)
		}
	}
	if got := (&Error{Group: "user", Code: "x"}).HTTPStatus(); got != 400 {
		t.Errorf("the status of user errors is %d", got)
	}
	if got := (&Error{Group: "x", Code: "y"}).HTTPStatus(); got != 500 {
		t.Errorf("the status of unknown errors is %d", got)
	}
}
