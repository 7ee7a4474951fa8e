package scheduler

import (
	"sync"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/health"
	"github.com/skein-project/skein/scheduler/snapshot"
)

// shout is how often a doubt that lasts is said again.
const shout = time.Minute

// trouble remembers when this replica last lost the database, over its terms:
// losing it ends a term.
type trouble struct {
	mu sync.Mutex
	at time.Time
}

func (t *trouble) database(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = at
}

func (t *trouble) last() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at
}

// judge doubts this leader, or not, and says so loudly.
func (t *Term) judge(s snapshot.Sight) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.window == nil {
		t.window = health.Begin(t.gather.Since, t.cfg.Lease, recorded(s))
	}
	look := health.Sight{Now: s.Now, Health: map[string]flow.Health{}, Trouble: t.trouble.last()}
	for _, c := range s.Clusters {
		look.Health[c.Name] = c.Health
	}
	if peer := t.deps.Trouble(); peer.After(look.Trouble) {
		look.Trouble = peer
	}
	before := t.doubt
	t.doubt = t.window.See(look)
	switch {
	case t.doubt != "" && s.Now.Sub(t.shouted) >= shout:
		t.shouted = s.Now
		t.metrics.doubt.Set(1)
		t.deps.Log.Error("NOTHING IS MOVED from lapsed clusters: this scheduler doubts itself", "why", t.doubt)
	case t.doubt == "" && before != "":
		t.shouted = time.Time{}
		t.metrics.doubt.Set(0)
		t.deps.Log.Warn("the scheduler's doubt is over: lapsed clusters lose their work")
	}
	return t.doubt
}

// recorded is the health that the database held when the term began.
func recorded(s snapshot.Sight) (out []health.Standing) {
	for _, c := range s.Clusters {
		if !c.Lost {
			out = append(out, health.Standing{Cluster: c.Name, Health: c.Recorded, Since: c.HealthSince})
		}
	}
	return out
}

// Doubt is why this leader takes nothing from lapsed clusters: it takes their
// outage for its own. Empty: it does not.
func (t *Term) Doubt() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.doubt
}

// Overrule ends the doubt that there is, on an operator's word. The same outage
// raises none again while the term lasts.
func (t *Term) Overrule() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.window != nil {
		t.window.Overrule()
	}
	if t.doubt != "" {
		t.deps.Log.Warn("the scheduler's doubt was overruled", "why", t.doubt)
	}
	t.doubt, t.shouted = "", time.Time{}
	t.metrics.doubt.Set(0)
}
