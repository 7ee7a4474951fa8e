// Package hub is the control plane's end of the road: it serves sessions,
// sends assignments, takes events and acks in, and brings leases.
//
// It decides nothing about executions (the store does, behind the ports) and
// nothing about a session (federation/session does); it carries out. It is
// called by the room that wires the control plane. It compares what this replica
// knows with what the database holds, and serves nobody on a restored backup
// before REBUILD was entered. Invariant: nothing is told to a member before the
// transaction that makes it true has committed.
package hub

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/session"
)

// Options is what a hub needs.
type Options struct {
	Name        string // of this replica; stored with each session
	TrustDomain string
	Desk        Desk
	Outbox      Outbox
	Sessions    Sessions
	Sink        Sink
	Leases      Leases
	Revocations Revocations // nil: nobody is revoked, and nothing audited
	Rebuilder   Rebuilder   // nil: no backup is ever restored
	// Known is the highest fence that this replica has seen; nil: none. The
	// database cannot be below it, unless a backup of it was restored.
	Known      func() flow.Fence
	Lease      time.Duration // what the Welcome says leases last; 30 s if zero
	Heartbeat  time.Duration // one second if zero
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept and not shown
}

// Hub serves skein.v1.DataPlaneService on one replica.
type Hub struct {
	skeinv1.UnimplementedDataPlaneServiceServer
	o       Options
	log     *slog.Logger
	metrics *metrics
	start   time.Time // base of the monotonic clock
	beatNow chan struct{}
	logs    logDesk
	black   blacklist
	backup  backups
	reach   reach

	mu       sync.Mutex
	giveUp   context.CancelFunc // ends the beat under way
	stopping bool
	streams  map[flow.Member]*stream
	open     sync.WaitGroup
}

// New makes a hub. Run must run for its members to get leases.
func New(o Options) *Hub {
	if o.Lease <= 0 {
		o.Lease = 30 * time.Second
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Known == nil {
		o.Known = func() flow.Fence { return flow.Fence{} }
	}
	return &Hub{
		o: o, log: o.Log.With("hub", o.Name), metrics: newMetrics(o.Registerer), start: time.Now(),
		beatNow: make(chan struct{}, 1), giveUp: func() {}, streams: map[flow.Member]*stream{},
		logs: logDesk{waiting: map[string]*logWait{}}, backup: backups{signs: make(chan sign, 1)},
	}
}

// Register puts the hub's service on a server.
func (h *Hub) Register(s grpc.ServiceRegistrar) { skeinv1.RegisterDataPlaneServiceServer(s, h) }

// Run beats to the leader, looks at the outbox, and watches for revocations and
// restored backups, until ctx ends; then it says goodbye to all members, so that
// they dial another hub at once, and waits a little for their streams.
func (h *Hub) Run(ctx context.Context) error {
	var watch sync.WaitGroup
	watch.Go(func() { h.watchRevoked(ctx) })
	watch.Go(func() { h.watchRestored(ctx) })
	watch.Go(func() { h.looks(ctx) })
	h.beats(ctx)
	watch.Wait()
	h.mu.Lock()
	h.stopping = true
	h.mu.Unlock()
	h.EndSessions("this hub stops")
	done := make(chan struct{})
	go func() {
		h.open.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(stopWait):
	}
	return nil
}

// Wake says that outbox rows of these clusters wait. It never blocks, and may
// be lost without harm: sessions sweep the outbox each second as well, if the
// hub's last look found something of theirs.
func (h *Hub) Wake(clusters []string) {
	for _, s := range h.all() {
		if slices.Contains(clusters, s.member.Cluster) {
			s.step(session.Woken{})
		}
	}
}

// Beat says that a leader's term has begun, which has heard of nobody yet: the
// next beat comes at once, and one that still waits for another leader is given
// up. It never blocks, and may be lost without harm.
func (h *Hub) Beat() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.giveUp() // first, or it would be the beat that is asked for here
	select {
	case h.beatNow <- struct{}{}:
	default:
	}
}

// EndSessions says goodbye to all members. They dial anew at once; what counts
// after a restored backup is only what they say in a session opened later.
func (h *Hub) EndSessions(reason string) {
	for _, s := range h.all() {
		s.step(session.Ended{Reason: reason})
	}
}

func (h *Hub) all() []*stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.streams))
}

// enter makes s its member's stream, and ends an older one. Stale if a newer
// one is here already; Unavailable if the hub stops.
func (h *Hub) enter(s *stream, generation uint64) error {
	h.mu.Lock()
	if h.stopping {
		h.mu.Unlock()
		return fault.E(fault.Unavailable, "this hub stops")
	}
	old := h.streams[s.member]
	if old != nil && old.generation > generation {
		h.mu.Unlock()
		return fault.E(fault.Stale, "a newer session of this member exists")
	}
	s.generation = generation
	h.streams[s.member] = s
	h.open.Add(1)
	h.metrics.sessions.Set(float64(len(h.streams)))
	h.mu.Unlock()
	if old != nil {
		old.step(session.Replaced{})
	}
	return nil
}

func (h *Hub) leave(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[s.member] == s {
		delete(h.streams, s.member)
	}
	h.metrics.sessions.Set(float64(len(h.streams)))
	h.open.Done()
}

// now reads the hub's monotonic clock.
func (h *Hub) now() time.Duration { return time.Since(h.start) }
