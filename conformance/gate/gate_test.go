package gate

import (
	"context"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T) *Server {
	t.Helper()
	s, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

func get(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestAGateHoldsUntilItIsOpened(t *testing.T) {
	s := listen(t)
	passed := make(chan int, 1)
	go func() { passed <- get(t, s.URL()+"/a%2Fb") }()
	if err := s.Reached(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	select {
	case code := <-passed:
		t.Fatalf("passed a shut gate with %d", code)
	default:
	}
	s.Open("a/b")
	if code := <-passed; code != http.StatusNoContent {
		t.Errorf("passed with %d", code)
	}
	if code := get(t, s.URL()+"/a%2Fb"); code != http.StatusNoContent {
		t.Errorf("an open gate answers %d", code)
	}
}

func TestGatesThatWereNamedAreOpenedTogether(t *testing.T) {
	s := listen(t)
	passed := make(chan int, 2)
	for _, id := range []string{"x", "y"} {
		go func() { passed <- get(t, s.URL()+"/"+id) }()
		if err := s.Reached(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	s.OpenAll()
	s.OpenAll()
	for range 2 {
		if code := <-passed; code != http.StatusNoContent {
			t.Errorf("passed with %d", code)
		}
	}
}

func TestNobodyComes(t *testing.T) {
	s := listen(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.Reached(ctx, "never"); err == nil {
		t.Error("somebody came")
	}
	if code := get(t, s.URL()+"/"); code != http.StatusNotFound {
		t.Errorf("no gate at all answers %d", code)
	}
}
