package redis

import (
	"fmt"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// What is sent bare is what the store would have sent: it finds the commits, and their alarms.
func TestBareCallsWhatTheStoreCalls(t *testing.T) {
	for name, servers := range map[string]*redistest.Servers{
		"standalone": redistest.Standalone(t, redistest.Options{}),
		"sentinel":   redistest.Sentinel(t, redistest.Options{}),
		"cluster":    redistest.Cluster(t, redistest.Options{}, 3, 0),
	} {
		t.Run(name, func(t *testing.T) { testBare(t, servers.URL()) })
	}
}

func testBare(t *testing.T, url string) {
	s, err := Open(t.Context(), Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bare, err := OpenBare(url)
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	var commits []store.Commit
	for i := range 8 {
		o := newOwner(t, s, address.Address{Namespace: "default", Type: "bare", Key: []string{fmt.Sprint(i)}})
		commits = append(commits, o.prepare(store.Commit{Schedules: []store.ScheduleOp{{ID: "due", At: time.UnixMicro(1)}}}))
	}
	if err := bare.Commit(t.Context(), commits); err != nil {
		t.Fatal(err)
	}
	partitions := map[uint16]bool{}
	for _, c := range commits {
		r, err := s.Describe(t.Context(), c.ID)
		if err != nil || r.Version != c.Version {
			t.Errorf("version %d: %v", r.Version, err)
		}
		partitions[r.Address.Partition()] = true
	}
	claimed := 0
	for partition := range partitions {
		n, err := bare.Claim(t.Context(), partition, 10, time.Hour)
		if err != nil {
			t.Error(err)
		}
		claimed += n
	}
	if claimed != len(commits) {
		t.Errorf("%d alarms of %d", claimed, len(commits))
	}
	commits[0].Generation++
	if err := bare.Commit(t.Context(), commits[:1]); err == nil {
		t.Error("a commit of nobody was applied")
	}
}
