package store_test

import (
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/admin/store/storetest"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/deploy/local/localtest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

func TestStore(t *testing.T) {
	url := localtest.Database(t)
	if err := open(t, store.Config{URL: url}).Migrate(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, func(t *testing.T) *storetest.Opened {
		empty(t, url)
		w := &storetest.Wire{}
		var known atomic.Pointer[flow.Fence]
		known.Store(&flow.Fence{})
		opened := &storetest.Opened{
			Ports: ports(open(t, store.Config{URL: url, MaxConnections: 8, Dial: w.Dial, Known: func() flow.Fence { return *known.Load() }})),
			Know:  func(f flow.Fence) { known.Store(&f) },
			Other: ports(open(t, store.Config{URL: url, MaxConnections: 8})),
		}
		if plain(t, url) {
			opened.Cut, opened.Hold = w.Cut, w.Hold
		}
		return opened
	})
}

// open opens a store that is closed at the end of the test.
func open(t testing.TB, config store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// migrated opens a store on a fresh database.
func migrated(t testing.TB) *store.Store {
	t.Helper()
	s := open(t, store.Config{URL: localtest.Database(t)})
	if err := s.Migrate(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return s
}

func ports(s *store.Store) storetest.Ports {
	return storetest.Ports{Registry: s, NamedEntities: s, Projects: s, Executions: s, Runs: s, Clusters: s, Sessions: s,
		Outbox: s, Events: s, Tokens: s, Terms: s, Demand: s, Plans: s, Moves: s, Trims: s,
		Decisions: s, Histories: s, Orders: s, Revocations: s, Audits: s, Policies: s, Rebuilds: s, Holders: s, Replicas: s}
}
