package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

func beat(s flow.Sender, nonce uint64) flow.Beat {
	b := flow.Beat{Sender: s}
	if nonce > 0 {
		b.Lease = &flow.LeaseRequest{Sender: s, Nonce: nonce, OwnershipRevision: 5}
	}
	return b
}

// exporter is set once per process: a tracer made before stays with the first
// provider that is ever set.
var exporter = sync.OnceValue(func() *tracetest.InMemoryExporter {
	e := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(e)))
	return e
})

func TestFromBeatToPlacement(t *testing.T) {
	spans := exporter()
	spans.Reset()
	w := newWorld()
	member := w.cluster("c")
	x := w.launch("x", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	s := run(t, w)
	if _, err := s.Beat(context.Background(), "hub", []flow.Beat{beat(member, 1)}); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a replica that does not lead must say so: %v", err)
	}
	end := lead(t, s, w)
	eventually(t, "hubs are told that the term has begun", func() (ok bool) { w.locked(func() { ok = w.begun == 1 }); return ok })
	eventually(t, "without a heartbeat the execution waits, with a reason", func() (ok bool) {
		w.locked(func() { ok = len(w.waits[x]) == 1 && w.waits[x][0].Filter == "health" })
		return ok
	})

	leases, err := s.Beat(context.Background(), "hub", []flow.Beat{beat(member, 41)})
	if err != nil || len(leases) != 1 {
		t.Fatalf("%v: %v", leases, err)
	}
	if l := leases[0]; l.Nonce != 41 || l.Sender != member || l.Duration != 30*time.Second || l.OwnershipRevision != 5 {
		t.Errorf("the grant answers the request: %+v", l)
	}
	s.Nudge()
	eventually(t, "a leased cluster that is heard becomes healthy", func() bool { return w.health("c") == flow.HealthHealthy })
	eventually(t, "and gets the execution", func() bool { return w.placedOn(x) == "c" })
	eventually(t, "and its hub is woken", func() (ok bool) { w.locked(func() { ok = len(w.woken) == 1 && w.woken[0] == "c" }); return ok })
	eventually(t, "the fence is observed", func() (ok bool) { w.locked(func() { ok = w.observed == w.fence }); return ok })
	eventually(t, "the placement is a span", func() bool { return len(spans.GetSpans()) == 1 })
	sp := spans.GetSpans()[0]
	if sp.Name != "scheduler.place" || sp.Parent.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" || len(sp.Attributes) != 3 {
		t.Errorf("span %q of trace %s with %v", sp.Name, sp.Parent.TraceID(), sp.Attributes)
	}

	end()
	if err := <-w.ends; !errors.Is(err, context.Canceled) {
		t.Errorf("the term ends as its context does: %v", err)
	}
	if _, err := s.Beat(context.Background(), "hub", []flow.Beat{beat(member, 42)}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after the term nothing is granted: %v", err)
	}
}

func TestSilenceIsSuspectThenLapsed(t *testing.T) {
	w := newWorld()
	member := w.cluster("c")
	s := run(t, w)
	lead(t, s, w)
	if _, err := s.Beat(context.Background(), "hub", []flow.Beat{beat(member, 1)}); err != nil {
		t.Fatal(err)
	}
	advance := func(d time.Duration) { w.locked(func() { w.now = w.now.Add(d) }) }
	eventually(t, "healthy", func() bool { return w.health("c") == flow.HealthHealthy })
	advance(6 * time.Second)
	eventually(t, "suspect", func() bool { return w.health("c") == flow.HealthSuspect })
	advance(25 * time.Second) // 31 s: the lease has ended, the margin has not
	x := w.launch("x", "")
	eventually(t, "the execution waits", func() (ok bool) { w.locked(func() { ok = w.waits[x] != nil }); return ok })
	if h := w.health("c"); h != flow.HealthSuspect {
		t.Errorf("%s within the margin", h)
	}
	advance(2 * time.Second)
	eventually(t, "lapsed", func() bool { return w.health("c") == flow.HealthLapsed })
	if _, err := s.Beat(context.Background(), "hub", []flow.Beat{beat(member, 2)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "back", func() bool { return w.health("c") == flow.HealthHealthy && w.placedOn(x) == "c" })
}

// TestAWallClockStepDoesNotEndALease: the row says that the lease is over, the
// leader that granted it knows better.
func TestAWallClockStepDoesNotEndALease(t *testing.T) {
	w := newWorld()
	member := w.cluster("c")
	s := run(t, w)
	lead(t, s, w)
	advance := func(d time.Duration) { w.locked(func() { w.now = w.now.Add(d) }) }
	advance(10 * time.Second)
	if _, err := s.Beat(context.Background(), "hub", []flow.Beat{beat(member, 1)}); err != nil {
		t.Fatal(err)
	}
	w.locked(func() { w.members[0].LeaseExpiresAt = w.members[0].LeaseExpiresAt.Add(-20 * time.Second) })
	advance(25 * time.Second)
	eventually(t, "suspect", func() bool { return w.health("c") == flow.HealthSuspect })
	advance(time.Second)
	x := w.launch("x", "")
	eventually(t, "a cycle ran", func() (ok bool) { w.locked(func() { ok = w.waits[x] != nil }); return ok })
	if h := w.health("c"); h != flow.HealthSuspect {
		t.Errorf("%s while the lease lasts", h)
	}
	advance(10 * time.Second)
	eventually(t, "lapsed", func() bool { return w.health("c") == flow.HealthLapsed })
}

func TestRequestsOfAllHubsAreOneTransaction(t *testing.T) {
	w := newWorld()
	a, b := w.cluster("a"), w.cluster("b")
	old := b
	old.Generation = 0
	s := run(t, w)
	s.cfg.LeaseWindow = 300 * time.Millisecond // before the term begins: nobody reads it yet
	lead(t, s, w)
	var group sync.WaitGroup
	for hub, beats := range map[string][]flow.Beat{"h1": {beat(a, 1)}, "h2": {beat(b, 2)}, "h3": {beat(old, 3)}} {
		group.Go(func() {
			leases, err := s.Beat(context.Background(), hub, beats)
			want := 1
			if hub == "h3" {
				want = 0 // a replaced session gets no lease
			}
			if err != nil || len(leases) != want || want == 1 && leases[0].Nonce != beats[0].Lease.Nonce {
				t.Errorf("%s: %v %v", hub, leases, err)
			}
		})
	}
	group.Wait()
	w.locked(func() {
		if len(w.recorded) != 1 || len(w.recorded[0]) != 2 {
			t.Errorf("want one transaction with the newest request of each member: %v", w.recorded)
		}
	})
}

func TestALeaseThatWasNotSurelyRecordedIsNotGranted(t *testing.T) {
	w := newWorld()
	member := w.cluster("c")
	s := run(t, w)
	lead(t, s, w)
	w.locked(func() { w.failNext = fault.E(fault.Unavailable, "connection lost during commit") })
	leases, err := s.Beat(context.Background(), "hub", []flow.Beat{beat(member, 1)})
	if !fault.Is(err, fault.Unavailable) || leases != nil {
		t.Errorf("granted %v, %v", leases, err)
	}
	if err := <-w.ends; !fault.Is(err, fault.Stale) {
		t.Errorf("the term must end: %v", err)
	}
}

func TestASuccessorsFenceEndsTheTerm(t *testing.T) {
	w := newWorld()
	w.cluster("c")
	s := run(t, w)
	lead(t, s, w)
	w.locked(func() { w.fence = flow.Fence{Epoch: w.fence.Epoch.Next()} })
	x := w.launch("x", "")
	s.Nudge()
	if err := <-w.ends; !fault.Is(err, fault.Stale) {
		t.Errorf("want Stale, got %v", err)
	}
	w.locked(func() {
		if w.waits[x] != nil || w.placed[x] != "" {
			t.Error("an old leader wrote")
		}
	})
}

func TestAnUnreadableWorldIsReadAgain(t *testing.T) {
	w := newWorld()
	w.cluster("c")
	w.failRead = errors.New("down")
	s := run(t, w)
	lead(t, s, w)
	x := w.launch("x", "")
	eventually(t, "a cycle ends early", func() bool {
		var m dto.Metric
		return s.metrics.failed.Write(&m) == nil && m.GetCounter().GetValue() > 0
	})
	w.locked(func() { w.failRead = nil })
	eventually(t, "the same term goes on", func() (ok bool) { w.locked(func() { ok = w.waits[x] != nil }); return ok })
}

func TestMemoryBelievesTheNewestSession(t *testing.T) {
	w, m := newWorld(), newMemory()
	old := flow.Sender{Member: flow.Member{Cluster: "c", Instance: "i"}, Generation: 1}
	young := old
	young.Generation = 2
	at := w.now
	for i, b := range []struct {
		hub  string
		beat flow.Beat
		at   time.Time
		news bool
	}{
		{"h1", flow.Beat{Sender: old, Age: time.Second}, at, true},
		{"h2", flow.Beat{Sender: young, Age: 2 * time.Second}, at, false},
		{"h1", flow.Beat{Sender: old}, at, false},
		{"h2", flow.Beat{Sender: young, Age: 3 * time.Second}, at, false},
	} {
		if news := m.heard(b.hub, []flow.Beat{b.beat}, b.at, 5*time.Second); news != b.news {
			t.Errorf("beat %d: news %v, want %v", i, news, b.news)
		}
	}
	if l := m.Live()[old.Member]; l.Generation != 2 || l.Hub != "h2" || !l.SeenAt.Equal(at.Add(-2*time.Second)) {
		t.Errorf("%+v", l)
	}
}

func TestConfigNamesEveryFailingInequality(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatalf("the default is refused: %v", err)
	}
	c := Default()
	c.Lease, c.Health.Suspect, c.BatchSize, c.Batch = 4*time.Second, 5*time.Second, 501, 2*time.Second
	c.Policy.DefaultSelector = "a in ("
	err := c.Validate()
	for _, want := range []string{"suspect time 5s < lease 4s does not hold", "2 × timeout 5s < lease 4s does not hold",
		"batch size 501 <= 500", "batch window 2s < sweep 1s", "default selector"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
	if _, err := New(c, Deps{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("New takes it: %v", err)
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	w, r := newWorld(), prometheus.NewRegistry()
	deps := Deps{Elector: w, Ledger: w, Fleet: w, Commit: w, Registerer: r}
	if _, err := New(Default(), deps); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Default(), deps); !fault.Is(err, fault.Conflict) {
		t.Errorf("want Conflict, got %v", err)
	}
	families, err := r.Gather()
	if err != nil || len(families) != 12 {
		t.Fatalf("%d families: %v", len(families), err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "skein_scheduler_") {
			t.Errorf("metric %s", f.GetName())
		}
	}
}

// TestALapseIsNotAwaitedByTheSweep: a cluster has lapsed when its lease has ended,
// though nobody nudges and the next sweep is seconds away.
func TestALapseIsNotAwaitedByTheSweep(t *testing.T) {
	const sweep = 5 * time.Second
	w := newWorld()
	member := w.cluster("c")
	s := runWith(t, w, func(c *Config) { c.Sweep = sweep })
	lead(t, s, w)
	began := time.Now() // the sweeps count from the term's beginning, a moment ago
	if _, err := s.Beat(context.Background(), "hub", []flow.Beat{beat(member, 1)}); err != nil {
		t.Fatal(err)
	}
	s.Nudge()
	eventually(t, "healthy", func() bool { return w.health("c") == flow.HealthHealthy })
	lapse := Default().Lease + Default().Health.Margin
	w.locked(func() { w.now = w.now.Add(lapse - 500*time.Millisecond) })
	s.Nudge()
	eventually(t, "suspect", func() bool { return w.health("c") == flow.HealthSuspect })
	w.locked(func() { w.now = w.now.Add(time.Second) })
	eventually(t, "lapsed", func() bool { return w.health("c") == flow.HealthLapsed })
	if took := time.Since(began); took > sweep-time.Second {
		t.Errorf("the lapse was noticed after %s: by the sweep", took)
	}
}

// TestALoneLaunchIsPlacedAtOnceAndABurstInFewBatches: the window costs nothing
// where nobody else waits.
func TestALoneLaunchIsPlacedAtOnceAndABurstInFewBatches(t *testing.T) {
	const window = 400 * time.Millisecond
	w := newWorld()
	member := w.cluster("c")
	s := runWith(t, w, func(c *Config) { c.Sweep, c.Batch = 4*time.Second, window })
	lead(t, s, w)
	if _, err := s.Beat(context.Background(), "hub", []flow.Beat{beat(member, 1)}); err != nil {
		t.Fatal(err)
	}
	s.Nudge()
	eventually(t, "healthy", func() bool { return w.health("c") == flow.HealthHealthy })
	time.Sleep(window + window/4) // nothing goes on; what is tested is the clock
	began := time.Now()
	x := w.launch("x", "")
	s.Nudge()
	eventually(t, "the lone launch is placed", func() bool { return w.placedOn(x) == "c" })
	if took := time.Since(began); took > window/2 {
		t.Errorf("the lone launch was placed after %s, though nothing else waited", took)
	}
	plans := func() (n int) { w.locked(func() { n = w.plans }); return n }
	before := plans()
	var last flow.ExecutionID
	for i := range 40 {
		last = w.launch(fmt.Sprintf("y%d", i), "")
		s.Nudge()
		time.Sleep(time.Millisecond)
	}
	eventually(t, "the burst is placed", func() bool { return w.placedOn(last) == "c" })
	if n := plans() - before; n > 3 {
		t.Errorf("a burst of 40 launches took %d transactions", n)
	}
}
