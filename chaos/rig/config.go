package rig

import (
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler"
)

// Kind is a kind of world.
type Kind string

// The kinds of worlds.
const (
	// Faults is everything at once: processes die and stop, links break in every
	// way, the database is away or lies, users abort, operators drain and declare.
	Faults Kind = "faults"
	// Blips are outages of links that end just before a lease must not survive
	// them any more: nothing may move.
	Blips Kind = "blips"
	// Kills are bursts of leader kills.
	Kills Kind = "kills"
	// Orders are operators' drains, taints, cordons and quotas, with nothing
	// broken: what they ask for must be done.
	Orders Kind = "orders"
	// Restores are worlds whose database is put back to a backup once. In a third of
	// them operators give orders, and everything else goes wrong as well, but that
	// clusters are declared lost.
	Restores Kind = "restores"
	// Losses are worlds without a fault until a quiet moment, at which one cluster
	// is lost. Lose runs them, twice each.
	Losses Kind = "losses"
)

// Kinds lists the kinds of worlds that Run runs.
func Kinds() []Kind { return []Kind{Faults, Blips, Kills, Orders, Restores} }

// Config is one world. World draws one from a seed.
type Config struct {
	Seed       uint64
	Kind       Kind
	Replicas   int
	Clusters   int
	Instances  int // of members in each cluster
	Executions int
	Busy       time.Duration // users and faults act so long; then everything heals
	Heal       time.Duration // and so long everything may take to end
	Lull       time.Duration // how long a change of status waits for others
	Tombstone  time.Duration // how long what has ended stays in its cluster
	Capacity   flow.Resources
	Beyond     time.Duration // how much longer blips last than a lease must survive
	Orders     bool          // there are priorities and quotas, and operators give orders
	Scheduler  scheduler.Config
}

// Draw makes the configuration of a seed.
func Draw(seed uint64, kind Kind) Config {
	s := newSim(seed ^ 0xc0f1)
	c := Config{Seed: seed, Kind: kind, Replicas: 3, Clusters: 2 + s.rng.IntN(3), Instances: 1 + s.rng.IntN(2),
		Executions: 6 + s.rng.IntN(10), Busy: s.between(40*time.Second, 80*time.Second), Heal: 4 * time.Minute,
		Lull: s.between(time.Millisecond, 2*time.Second), Tombstone: 10 * time.Minute, Scheduler: scheduler.Default()}
	c.Capacity = flow.Resources{MilliCPU: int64(2000 + 1000*s.rng.IntN(4)), Memory: 1 << 33, Pods: 100}
	c.Orders = kind == Orders || kind == Losses || kind == Faults && s.chance(0.5) || kind == Restores && seed%3 == 2
	if kind == Losses {
		c.Clusters, c.Executions = 3+s.rng.IntN(3), 10+s.rng.IntN(20)
		c.Busy = 20 * time.Second // launches come in the first three quarters
		c.Capacity = flow.Resources{MilliCPU: int64(3000 + 1000*s.rng.IntN(6)), Memory: 1 << 34, Pods: 100}
	}
	c.Scheduler.Lease = 10 * time.Second
	c.Scheduler.Timeout = 4 * time.Second
	c.Scheduler.Health.Suspect = 3 * time.Second
	c.Scheduler.Health.Margin = 2 * time.Second
	c.Scheduler.MoveBackOff = 5 * time.Second
	return c
}
