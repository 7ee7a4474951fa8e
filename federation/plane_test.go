package federation_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// row is an execution and its outbox row.
type row struct {
	flow.Assignment
	acked    uint64
	phase    flow.ExecutionPhase
	sequence uint64
}

type token struct {
	cluster string
	keyHash []byte
	cert    []byte
}

// plane is a control plane in memory: every port of the hub's.
type plane struct {
	mu          sync.Mutex
	rows        map[flow.ExecutionID]*row
	gens        map[flow.Member]uint64
	ownership   map[flow.Member]uint64
	tokens      map[string]*token
	report      flow.ClusterReport
	events      []flow.Event // accepted
	grants      bool
	lease       time.Duration
	hub         map[flow.Member]string
	ingest      func() error // before each ingest
	incarnation uint64       // of the cluster
	revoked     map[flow.Member]bool
	removed     map[string]uint64 // clusters that were removed, at which incarnation
	gone        map[string]bool   // clusters that are not registered
	admissions  int               // that were asked for
	away        bool              // revocations cannot be read
	audit       []flow.Audit
	onVerdicts  func()                      // before each inventory is judged
	onAck       func(row)                   // of what was acked, before it is stored
	opening     time.Duration               // how long the database takes to open a session
	beating     func(context.Context) error // before each beat
	looks       int                         // at the outbox, for all sessions
	reads       int                         // of the outbox
	fence       flow.Fence
	known       flow.Fence // by the hubs
	rebuild     flow.Rebuild
	holdings    []flow.Holding // in REBUILD
	reported    map[flow.Member]uint64
	refuse      error // what EnterRebuild says
	entering    int   // calls of EnterRebuild
}

func newPlane() *plane {
	return &plane{
		rows: map[flow.ExecutionID]*row{}, gens: map[flow.Member]uint64{}, ownership: map[flow.Member]uint64{},
		tokens: map[string]*token{}, hub: map[flow.Member]string{}, grants: true, lease: 30 * time.Second, incarnation: 1, revoked: map[flow.Member]bool{},
		removed: map[string]uint64{}, gone: map[string]bool{},
		fence: flow.Fence{Epoch: flow.Epoch{Era: 1, N: 5}}, reported: map[flow.Member]uint64{},
	}
}

// place puts an execution on the first cluster at its next epoch.
func (p *plane) place(name string, run *flow.Run) flow.ExecutionID {
	return p.placeOn("east", name, run)
}

func (p *plane) placeOn(cluster, name string, run *flow.Run) flow.ExecutionID {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := flow.ExecutionID{Project: "proj", Domain: "dev", Name: name}
	r := p.rows[id]
	if r == nil {
		r = &row{Assignment: flow.Assignment{Execution: id, Epoch: flow.Epoch{Era: 1}}}
		p.rows[id] = r
	}
	r.Cluster, r.Epoch, r.Desired, r.Run = cluster, r.Epoch.Next(), flow.DesiredRun, run
	r.Revision++
	r.phase = flow.ExecutionQueued
	return id
}

func (p *plane) want(id flow.ExecutionID, d flow.Desired) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.rows[id]
	r.Desired, r.Cause = d, "asked by a test"
	r.Revision++
}

func (p *plane) row(id flow.ExecutionID) row {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *p.rows[id]
}

func (p *plane) set(f func(*plane)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func (p *plane) check(who flow.Sender) error {
	if p.gens[who.Member] != who.Generation {
		return fault.E(fault.Stale, "generation %d is not the newest", who.Generation)
	}
	return nil
}

func (p *plane) Assignments(_ context.Context, who flow.Sender, limit int) ([]flow.Assignment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads++
	if err := p.check(who); err != nil {
		return nil, err
	}
	var list []flow.Assignment
	for _, r := range p.rows {
		if r.Cluster == who.Cluster && r.acked < r.Revision && len(list) < limit {
			a := r.Assignment
			a.OwnershipRevision, a.Incarnation = p.ownership[who.Member], p.incarnation
			list = append(list, a)
		}
	}
	return list, nil
}

func (p *plane) Due(_ context.Context, senders []flow.Sender) (due []flow.Sender, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks++
	for _, who := range senders {
		waits := p.check(who) != nil
		for _, r := range p.rows {
			waits = waits || r.Cluster == who.Cluster && r.acked < r.Revision
		}
		if waits {
			due = append(due, who)
		}
	}
	return due, nil
}

func (p *plane) Ack(_ context.Context, who flow.Sender, acks []flow.Ack) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.check(who); err != nil {
		return err
	}
	for _, a := range acks {
		if r := p.rows[a.Execution]; r != nil && r.Epoch == a.Epoch {
			if p.onAck != nil {
				p.onAck(*r)
			}
			r.acked = max(r.acked, min(a.Revision, r.Revision))
		}
	}
	return nil
}

func (p *plane) OpenSession(ctx context.Context, m flow.Member, hub string, report flow.ClusterReport) (flow.Session, error) {
	var opening time.Duration
	p.set(func(p *plane) { opening = p.opening })
	select {
	case <-ctx.Done():
		return flow.Session{}, ctx.Err()
	case <-time.After(opening):
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.revoked[m] {
		return flow.Session{}, fault.E(fault.Forbidden, "revoked")
	}
	if m.Cluster == "nowhere" || p.gone[m.Cluster] {
		return flow.Session{}, fault.E(fault.NotFound, "no such cluster")
	}
	p.gens[m]++
	p.hub[m], p.report = hub, report
	return flow.Session{
		Sender: flow.Sender{Member: m, Generation: p.gens[m], Incarnation: p.incarnation}, Era: p.fence.Epoch.Era, OwnershipRevision: p.ownership[m],
		Rebuild: !p.rebuild.Since.IsZero(),
	}, nil
}

func (p *plane) Report(_ context.Context, _ flow.Sender, r flow.ClusterReport) error {
	p.set(func(p *plane) { p.report = r })
	return nil
}

func (p *plane) Verdicts(_ context.Context, who flow.Sender, held []flow.Held) (flow.Verdicts, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.check(who); err != nil {
		return flow.Verdicts{}, err
	}
	if p.onVerdicts != nil {
		p.onVerdicts()
	}
	v := flow.Verdicts{OwnershipRevision: p.ownership[who.Member]}
	for _, h := range held {
		order := flow.OrderStop
		var acked uint64
		if r := p.rows[h.Execution]; r != nil && r.Cluster == who.Cluster && r.Epoch == h.Epoch {
			acked = r.sequence
			switch {
			case h.Terminal:
				order = flow.OrderReport
			case !r.phase.Terminal():
				order = flow.OrderKeep
			}
		}
		v.List = append(v.List, flow.Verdict{Execution: h.Execution, Epoch: h.Epoch, Order: order, Acked: acked})
	}
	return v, nil
}

func (p *plane) Revoked(context.Context) ([]flow.Member, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return nil, fault.E(fault.Unavailable, "the database is away")
	}
	return slices.Collect(maps.Keys(p.revoked)), nil
}

func (p *plane) Admits(_ context.Context, m flow.Member, made uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.admissions++
	switch {
	case p.gone[m.Cluster]:
		return 0, fault.E(fault.NotFound, "no such cluster")
	case p.revoked[m]:
		return 0, fault.E(fault.Forbidden, "revoked")
	case p.removed[m.Cluster] > 0 && made <= p.removed[m.Cluster]:
		return 0, fault.E(fault.Forbidden, "of a removed cluster")
	}
	return p.incarnation, nil
}

func (p *plane) WriteAudit(_ context.Context, a flow.Audit) error {
	p.set(func(p *plane) { p.audit = append(p.audit, a) })
	return nil
}

// audited counts the lines of an action.
func (p *plane) audited(action string) (n int) {
	p.set(func(p *plane) {
		for _, a := range p.audit {
			if a.Action == action {
				n++
			}
		}
	})
	return n
}

// accepted is every event that was accepted.
func (p *plane) accepted() (list []flow.Event) {
	p.set(func(p *plane) { list = slices.Clone(p.events) })
	return list
}

// sessions is how many were opened.
func (p *plane) sessions() (n uint64) {
	p.set(func(p *plane) {
		for _, g := range p.gens {
			n += g
		}
	})
	return n
}

func (p *plane) incarnation64() int64 { return int64(p.incarnation) }

func (p *plane) CloseSession(_ context.Context, who flow.Sender) error {
	p.set(func(p *plane) {
		if p.check(who) == nil {
			p.hub[who.Member] = ""
		}
	})
	return nil
}

func (p *plane) Ingest(_ context.Context, who flow.Sender, events []flow.Event) ([]flow.EventResult, error) {
	p.mu.Lock()
	hook := p.ingest
	p.mu.Unlock()
	if hook != nil {
		if err := hook(); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.check(who); err != nil {
		return nil, err
	}
	results := make([]flow.EventResult, len(events))
	for i, e := range events {
		r := p.rows[e.Execution]
		if r == nil || r.Cluster != who.Cluster || r.Epoch != e.Epoch {
			results[i].Reason = "not yours"
			continue
		}
		results[i].Accepted = true
		r.sequence = max(r.sequence, e.Sequence)
		r.acked = max(r.acked, min(e.Revision, r.Revision))
		if e.Kind == flow.EventWorkflow {
			r.phase = flow.ExecutionPhase(e.Phase)
		}
		p.events = append(p.events, e)
	}
	return results, nil
}

func (p *plane) Beat(ctx context.Context, _ string, beats []flow.Beat) ([]flow.Lease, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if beating := p.beating; beating != nil {
		p.mu.Unlock()
		err := beating(ctx)
		p.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
	var leases []flow.Lease
	for _, b := range beats {
		if p.grants && b.Lease != nil && p.check(b.Sender) == nil {
			leases = append(leases, flow.Lease{Sender: b.Sender, Nonce: b.Lease.Nonce, Duration: p.lease, OwnershipRevision: p.ownership[b.Member]})
		}
	}
	return leases, nil
}

func (p *plane) CreateToken(_ context.Context, hash []byte, cluster string, _ time.Time) error {
	p.set(func(p *plane) { p.tokens[string(hash)] = &token{cluster: cluster} })
	return nil
}

func (p *plane) ConsumeToken(_ context.Context, hash, keyHash []byte, _ string, issue func(string, uint64) ([]byte, error), _ time.Time) (string, []byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tokens[string(hash)]
	if t == nil {
		return "", nil, fault.E(fault.Unauthorized, "the token is not valid")
	}
	if t.keyHash != nil && !bytes.Equal(t.keyHash, keyHash) {
		return "", nil, fault.E(fault.Forbidden, "the token was used with another key")
	}
	if t.cert == nil {
		cert, err := issue(t.cluster, p.incarnation)
		if err != nil {
			return "", nil, err
		}
		t.cert, t.keyHash = cert, slices.Clone(keyHash)
	}
	return t.cluster, t.cert, nil
}
