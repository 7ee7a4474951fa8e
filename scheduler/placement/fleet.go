package placement

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/skein-project/skein/api/flow"
)

// Labels of clusters that scores read.
const (
	// LabelCost is what a unit of work costs on a cluster, as a number.
	LabelCost = "skein.dev/cost"
	// LabelData lists the buckets near a cluster, besides its own store; several
	// are told apart by "_" or ",".
	LabelData = "skein.dev/data"
)

// site is a cluster with all that a plan changes of it.
type site struct {
	ClusterView
	index   int
	hash    uint64
	used    flow.Resources // what live placements hold, and those of this plan
	kept    flow.Resources // room that is held for a starved execution
	keptFor string         // that execution; empty: none
	count   int64          // executions on it
	cost    float64        // against the dearest
	data    []string       // buckets near it
	root    string         // of its store, as data's URIs begin; empty: unknown
	runs    version
	oldest  version // that the control plane gives new work to
	all     bool    // it runs task types that nobody claims
}

// fleet is the clusters by name. Each change of a site's load is appended to
// log, so that a class can see what happened since it last looked.
type fleet struct {
	sites   []site
	byName  map[string]int
	log     []int32
	changes []int32        // by site, how often its load changed
	total   flow.Resources // of all that are not lost
	stores  string         // the one store of all clusters; empty: there are several
	domains map[string]*domains
}

func newFleet(v View) *fleet {
	f := &fleet{byName: make(map[string]int, len(v.Clusters)), domains: map[string]*domains{}}
	oldest := oldestFor(v.Version)
	list := slices.Clone(v.Clusters)
	slices.SortFunc(list, func(a, b ClusterView) int { return cmp.Compare(a.Name, b.Name) })
	f.sites, f.changes = make([]site, len(list)), make([]int32, len(list))
	dearest := 0.0
	for i, c := range list {
		s := &f.sites[i]
		*s = site{ClusterView: c, index: i, hash: fnv(c.Name), oldest: oldest, all: slices.Contains(c.TaskTypes, "*")}
		s.runs, _ = parseVersion(c.Version)
		if cost, err := strconv.ParseFloat(c.Labels[LabelCost], 64); err == nil && cost > 0 {
			s.cost = cost
		}
		s.data = strings.FieldsFunc(c.Labels[LabelData], func(r rune) bool { return r == '_' || r == ',' })
		s.root = rootOf(c.Store)
		dearest = max(dearest, s.cost)
		f.byName[c.Name] = i
		if !c.Lost {
			f.total = f.total.Add(c.Capacity)
		}
	}
	for i := range f.sites {
		if dearest > 0 {
			f.sites[i].cost /= dearest
		}
	}
	f.stores = f.commonStore()
	f.load(v)
	return f
}

// load adds what live placements hold.
func (f *fleet) load(v View) {
	for _, l := range v.Loads {
		if i, ok := f.byName[l.Cluster]; ok {
			f.sites[i].used = f.sites[i].used.Add(l.Reservation)
			f.sites[i].count += l.Executions
		}
	}
}

// commonStore is the object store that all clusters write to; empty if there are
// several, or if some cluster does not say.
func (f *fleet) commonStore() string {
	common := ""
	for i := range f.sites {
		switch s := f.sites[i].Store; {
		case s == "" || common != "" && s != common:
			return ""
		default:
			common = s
		}
	}
	return common
}

// rootOf is how the places of a store's data begin. A store's name says more than
// that: which server has the bucket, which of several folders of one path it is.
func rootOf(store string) string {
	if folder, ok := strings.CutPrefix(store, "file://"); ok {
		if _, path, ok := strings.Cut(folder, "/"); ok {
			return "/" + path
		}
		return ""
	}
	if at := strings.LastIndexByte(store, '@'); at >= 0 {
		return store[:at]
	}
	return store
}

// put counts an execution on a cluster; n is -1 when it leaves.
func (f *fleet) put(i int, reservation flow.Resources, n int64) {
	s := &f.sites[i]
	s.used = s.used.Add(reservation.Times(n))
	s.count += n
	f.changed(i)
}

func (f *fleet) changed(i int) {
	f.log = append(f.log, int32(i))
	f.changes[i]++
}

// hold keeps room for one pod of a starved execution on a cluster.
func (f *fleet) hold(i int, largest flow.Resources, execution string) {
	f.sites[i].kept, f.sites[i].keptFor = largest, execution
	f.changed(i)
}

// domains are the failure domains that one label makes of the fleet. A cluster
// without the label is a domain of its own.
type domains struct {
	of []int32 // by site
	n  int
}

func (f *fleet) domainsOf(label string) *domains {
	d, ok := f.domains[label]
	if !ok {
		d = &domains{of: make([]int32, len(f.sites))}
		ids := map[string]int32{}
		for i := range f.sites {
			name, ok := f.sites[i].Labels[label]
			if name = "=" + name; !ok {
				name = f.sites[i].Name
			}
			id, ok := ids[name]
			if !ok {
				id = int32(d.n)
				ids[name] = id
				d.n++
			}
			d.of[i] = id
		}
		f.domains[label] = d
	}
	return d
}

// version is a program's version number; the zero value is none.
type version struct{ major, minor, patch int }

func (v version) below(o version) bool {
	return cmp.Or(cmp.Compare(v.major, o.major), cmp.Compare(v.minor, o.minor), cmp.Compare(v.patch, o.patch)) < 0
}

// oldestFor is the version below which members get nothing new: one minor
// version before the control plane's, or any of the major version before that.
func oldestFor(control string) version {
	v, _ := parseVersion(control)
	if v.minor > 0 {
		return version{major: v.major, minor: v.minor - 1}
	}
	return version{major: max(v.major-1, 0)}
}

// parseVersion reads "v1.2.3", with or without the v, and with anything behind
// a "-" or "+"; ok is false for what is no version number.
func parseVersion(s string) (version, bool) {
	s, _, _ = strings.Cut(strings.TrimPrefix(s, "v"), "-")
	s, _, _ = strings.Cut(s, "+")
	var n [3]int
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return version{}, false
	}
	for i, p := range parts {
		x, err := strconv.Atoi(p)
		if err != nil || x < 0 {
			return version{}, false
		}
		n[i] = x
	}
	return version{n[0], n[1], n[2]}, true
}

// fnv is FNV-1a.
func fnv(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix spreads two hashes over all bits; FNV alone leaves names that differ in
// their last character close together.
func mix(a, b uint64) uint64 {
	x := a*0x9e3779b97f4a7c15 ^ b
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
