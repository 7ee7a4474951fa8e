package placement

import (
	"time"

	"github.com/skein-project/skein/api/flow"
)

// View is the frozen world of one decision. Decide does not change it.
type View struct {
	Now      time.Time
	Pending  []flow.Pending
	Reserved []flow.Reserved
	Clusters []ClusterView
	Policy   Policy
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
	// View.Reserved, and ignores what the caller put here.
	Reserved flow.Resources
}

// Policy is what an operator can say about placement.
type Policy struct {
	// DefaultSelector applies to executions whose own selector is empty; it
	// keeps unlabelled work off special clusters.
	DefaultSelector string
	// Weights weigh the parts of a score.
	Weights Weights
}

// Weights weigh the parts of a score against each other. None is negative.
type Weights struct {
	Free   float64 // share of the cluster that stays free: least loaded first
	Peak   float64 // by how much the peak demand would not fit
	Prefer float64 // each PreferNoSchedule taint that is not tolerated
}

// DefaultPolicy avoids clusters labelled skein.dev/special, and prefers the
// least loaded of the others.
func DefaultPolicy() Policy {
	return Policy{
		DefaultSelector: "!skein.dev/special",
		Weights:         Weights{Free: 1, Peak: 0.25, Prefer: 1},
	}
}

// Problems lists what is wrong with the policy, one sentence each.
func (p Policy) Problems() []string {
	var out []string
	if _, problem := parse(p.DefaultSelector); problem != "" {
		out = append(out, "default selector: "+problem)
	}
	if w := p.Weights; w.Free < 0 || w.Peak < 0 || w.Prefer < 0 {
		out = append(out, "weights: none may be negative")
	}
	return out
}
