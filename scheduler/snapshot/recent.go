package snapshot

import (
	"cmp"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/placement"
)

const (
	// Warm is for how long after its last execution a cluster is taken to hold a
	// workflow's images and caches.
	Warm = 30 * time.Minute
	// warmClusters is how many clusters of one workflow are remembered, the newest.
	warmClusters = 3
	// warmWorkflows bounds the workflows that are remembered; more are left out.
	warmWorkflows = 1000
	// recalled bounds the work of deciding a round again to learn where it placed.
	recalled = 2000
)

// Recent remembers on which clusters the workflows of tenants ran lately: from
// what live placements hold, which each cycle reads anyway, and from what was
// placed since. It costs the database nothing but one round at the beginning of
// a term. It is a preference's memory: what it forgets costs a warm cache, and
// nothing is reserved or counted by it. The zero value remembers nothing. One
// goroutine at a time may use it.
type Recent struct {
	stays map[workflow][]stay
}

type workflow struct {
	tenant flow.Tenant
	name   string
}

// stay is when a workflow was last known to be on a cluster.
type stay struct {
	cluster string
	at      time.Time
}

// Recall begins with what a stored round knew: where workflows ran lately or ran
// then, and where it placed them. Errors are Invalid.
func (r *Recent) Recall(round flow.Round) error {
	v, err := placement.Decode(round.View)
	if err != nil {
		return err
	}
	for _, one := range v.Recent {
		r.note(workflow{one.Tenant, one.Workflow}, stay{one.Cluster, v.Now})
	}
	r.live(v)
	if len(v.Pending) <= recalled {
		r.Placed(v, placement.Decide(v).Placements)
	}
	return nil
}

// Fill notes what the view's loads show, and says in the view where workflows ran
// lately, besides where they run now. It says all that it knows, so that a round
// that is stored with the view can be recalled whole.
func (r *Recent) Fill(v *placement.View) {
	r.live(*v)
	v.Recent = nil
	for w, list := range r.stays {
		for _, s := range list {
			if s.at.Before(v.Now) && v.Now.Sub(s.at) < Warm {
				v.Recent = append(v.Recent, placement.Ran{Tenant: w.tenant, Workflow: w.name, Cluster: s.cluster})
			}
		}
	}
	slices.SortFunc(v.Recent, func(a, b placement.Ran) int {
		return cmp.Or(cmp.Compare(a.Tenant.String(), b.Tenant.String()), cmp.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Cluster, b.Cluster))
	})
}

// Placed notes what was placed of a view.
func (r *Recent) Placed(v placement.View, placements []flow.Placement) {
	if len(placements) == 0 {
		return
	}
	of := make(map[flow.ExecutionID]workflow, len(v.Pending))
	for i := range v.Pending {
		of[v.Pending[i].Execution] = waits(v, v.Pending[i])
	}
	for _, p := range placements {
		r.note(of[p.Execution], stay{p.Cluster, v.Now})
	}
}

// Trim forgets what is not warm any more.
func (r *Recent) Trim(now time.Time) {
	for w, list := range r.stays {
		list = slices.DeleteFunc(list, func(s stay) bool { return now.Sub(s.at) >= Warm })
		if r.stays[w] = list; len(list) == 0 {
			delete(r.stays, w)
		}
	}
}

func (r *Recent) live(v placement.View) {
	for _, l := range v.Loads {
		r.note(workflow{l.Tenant, l.Workflow}, stay{l.Cluster, v.Now})
	}
}

func (r *Recent) note(w workflow, s stay) {
	if r.stays == nil {
		r.stays = map[workflow][]stay{}
	}
	list, known := r.stays[w]
	if w.name == "" || !known && len(r.stays) >= warmWorkflows {
		return
	}
	if i := slices.IndexFunc(list, func(old stay) bool { return old.cluster == s.cluster }); i < 0 {
		list = append(list, s)
	} else if list[i].at.Before(s.at) {
		list[i].at = s.at
	}
	slices.SortFunc(list, func(a, b stay) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.cluster, b.cluster)) })
	r.stays[w] = list[:min(len(list), warmClusters)]
}

// waits is the workflow of a pending execution; without a name, of none.
func waits(v placement.View, p flow.Pending) workflow {
	ask, ok := v.Requirements[p.Digest]
	if !ok {
		ask = p.Requirement
	}
	return workflow{p.Execution.Tenant(), ask.Workflow}
}
