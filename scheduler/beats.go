package scheduler

import (
	"maps"
	"sync"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/health"
)

// memory is what the leader heard in this term. It dies with the term: a new
// leader starts with no heartbeats, and learns them within a second.
type memory struct {
	mu   sync.Mutex
	live map[flow.Member]health.Liveness
}

func newMemory() *memory { return &memory{live: map[flow.Member]health.Liveness{}} }

// heard takes a hub's beats. A session that was replaced cannot speak for its
// member any more, nor can an older heartbeat undo a newer one. It reports
// whether some member was not heard for the suspect time, or never in this term.
func (m *memory) heard(hub string, beats []flow.Beat, now time.Time, suspect time.Duration) (news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range beats {
		l := m.live[b.Member]
		if b.Generation < l.Generation {
			continue
		}
		seen := now.Add(-max(b.Age, 0))
		news = news || seen.Sub(l.SeenAt) > suspect
		if b.Generation > l.Generation {
			l.Generation, l.SeenAt = b.Generation, seen
		}
		if !seen.Before(l.SeenAt) {
			l.Hub, l.SeenAt = hub, seen
		}
		m.live[b.Member] = l
	}
	return news
}

// asked remembers leases that are about to be recorded: their rows may be read
// before the answer is here.
func (m *memory) asked(requests []flow.LeaseRequest, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range requests {
		l := m.live[r.Member]
		l.Asked = until
		m.live[r.Member] = l
	}
}

// granted remembers recorded leases, on this leader's own clock. Of those that
// were asked for, the others were not recorded. It reports whether some
// member had none.
func (m *memory) granted(requests []flow.LeaseRequest, leases []flow.Lease, at time.Time) (news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range leases {
		l := m.live[g.Member]
		news = news || !l.LeaseEnds.After(at)
		if ends := at.Add(g.Duration); ends.After(l.LeaseEnds) {
			l.LeaseEnds = ends
		}
		m.live[g.Member] = l
	}
	for _, r := range requests {
		l := m.live[r.Member]
		l.Asked = time.Time{}
		m.live[r.Member] = l
	}
	return news
}

// Live copies the memory.
func (m *memory) Live() map[flow.Member]health.Liveness {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.live)
}
