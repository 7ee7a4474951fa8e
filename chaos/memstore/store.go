package memstore

import (
	"context"
	"sync"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// Fate is what becomes of one call.
type Fate uint8

// The fates of a call. A read that does not get its answer is refused.
const (
	Fine      Fate = iota
	Refused        // Unavailable, and nothing happened
	Ambiguous      // it landed, and its caller is told Unavailable
	Again          // it was rolled back and run once more: a serialisation failure
	Late           // its caller is told Unavailable now; it lands when Land is called
)

// Options of a Store; all may be left out.
type Options struct {
	// Fate is asked before each call, by the name of the method.
	Fate func(op string) Fate
	// Now stamps what no caller stamps.
	Now func() time.Time
	// Changed is told what a transaction has changed, after it has landed, and
	// before its caller is answered.
	Changed func(Commit)
	// Known is the highest fence that the replicas have seen, as admin/store's is;
	// see Store.Knowing for replicas that differ.
	Known func() flow.Fence
}

// Commit is what one transaction did to executions, in the order in which it
// first wrote their rows.
type Commit struct {
	Op      string
	Changes []Change
	Events  []Recorded
	Acks    []Acked
	Forced  []string // clusters from which something was taken by force
}

// Recorded is one event that was folded in, or refused.
type Recorded struct {
	Sender        flow.Sender
	Event         flow.Event
	Result        flow.EventResult
	Before, After flow.Recorded
}

// Acked is one outbox row whose acked revision has risen.
type Acked struct {
	Cluster   string
	Execution flow.ExecutionID
	Epoch     flow.Epoch
	Revision  uint64
}

// Change is one execution's row before and after; a new one has no ID before.
type Change struct{ Before, After flow.Execution }

// Store is a database in memory. Its methods are those of the store's ports,
// documented at admin/store.Store. It is safe for concurrent use.
type Store struct {
	*engine
	known func() flow.Fence
}

// Knowing is the same database as a replica sees it that has seen that fence.
func (s *Store) Knowing(known func() flow.Fence) *Store { return &Store{s.engine, known} }

// engine is what all views of a database share.
type engine struct {
	o    Options
	mu   sync.Mutex
	t    *tables
	late []inFlight
	news []Commit // that nobody was told of yet
}

// New makes an empty database: era 1, no scheduler.
func New(o Options) *Store {
	if o.Fate == nil {
		o.Fate = func(string) Fate { return Fine }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Known == nil {
		o.Known = func() flow.Fence { return flow.Fence{} }
	}
	return &Store{&engine{o: o, t: newTables()}, o.Known}
}

// Backup is what a Store held at some time.
type Backup struct{ t *tables }

// Backup copies what is there now.
func (s *Store) Backup() Backup {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Backup{s.t.clone()}
}

// Restore puts the database back to a backup. What was in flight is gone.
func (s *Store) Restore(b Backup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t, s.late = b.t.clone(), nil
}

// Land lets what is still in flight reach the database, in the order in which
// it was sent, and says how much that was.
func (s *Store) Land() int {
	defer s.tell()
	s.mu.Lock()
	defer s.mu.Unlock()
	late := s.late
	s.late = nil
	for _, l := range late {
		_ = s.commit(l.op, l.fn) // its caller has gone; a fence that has moved on refuses it here
	}
	return len(late)
}

// inFlight is a transaction whose caller has given up on it.
type inFlight struct {
	op string
	fn func(*tables) error
}

// commit runs a transaction to its end.
func (s *engine) commit(op string, fn func(*tables) error) error {
	t := s.t
	t.before, t.touched, t.forced, t.events, t.acks = nil, nil, nil, nil, nil
	if err := fn(t); err != nil {
		return err
	}
	c := Commit{Op: op, Forced: sortedKeys(t.forced), Events: t.events, Acks: t.acks}
	if !mutant.On("ownership-revision-not-raised") {
		for _, cluster := range c.Forced {
			for _, m := range t.membersOf(cluster) {
				m.OwnershipRevision++
			}
		}
	}
	for _, id := range t.touched {
		c.Changes = append(c.Changes, Change{t.before[id], t.runs[id].e})
	}
	if len(c.Changes)+len(c.Forced)+len(c.Events)+len(c.Acks) > 0 {
		s.news = append(s.news, c)
	}
	return nil
}

// tell tells what has landed since the last time. The store is not locked.
func (s *engine) tell() {
	s.mu.Lock()
	news := s.news
	s.news = nil
	s.mu.Unlock()
	if s.o.Changed != nil {
		for _, c := range news {
			s.o.Changed(c)
		}
	}
}

// write runs one transaction that changes something. fn checks everything
// before it changes anything, and sets its results last.
func (s *Store) write(ctx context.Context, op string, fn func(*tables) error) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Unavailable, err, "%s was not begun", op)
	}
	fate := s.o.Fate(op)
	defer s.tell()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch fate {
	case Refused:
		if mutant.On("commit-error-ignored") {
			return fn(s.t.clone())
		}
		return fault.E(fault.Unavailable, "%s: the database is away", op)
	case Again:
		_ = fn(s.t.clone())
	case Ambiguous:
		if err := s.commit(op, fn); err != nil {
			return err
		}
		return fault.E(fault.Unavailable, "%s: the answer to COMMIT was lost", op)
	case Late:
		s.late = append(s.late, inFlight{op, fn})
		return fault.E(fault.Unavailable, "%s: the connection was lost", op)
	}
	return s.commit(op, fn)
}

// read runs one transaction that changes nothing.
func (s *Store) read(ctx context.Context, op string, fn func(*tables) error) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Unavailable, err, "%s was not begun", op)
	}
	fate := s.o.Fate(op)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch fate {
	case Fine, Again:
		return fn(s.t)
	}
	return fault.E(fault.Unavailable, "%s: the database is away", op)
}

// Row shows one execution's row, past all faults.
func (s *Store) Row(id flow.ExecutionID) (flow.Execution, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.t.runs[id]
	if r == nil {
		return flow.Execution{}, false
	}
	return r.e, true
}

// Cluster shows one cluster's row, past all faults; its zero value if there is
// none.
func (s *Store) Cluster(name string) flow.Cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.t.clusters[name]; c != nil {
		return *c
	}
	return flow.Cluster{}
}

// Look shows the rows themselves, past all faults: for checkers.
func (s *Store) Look() Facts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.t.facts()
}

// Facts are rows as a checker sees them, each list in the order of creation or
// of names.
type Facts struct {
	Fence      flow.Fence
	Executions []flow.Execution
	Clusters   []flow.Cluster
	Members    []flow.MemberState
	Rebuild    flow.Rebuild // that lasts
	Rebuilt    flow.Rebuilt // the newest that has ended
}
