package member

import (
	"context"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/skein-project/skein/api/flow"
)

// MayStart reports whether work of (execution, epoch) may be started now, and
// until when at most; if not, why not. It may be called at any time by any
// goroutine, and never blocks for long.
func (m *Member) MayStart(id flow.ExecutionID, epoch flow.Epoch) (until time.Time, reason string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	left, why := m.state.MayStart(m.o.Clock.Now(), id, epoch)
	if why != "" {
		return time.Time{}, why, false
	}
	return time.Now().Add(left), "", true
}

// MustStop reports by when strict work of (execution, epoch) that runs must have
// ended, the grace of its kill included: the end of the lease that covers it. A
// grant moves it on, so it is to be asked again shortly before. A time in the
// past: it must not run any more. Not bounded: the execution is pinned, and has
// no successor that it could overlap with. It may be called like MayStart.
func (m *Member) MustStop(id flow.ExecutionID, epoch flow.Epoch) (by time.Time, bounded bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	left, bounded := m.state.MustStop(m.o.Clock.Now(), id, epoch)
	if !bounded {
		return time.Time{}, false
	}
	return time.Now().Add(left), true
}

// Incarnation is the cluster's, as this process knows it: what it makes for an
// execution carries this one or the FlyteWorkflow's, whichever is higher. Zero
// before the first session.
func (m *Member) Incarnation() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Incarnation()
}

// openings tells the propeller what it may start (again).
func (m *Member) openings(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.opened:
		}
		m.mu.Lock()
		covered, pins := m.state.Covered(), m.state.Pins()
		m.mu.Unlock()
		maps.Copy(covered, pins)
		names := make([]types.NamespacedName, 0, len(covered))
		for id, e := range covered {
			names = append(names, Name(id, e))
		}
		m.o.OnOpen(names)
	}
}
