package member

import (
	"context"
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

// openings tells the propeller what it may start (again).
func (m *Member) openings(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.opened:
		}
		m.mu.Lock()
		covered := m.state.Covered()
		m.mu.Unlock()
		names := make([]types.NamespacedName, 0, len(covered))
		for id, e := range covered {
			names = append(names, Name(id, e))
		}
		m.o.OnOpen(names)
	}
}
