package store_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/localtest"
)

func TestBadConfigurationIsRefusedByField(t *testing.T) {
	for _, c := range []store.Config{
		{}, {URL: "postgres://u:secret@h/d", MaxConnections: 1}, {URL: "::not a url secret"},
		{URL: "postgres://u:secret@h/d", MaxRetries: -1}, {URL: "postgres://u:secret@h/d", MaxConnections: 4, IdleMin: 5},
	} {
		_, err := store.Open(t.Context(), c)
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: got %v, want Invalid without the secret", c.LogValue(), err)
		}
		if strings.Contains(c.LogValue().String(), "secret") {
			t.Errorf("the log value shows the secret: %s", c.LogValue())
		}
	}
}

func TestADatabaseThatIsAwayIsUnavailable(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := store.Open(ctx, store.Config{URL: "postgres://u@127.0.0.1:1/d?sslmode=disable"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want Unavailable", err)
	}
}

func TestOperationsAreMeasured(t *testing.T) {
	registry := prometheus.NewRegistry()
	url := localtest.Database(t)
	for range 2 { // a second store of one process shares the collectors
		s := open(t, store.Config{URL: url, Registerer: registry})
		if err := s.Migrate(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ReadFence(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "skein_admin_store_operation_seconds" && m.GetLabel()[0].GetValue() == "ReadFence" {
				if n := m.GetHistogram().GetSampleCount(); n != 2 {
					t.Errorf("ReadFence was measured %d times, want 2", n)
				}
				return
			}
		}
	}
	t.Error("ReadFence was not measured")
}

func TestTheLongestLeaseIsRemembered(t *testing.T) {
	s, ctx := migrated(t), t.Context()
	fence, err := s.BeginTerm(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{30 * time.Second, 10 * time.Second} {
		if fence, _, err = s.RecordLeases(ctx, fence, nil, d, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.LongestLease(ctx); err != nil || got != 30*time.Second {
		t.Errorf("the longest lease is %s, want 30s: %v", got, err)
	}
}
