package assemble

import (
	"context"
	"time"

	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler"
	"github.com/skein-project/skein/scheduler/election"
)

// termPatience bounds how long a transfer waits for the new term.
const termPatience = 10 * time.Second

// controlPlane shows and changes the election for operators. It satisfies
// service.ControlPlane; calls reach it on the leader (toLeader).
type controlPlane struct {
	id, self  string // of the control plane, and of this replica
	elector   *election.Elector
	scheduler *scheduler.Scheduler
	fence     func(ctx context.Context) (flow.Fence, error) // the database's
	others    *phonebook
}

// rebuilder is the store, but that what a restored backup has forgotten is
// derived by the service before it is stored.
type rebuilder struct {
	*store.Store
	a *Admin
}

// TakeHoldings stores what members hold and the database does not know.
func (r rebuilder) TakeHoldings(ctx context.Context, who flow.Sender, list []flow.Holding, last bool) error {
	return r.a.service.TakeHoldings(ctx, who, list, last)
}

// Describe tells the replicas as this one knows them.
func (c controlPlane) Describe(ctx context.Context) (service.ControlPlaneState, error) {
	replicas, err := c.replicas(ctx)
	epoch, leads := c.scheduler.Leading()
	if !leads {
		epoch = c.elector.Highest().Epoch
	}
	doubt, _ := c.scheduler.Doubt() // of no term there is none
	return service.ControlPlaneState{ID: c.id, Replicas: replicas, Epoch: epoch, Doubt: doubt}, err
}

// AddReplica lets a replica vote.
func (c controlPlane) AddReplica(ctx context.Context, id, address string) ([]flow.Replica, error) {
	if id != c.self && c.others.line(id) == nil {
		return nil, fault.E(fault.Precondition, "replica %s has not said in this database where it is reached: start it first, with this database; "+
			"one of an earlier release does not say it, and must be among the peers of all", id)
	}
	if err := c.elector.AddReplica(ctx, id, address); err != nil {
		return nil, err
	}
	return c.replicas(ctx)
}

// RemoveReplica takes a replica's vote.
func (c controlPlane) RemoveReplica(ctx context.Context, id string) ([]flow.Replica, error) {
	if err := c.elector.RemoveReplica(ctx, id); err != nil {
		return nil, err
	}
	return c.replicas(ctx)
}

// replicas are those that take part, with what they say of themselves.
func (c controlPlane) replicas(ctx context.Context) ([]flow.Replica, error) {
	list, err := c.elector.Replicas()
	if err != nil {
		return nil, err
	}
	announced, err := c.others.rows.ListReplicas(ctx)
	if err != nil { // who votes is worth knowing while the database is away
		return list, nil //nolint:nilerr // said above
	}
	for i, r := range list {
		for _, a := range announced {
			if a.ID == r.ID {
				list[i].RPC, list[i].Version, list[i].SeenAt = a.RPC, a.Version, a.SeenAt
			}
		}
	}
	return list, nil
}

// TransferLeadership hands the leadership on and waits for the term of whoever
// got it: the database's scheduler epoch is then a higher one.
func (c controlPlane) TransferLeadership(ctx context.Context, to string) (string, flow.Epoch, error) {
	before, err := c.fence(ctx)
	if err != nil {
		return "", flow.Epoch{}, err
	}
	if to != "" && to == c.self {
		return to, before.Epoch, nil
	}
	if err := c.elector.TransferLeadership(ctx, to); err != nil {
		return "", flow.Epoch{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, termPatience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		now, err := c.fence(ctx)
		if leader, led := c.elector.Leader(); err == nil && led && now.Epoch.Compare(before.Epoch) > 0 {
			return leader, now.Epoch, nil
		}
		select {
		case <-ctx.Done():
			return "", flow.Epoch{}, fault.E(fault.Unavailable, "the leadership was handed on, and no new term has begun yet; skein admin replicas list shows who leads")
		case <-ticker.C:
		}
	}
}

// OverruleDoubt lets work be moved although most clusters seem to be lost.
func (c controlPlane) OverruleDoubt(context.Context) error {
	doubt, err := c.scheduler.Doubt()
	if err != nil {
		return err
	}
	if doubt == "" {
		return fault.E(fault.Precondition, "the control plane is not in doubt: nothing keeps it from moving work")
	}
	return c.scheduler.OverruleDoubt()
}
