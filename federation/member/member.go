package member

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

const tickEvery = 100 * time.Millisecond

// Member is one propeller process's end of the road.
type Member struct {
	o        Options
	log      *slog.Logger
	metrics  *metrics
	wallet   *wallet
	rooms    *rooms
	reporter *reporter
	opened   chan struct{} // the gate opened

	mu       sync.Mutex
	state    session.Member
	link     *link // of the session under way
	draining map[flow.ExecutionID]flow.Assignment
	noted    time.Duration      // the lease's end that was written down
	seen     flow.ClusterReport // newest
}

// New makes a member; it reads its state folder, and makes its key there.
func New(o Options) (*Member, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	w, err := openWallet(o)
	if err != nil {
		return nil, err
	}
	m := &Member{
		o: o, log: o.Log.With("instance", o.Instance), metrics: newMetrics(o.Registerer), wallet: w,
		rooms:    &rooms{client: o.Client, known: map[string]bool{}},
		opened:   make(chan struct{}, 1),
		draining: map[flow.ExecutionID]flow.Assignment{},
	}
	m.reporter = newReporter(m)
	m.step(session.Recalled{Lease: m.lastLease()})
	return m, nil
}

// Run joins if need be, and keeps a session until ctx ends.
func (m *Member) Run(ctx context.Context) error {
	if err := m.watch(ctx); err != nil {
		return err
	}
	m.look(ctx)
	m.recall(ctx)
	g, ctx := errgroup.WithContext(ctx)
	for _, f := range []func(context.Context){m.dial, m.ticks, m.renewals, m.openings, m.capacities, m.sweeps} {
		g.Go(func() error {
			f(ctx)
			return nil
		})
	}
	return g.Wait()
}

// step feeds the session's machine and hands its outputs on; it never blocks.
func (m *Member) step(in session.MemberInput) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stepLocked(in)
}

func (m *Member) stepLocked(in session.MemberInput) {
	var out []session.MemberOutput
	m.state, out = m.state.Step(m.o.Clock.Now(), in)
	for _, o := range out {
		m.carry(o)
	}
	m.metrics.stage.Set(float64(m.state.Stage()))
}

// ticks lets time go by, with a session and without.
func (m *Member) ticks(ctx context.Context) {
	every(ctx, tickEvery, func() { m.step(session.Ticked{}) })
}

// every calls f each d, until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}
