package placement

import (
	"time"

	"github.com/skein-project/skein/api/flow"
)

// View is the frozen world of one decision. Decide does not change it.
type View struct {
	Now time.Time `json:"now"`
	// Version is the control plane's own; members that are older than its last
	// minor version get nothing new. Empty, or no version number: all do.
	Version string `json:"version,omitempty"`
	// Pending holds what waits for a cluster, and, with From set, what a lapsed or
	// lost cluster is to lose.
	Pending []flow.Pending `json:"pending,omitempty"`
	// Requirements are the requirements that pending executions name by digest;
	// one that names none, or one that is not here, carries its own.
	Requirements map[string]flow.Requirement `json:"requirements,omitempty"`
	// Loads are what live placements hold, those with From set included.
	Loads []flow.Load `json:"loads,omitempty"`
	// Recent says on which clusters workflows ran lately, besides those of Loads.
	Recent   []Ran         `json:"recent,omitempty"`
	Clusters []ClusterView `json:"clusters,omitempty"`
	// Policies are the newest versions of all scopes.
	Policies []flow.Policy `json:"policies,omitempty"`
	// Policy holds where no policy says otherwise.
	Policy Policy `json:"policy"`
	Limits Limits `json:"limits"`
}

// Ran says that a workflow of a tenant ran on a cluster lately.
type Ran struct {
	Tenant   flow.Tenant `json:"tenant"`
	Workflow string      `json:"workflow"`
	Cluster  string      `json:"cluster"`
}

// ClusterView is one cluster as the leader sees it now.
type ClusterView struct {
	// Cluster is the registered cluster; its Health is the judged one, which
	// may be newer than what the database holds.
	flow.Cluster
	// Recorded is the health that the database holds.
	Recorded flow.Health
	// Leased says that some member holds a recorded lease that is live.
	Leased bool
	// Heard says that some member's heartbeat was heard in this term.
	Heard bool
	// Reserved is what live placements hold. Decide computes it from
	// View.Loads, and ignores what the caller put here.
	Reserved flow.Resources `json:"-"`
}

// Limits bound one plan. Zero fields take their defaults.
type Limits struct {
	// Starve is the age at which an execution goes before all younger work, and
	// has a cluster held for it: DefaultStarve.
	Starve time.Duration `json:"starve,omitempty"`
	// Moves are the forced moves of one plan, by priority: DefaultMoves.
	Moves int `json:"moves,omitempty"`
	// Preemptions are the executions that one call of Evict revokes so that work of
	// higher priority fits: DefaultPreemptions; below 0: none.
	Preemptions int `json:"preemptions,omitempty"`
	// Reasons bound what the trails of one plan hold: DefaultReasons. Trails beyond
	// it are summaries, one line for each filter.
	Reasons int `json:"reasons,omitempty"`
}

// The defaults of Limits.
const (
	DefaultStarve      = 10 * time.Minute
	DefaultMoves       = 500
	DefaultPreemptions = 20
	DefaultReasons     = 250_000
)

func (l Limits) withDefaults() Limits {
	if l.Starve <= 0 {
		l.Starve = DefaultStarve
	}
	if l.Moves <= 0 {
		l.Moves = DefaultMoves
	}
	if l.Preemptions == 0 {
		l.Preemptions = DefaultPreemptions
	}
	if l.Reasons <= 0 {
		l.Reasons = DefaultReasons
	}
	return l
}

// Policy is what holds about placement where no policy says otherwise: the
// configuration's part.
type Policy struct {
	// DefaultSelector applies to executions whose own selector is empty; it
	// keeps unlabelled work off special clusters.
	DefaultSelector string
	// Weights weigh the parts of a score.
	Weights flow.Weights
}

// DefaultPolicy avoids clusters labelled skein.dev/special, and prefers the
// least loaded of the others, unless labels, data or affinity speak for another.
func DefaultPolicy() Policy {
	return Policy{
		DefaultSelector: "!skein.dev/special",
		Weights: flow.Weights{Free: 1, Peak: 0.25, Taint: 1, Preferred: 1, Spread: 1, Affinity: 1,
			Locality: 1, Cost: 0.5, Sticky: 0.1},
	}
}

// Problems lists what is wrong with the policy, one sentence each.
func (p Policy) Problems() []string {
	var out []string
	if _, problem := parse(p.DefaultSelector); problem != "" {
		out = append(out, "default selector: "+problem)
	}
	w := p.Weights
	for _, one := range []float64{w.Free, w.Peak, w.Taint, w.Preferred, w.Spread, w.Affinity, w.Locality, w.Cost, w.Sticky} {
		if !(one >= 0) {
			return append(out, "weights: none may be negative")
		}
	}
	return out
}
