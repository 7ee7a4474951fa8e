package store_test

import (
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/deploy/local/localtest"
)

// TestEachConnectionIsCompared restores a database under a store, as it is seen
// from there: all connections are cut, and what is dialled anew holds less.
func TestEachConnectionIsCompared(t *testing.T) {
	url, ctx := localtest.Database(t), t.Context()
	first := open(t, store.Config{URL: url})
	if err := first.Migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	fence, err := first.BeginTerm(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.CreateCluster(ctx, flow.Cluster{Name: "east"}); err != nil {
		t.Fatal(err)
	}
	session, err := first.OpenSession(ctx, flow.Member{Cluster: "east", Instance: "i"}, "hub", flow.ClusterReport{})
	if err != nil {
		t.Fatal(err)
	}
	var known atomic.Pointer[flow.Fence]
	known.Store(&fence)
	same := open(t, store.Config{URL: url, Known: func() flow.Fence { return *known.Load() }})
	if err := same.Report(ctx, session.Sender, flow.ClusterReport{}); err != nil {
		t.Fatalf("a database that is as it was seen is served: %v", err)
	}
	known.Store(&flow.Fence{Epoch: fence.Epoch.Next()})
	less := open(t, store.Config{URL: url, Known: func() flow.Fence { return *known.Load() }})
	if _, _, err := less.CommitPlan(ctx, fence, flow.Batch{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a scheduling write on a restored database: %v", err)
	}
	if r, err := less.Rebuild(ctx); err != nil || !r.Since.IsZero() {
		t.Errorf("before a member came it was %+v: %v", r, err)
	}
	if err := less.Report(ctx, session.Sender, flow.ClusterReport{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a member's write on a restored database: %v", err)
	}
	if r, err := less.Rebuild(ctx); err != nil || r.Since.IsZero() || len(r.Waiting) != 1 {
		t.Errorf("after that it was %+v: %v", r, err)
	}
	// A connection that was compared meanwhile may notice once more, and finds then
	// that it was late.
	for range 10 {
		if err = less.Report(ctx, session.Sender, flow.ClusterReport{}); !fault.Is(err, fault.Unavailable) {
			break
		}
	}
	if !fault.Is(err, fault.Stale) {
		t.Errorf("the session from before, in REBUILD: %v", err)
	}
}
