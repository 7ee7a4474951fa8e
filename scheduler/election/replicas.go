package election

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// Replicas are those that take part, as this replica knows them. Unavailable
// while its log cannot be written.
func (e *Elector) Replicas() ([]flow.Replica, error) {
	p, err := e.partaking()
	if err != nil {
		return nil, err
	}
	leader, _ := e.Leader()
	var out []flow.Replica
	for _, s := range p.servers() {
		out = append(out, flow.Replica{ID: string(s.ID), Address: string(s.Address),
			Voter: s.Suffrage == raft.Voter, Leader: string(s.ID) == leader})
	}
	return out, nil
}

// AddReplica lets a replica vote, or changes its address. Only the leader can:
// elsewhere it is Unavailable. Precondition if nothing answers at the address:
// a voter that is not there takes a majority away.
func (e *Elector) AddReplica(ctx context.Context, id, addr string) error {
	p, err := e.leading(ctx)
	if err != nil {
		return err
	}
	if id == "" || addr == "" {
		return fault.Field("replica", "needs an id and an address, got %q at %q", id, addr)
	}
	for _, s := range p.servers() {
		if string(s.Address) == addr && string(s.ID) != id {
			return fault.E(fault.Conflict, "replica %s has the address %s", s.ID, addr)
		}
	}
	if err := p.answers(addr, e.opts.Timeout); err != nil {
		return fault.Wrap(fault.Precondition, err, "nobody who may vote answers at %s: start replica %s first", addr, id)
	}
	err = p.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(addr), 0, e.opts.Timeout).Error()
	return changed(err, "add replica %s", id)
}

// RemoveReplica takes a replica's vote. Only the leader can: elsewhere it is
// Unavailable. NotFound if there is no such replica; Precondition for the last
// one, for the leader itself, and if a majority of those that are left does not
// answer.
func (e *Elector) RemoveReplica(ctx context.Context, id string) error {
	p, err := e.leading(ctx)
	if err != nil {
		return err
	}
	found, left, answer := false, 0, 0
	for _, s := range p.servers() {
		switch {
		case string(s.ID) == id:
			found = true
		case s.Suffrage == raft.Voter:
			left++
			if string(s.ID) == e.opts.ID || !p.trouble.of(s.ID) {
				answer++
			}
		}
	}
	switch {
	case !found:
		return fault.E(fault.NotFound, "there is no replica %q", id)
	case left == 0:
		return fault.E(fault.Precondition, "replica %s is the last one: nobody would schedule", id)
	case id == e.opts.ID:
		return fault.E(fault.Precondition, "replica %s leads: hand its leadership over first (skein admin replicas transfer)", id)
	case 2*answer <= left:
		return fault.E(fault.Precondition, "of the %d voters that would be left only %d answer: nobody could be elected; bring them back first", left, answer)
	}
	return changed(p.raft.RemoveServer(raft.ServerID(id), 0, e.opts.Timeout).Error(), "remove replica %s", id)
}

// TransferLeadership hands leadership to a replica, or to the most up to date
// one if to is empty. It returns when the other has won; its term begins a
// moment later. Only the leader can: elsewhere it is Unavailable. NotFound if
// there is no such voter, Precondition if there is no other one.
func (e *Elector) TransferLeadership(ctx context.Context, to string) error {
	p, err := e.leading(ctx)
	if err != nil {
		return err
	}
	if to == e.opts.ID {
		return nil
	}
	if to == "" {
		if !p.hasOthers(e.opts.ID) {
			return fault.E(fault.Precondition, "there is no other replica to hand leadership to")
		}
		return changed(p.raft.LeadershipTransfer().Error(), "hand leadership over")
	}
	for _, s := range p.servers() {
		if string(s.ID) == to && s.Suffrage == raft.Voter {
			return changed(p.raft.LeadershipTransferToServer(s.ID, s.Address).Error(), "hand leadership to %s", to)
		}
	}
	return fault.E(fault.NotFound, "there is no replica %q that votes", to)
}

// Trouble is when this replica, leading, last found another one that did not
// answer; zero: never.
func (e *Elector) Trouble() time.Time {
	p := e.participant()
	if p == nil {
		return time.Time{}
	}
	return p.trouble.last()
}

// changed sorts raft's errors.
func changed(err error, format string, args ...any) error {
	kind := fault.Internal
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrEnqueueTimeout),
		errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrRaftShutdown):
		kind = fault.Unavailable
	}
	return fault.Wrap(kind, err, format, args...)
}

func (e *Elector) partaking() (*participant, error) {
	if p := e.participant(); p != nil {
		return p, nil
	}
	return nil, fault.E(fault.Unavailable, "this replica takes no part in the election at the moment: its raft log cannot be written")
}

func (e *Elector) leading(ctx context.Context) (*participant, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "change the replicas")
	}
	p, err := e.partaking()
	if err == nil && p.raft.State() != raft.Leader {
		err = fault.E(fault.Unavailable, "replica %s does not lead", e.opts.ID)
	}
	return p, err
}

// servers is the newest configuration, agreed on or about to be.
func (p *participant) servers() []raft.Server {
	future := p.raft.GetConfiguration()
	if future.Error() != nil {
		return nil
	}
	return future.Configuration().Servers
}

// agreed is a replica's address in the newest configuration. Raft itself asks,
// before it is there too.
func (p *participant) agreed(id raft.ServerID) (raft.ServerAddress, bool) {
	select {
	case <-p.running:
	default:
		return "", false
	}
	for _, s := range p.servers() {
		if s.ID == id {
			return s.Address, true
		}
	}
	return "", false
}

func (p *participant) hasOthers(self string) bool {
	for _, s := range p.servers() {
		if string(s.ID) != self && s.Suffrage == raft.Voter {
			return true
		}
	}
	return false
}

// answers reports whether a replica's TLS answers at an address.
func (p *participant) answers(addr string, timeout time.Duration) error {
	c, err := p.stream.Dial(raft.ServerAddress(addr), timeout)
	if err != nil {
		return err
	}
	return c.Close()
}

// trouble remembers which replicas do not answer the leader's heartbeats.
type trouble struct {
	mu     sync.Mutex
	silent map[raft.ServerID]bool
	at     time.Time
}

// watch takes raft's observations until the channel is closed.
func (t *trouble) watch(seen <-chan raft.Observation) {
	for o := range seen {
		t.mu.Lock()
		switch d := o.Data.(type) {
		case raft.FailedHeartbeatObservation:
			t.silent[d.PeerID], t.at = true, time.Now()
		case raft.ResumedHeartbeatObservation:
			delete(t.silent, d.PeerID)
		case raft.RaftState: // another role: what was silent to the old one says nothing
			clear(t.silent)
		}
		t.mu.Unlock()
	}
}

func (t *trouble) of(id raft.ServerID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.silent[id]
}

func (t *trouble) last() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at
}

// observe lets the trouble of a raft be known. What it returns ends that.
func (t *trouble) observe(r *raft.Raft) (end func()) {
	seen, done := make(chan raft.Observation, 64), make(chan struct{})
	o := raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.FailedHeartbeatObservation, raft.ResumedHeartbeatObservation, raft.RaftState:
			return true
		}
		return false
	})
	r.RegisterObserver(o)
	go func() {
		defer close(done)
		t.watch(seen)
	}()
	return func() {
		r.DeregisterObserver(o)
		close(seen)
		<-done
	}
}
