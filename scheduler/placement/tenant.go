package placement

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/skein-project/skein/api/flow"
)

// tenant is whose turn it may be, and what its live placements hold over all
// clusters, those of this plan included.
type tenant struct {
	name   flow.Tenant
	index  int // in the order of names
	weight float64
	quota  flow.Quota
	loads  []flow.Load // the view's
	used   flow.Resources
	count  int64 // executions
	share  float64

	ran     map[string][]int32 // workflow → the sites where it runs, or ran lately
	groups  map[string]*tally  // executions of a group, by site; of groups that others name
	project *project
	behind  bool // its oldest starving execution fits nowhere: the others come last
}

// project is what its tenants have in common: its work by failure domain.
type project struct {
	spreads map[string]*spread // by label
	all     float64            // executions, live and pending
}

// tally counts executions by site.
type tally struct{ count []int64 }

// spread counts a project's executions by failure domain.
type spread struct {
	*domains
	count []int64
	all   float64 // live and pending: what the counts are a share of
}

// tenants are all that have live or pending work, by name.
type tenants struct {
	fleet    *fleet
	byName   map[flow.Tenant]*tenant
	list     []*tenant
	projects map[string]*project
}

// add finds a tenant, or begins its record.
func (t *tenants) add(name flow.Tenant) *tenant {
	one, ok := t.byName[name]
	if ok {
		return one
	}
	p, ok := t.projects[name.Project]
	if !ok {
		p = &project{spreads: map[string]*spread{}}
		t.projects[name.Project] = p
	}
	one = &tenant{name: name, weight: 1, ran: map[string][]int32{}, groups: map[string]*tally{}, project: p}
	t.byName[name] = one
	t.list = append(t.list, one)
	return one
}

func newTenants(v View, f *fleet) *tenants {
	t := &tenants{fleet: f, byName: map[flow.Tenant]*tenant{}, projects: map[string]*project{}}
	for _, l := range v.Loads {
		one := t.add(l.Tenant)
		one.loads = append(one.loads, l)
		one.used, one.count = one.used.Add(l.Reservation), one.count+l.Executions
		one.project.all += float64(l.Executions)
		one.runs(f, l.Workflow, l.Cluster)
	}
	for _, r := range v.Recent {
		t.add(r.Tenant).runs(f, r.Workflow, r.Cluster)
	}
	for i := range v.Pending {
		one := t.add(v.Pending[i].Execution.Tenant())
		if v.Pending[i].From == "" {
			one.project.all++
		}
	}
	slices.SortFunc(t.list, func(a, b *tenant) int {
		return cmp.Or(cmp.Compare(a.name.Project, b.name.Project), cmp.Compare(a.name.Domain, b.name.Domain))
	})
	for i, one := range t.list {
		one.index = i
	}
	return t
}

// grant sets shares and quotas, which the policies of projects say.
func (t *tenants) grant(c *classes) {
	for _, one := range t.list {
		s := c.set.Effective(one.name, "").Share
		if s.Weight > 0 {
			one.weight = s.Weight
		}
		if s.Quota != nil {
			one.quota = *s.Quota
		}
		one.measure(t.fleet.total)
	}
}

// measure computes the weighed dominant share: the largest share that the
// tenant holds of any resource of the fleet, over its weight.
func (t *tenant) measure(total flow.Resources) {
	total.Pods, t.share = 0, 0
	for _, d := range dimensions {
		if all := d.of(total); all > 0 {
			t.share = max(t.share, float64(d.of(t.used))/float64(all)/t.weight)
		}
	}
}

// takes counts an execution, or, with n of -1, one that is not its any more.
func (t *tenant) takes(reservation flow.Resources, n int64, total flow.Resources) {
	t.used, t.count = t.used.Add(reservation.Times(n)), t.count+n
	t.measure(total)
}

// placed counts an execution where affinity and spread look; n is -1 when it
// leaves.
func (t *tenant) placed(group string, site int, n int64) {
	if g := t.groups[group]; g != nil && group != "" {
		g.count[site] += n
	}
	for _, s := range t.project.spreads {
		s.count[s.of[site]] += n
	}
}

func (t *tenant) runs(f *fleet, workflow, cluster string) {
	i, ok := f.byName[cluster]
	if ok && workflow != "" && !slices.Contains(t.ran[workflow], int32(i)) {
		t.ran[workflow] = append(t.ran[workflow], int32(i))
	}
}

// tallies are the counts of the tenant's executions of some groups.
func (t *tenant) tallies(f *fleet, groups []string) []*tally {
	var out []*tally
	for _, g := range groups {
		one, ok := t.groups[g]
		if !ok {
			one = &tally{count: make([]int64, len(f.sites))}
			for _, l := range t.loads {
				if i, ok := f.byName[l.Cluster]; ok && l.Group == g {
					one.count[i] += l.Executions
				}
			}
			t.groups[g] = one
		}
		out = append(out, one)
	}
	return out
}

// overQuota says which limit one more reservation would break, or nothing.
func (t *tenant) overQuota(r flow.Resources) string {
	for _, q := range []struct {
		name, unit         string
		held, asked, limit int64
	}{
		{"executions", "", t.count, 1, t.quota.Executions},
		{"cpu", "m", t.used.MilliCPU, r.MilliCPU, t.quota.MilliCPU},
		{"memory", " bytes", t.used.Memory, r.Memory, t.quota.Memory},
		{"gpus", "", t.used.GPUs, r.GPUs, t.quota.GPUs},
	} {
		switch {
		case q.limit <= 0 || q.asked == 0 || q.held+q.asked <= q.limit:
		case q.asked > q.limit:
			return fmt.Sprintf("%s: it reserves %d%s, which is above the whole quota of %d%s for %s", q.name, q.asked, q.unit, q.limit, q.unit, t.name)
		default:
			return fmt.Sprintf("%s: %s holds %d%s of its quota of %d%s, and this reserves %d%s", q.name, t.name, q.held, q.unit, q.limit, q.unit, q.asked, q.unit)
		}
	}
	return ""
}

// spreadsOf is where the project's executions are by the values of a label; nil
// without a label.
func (t *tenants) spreadsOf(p *project, label string) *spread {
	if label == "" {
		return nil
	}
	s, ok := p.spreads[label]
	if !ok {
		d := t.fleet.domainsOf(label)
		s = &spread{domains: d, count: make([]int64, d.n), all: max(p.all, 1)}
		for _, one := range t.list {
			if one.project != p {
				continue
			}
			for _, l := range one.loads {
				if i, ok := t.fleet.byName[l.Cluster]; ok {
					s.count[d.of[i]] += l.Executions
				}
			}
		}
		p.spreads[label] = s
	}
	return s
}
