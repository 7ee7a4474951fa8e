package memstore

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// tables are all facts. What a row points to is never changed in place, so a
// copy of a row is a copy of all of it.
type tables struct {
	fence    flow.Fence
	longest  time.Duration
	projects map[string]flow.Project
	entities map[entityKey]flow.Entity
	runs     map[flow.ExecutionID]*run
	order    []flow.ExecutionID // as they were created
	clusters map[string]*flow.Cluster
	members  map[flow.Member]*flow.MemberState
	outbox   map[string]map[flow.ExecutionID]*due // by cluster
	audit    []flow.Audit
	trails   map[string]flow.Trail
	stored   map[string]time.Time        // when trails were stored
	classes  map[string]flow.Requirement // requirements by digest; what one names never changes
	rounds   []flow.Round
	policies map[string][]flow.Policy
	opened   map[flow.Member]uint64 // sessions of the cluster as a member's newest one opened
	removed  map[string]uint64      // incarnations of clusters that were removed
	barred   map[string]uint64      // up to which their certificates are good for nothing
	tick     uint64                 // orders the outbox
	lines    uint64                 // of the audit, so far
	rebuild  flow.Rebuild           // Since is zero while none lasts
	rebuilt  *flow.Rebuilt          // the newest that has ended
	stages   map[flow.Member]int    // what a member's newest session is to the REBUILD
	held     map[flow.ExecutionID]heldBy

	// Of the transaction that runs.
	before  map[flow.ExecutionID]flow.Execution
	touched []flow.ExecutionID
	forced  map[string]bool
	events  []Recorded
	acks    []Acked
	began   *tables // what a mutant's transaction reads
}

// touch gives an execution's row to be written.
func (t *tables) touch(r *run) *flow.Execution {
	if _, ok := t.before[r.e.ID]; !ok {
		if t.before == nil {
			t.before = map[flow.ExecutionID]flow.Execution{}
		}
		t.before[r.e.ID] = r.e
		t.touched = append(t.touched, r.e.ID)
	}
	return &r.e
}

type entityKey struct {
	kind flow.EntityKind
	id   flow.EntityID
}

// run is one execution with all that belongs to it.
type run struct {
	e         flow.Execution
	digest    string
	nodes     map[string]flow.NodeExecution
	tasks     map[attempt]flow.TaskExecution
	oldNodes  []flow.NodeExecution // put away by restarts, newest restart first
	oldTasks  []flow.TaskExecution
	decisions []flow.Decision
	wait      *flow.Decision
	moves     []flow.Move
	placedAt  time.Time
	revokedAt time.Time
	because   string // of the revocation
}

// attempt names a task row.
type attempt struct {
	node string
	n    uint32
}

// due is one outbox row.
type due struct {
	epoch  flow.Epoch
	wanted uint64
	acked  uint64
	at     uint64
	// by is who acked it first, and in after how many sessions of its cluster.
	by string
	in uint64
	// updated is the time of the last write.
	updated time.Time
}

func newTables() *tables {
	return &tables{
		fence:    flow.Fence{Epoch: flow.Epoch{Era: 1}},
		projects: map[string]flow.Project{}, entities: map[entityKey]flow.Entity{},
		runs: map[flow.ExecutionID]*run{}, clusters: map[string]*flow.Cluster{},
		members: map[flow.Member]*flow.MemberState{}, outbox: map[string]map[flow.ExecutionID]*due{},
		trails: map[string]flow.Trail{}, stored: map[string]time.Time{}, classes: map[string]flow.Requirement{}, policies: map[string][]flow.Policy{}, removed: map[string]uint64{}, barred: map[string]uint64{}, opened: map[flow.Member]uint64{},
		stages: map[flow.Member]int{}, held: map[flow.ExecutionID]heldBy{},
	}
}

func (t *tables) clone() *tables {
	c := *t
	c.before, c.touched, c.forced, c.events, c.acks = nil, nil, nil, nil, nil
	c.projects, c.entities = maps.Clone(t.projects), maps.Clone(t.entities)
	c.removed, c.stored, c.opened = maps.Clone(t.removed), maps.Clone(t.stored), maps.Clone(t.opened)
	c.barred = maps.Clone(t.barred)
	c.stages, c.held = maps.Clone(t.stages), maps.Clone(t.held)
	c.trails, c.policies, c.classes = maps.Clone(t.trails), maps.Clone(t.policies), maps.Clone(t.classes)
	c.order, c.audit, c.rounds = slices.Clone(t.order), slices.Clone(t.audit), slices.Clone(t.rounds)
	c.runs = make(map[flow.ExecutionID]*run, len(t.runs))
	for id, r := range t.runs {
		n := *r
		n.nodes, n.tasks = maps.Clone(r.nodes), maps.Clone(r.tasks)
		n.decisions, n.moves = slices.Clone(r.decisions), slices.Clone(r.moves)
		c.runs[id] = &n
	}
	c.clusters = make(map[string]*flow.Cluster, len(t.clusters))
	for name, row := range t.clusters {
		n := *row
		c.clusters[name] = &n
	}
	c.members = make(map[flow.Member]*flow.MemberState, len(t.members))
	for m, row := range t.members {
		n := *row
		c.members[m] = &n
	}
	c.outbox = make(map[string]map[flow.ExecutionID]*due, len(t.outbox))
	for cluster, rows := range t.outbox {
		c.outbox[cluster] = make(map[flow.ExecutionID]*due, len(rows))
		for id, row := range rows {
			n := *row
			c.outbox[cluster][id] = &n
		}
	}
	return &c
}

// force notes that something was taken from a cluster without asking it: the
// ownership revision of its members rises when the transaction lands.
func (t *tables) force(cluster string) {
	if t.forced == nil {
		t.forced = map[string]bool{}
	}
	t.forced[cluster] = true
}

// want writes an outbox row; acked is kept if the row is of the same epoch.
func (t *tables) want(e *flow.Execution) {
	rows := t.outbox[e.Cluster]
	if rows == nil {
		rows = map[flow.ExecutionID]*due{}
		t.outbox[e.Cluster] = rows
	}
	t.tick++
	row := &due{epoch: e.Epoch, wanted: e.Revision, at: t.tick, updated: e.UpdatedAt}
	if old := rows[e.ID]; old != nil && old.epoch == e.Epoch {
		row.acked, row.by, row.in = old.acked, old.by, old.in
	}
	rows[e.ID] = row
}

// membersOf lists the rows of a cluster's members by instance; all members if
// cluster is empty.
func (t *tables) membersOf(cluster string) []*flow.MemberState {
	var list []*flow.MemberState
	for _, m := range t.members {
		if cluster == "" || m.Cluster == cluster {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b *flow.MemberState) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Instance, b.Instance))
	})
	return list
}

func (t *tables) clusterNames() []string { return slices.Sorted(maps.Keys(t.clusters)) }

func (t *tables) facts() Facts {
	f := Facts{Fence: t.fence, Rebuild: t.progress()}
	if t.rebuilt != nil {
		f.Rebuilt = *t.rebuilt
	}
	for _, id := range t.order {
		f.Executions = append(f.Executions, t.runs[id].e)
	}
	for _, name := range t.clusterNames() {
		f.Clusters = append(f.Clusters, *t.clusters[name])
	}
	for _, m := range t.membersOf("") {
		f.Members = append(f.Members, *m)
	}
	return f
}

func (t *tables) run(id flow.ExecutionID) (*run, error) {
	r := t.runs[id]
	if r == nil {
		return nil, fault.E(fault.NotFound, "execution %s does not exist", id)
	}
	return r, nil
}

// stamp is a time as a database keeps it.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Microsecond)
}

// digestOf names a requirement: equal digests, equal requirements.
func digestOf(r flow.Requirement) string {
	text, err := json.Marshal(r)
	if err != nil {
		return err.Error() // no value of a Requirement cannot be written
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func byID(a, b flow.ExecutionID) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Project, b.Project), cmp.Compare(a.Domain, b.Domain))
}
