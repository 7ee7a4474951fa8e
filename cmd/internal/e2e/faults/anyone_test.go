package faults

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/deploy/local/proc"
)

const (
	anyonePace = 400 * time.Millisecond
	anyoneDown = time.Second // how long what was killed stays so
	anyoneLoad = 12          // launches: some before the kill, some while it is down, some after
)

// anyoneDies kills one process of each kind under light load, and starts it
// again a second later. Everything succeeds, at its first epoch. (I1, I9, I38.)
func anyoneDies(t *testing.T, r *rig) {
	plane := r.Planes[0]
	of := func(names ...string) func(context.Context) ([]*proc.Process, error) {
		return func(context.Context) ([]*proc.Process, error) {
			var out []*proc.Process
			for _, name := range names {
				p := r.Group().Process(name)
				if p == nil {
					return nil, fmt.Errorf("there is no process %s", name)
				}
				out = append(out, p)
			}
			return out, nil
		}
	}
	for i, c := range []struct {
		kind string
		whom func(context.Context) ([]*proc.Process, error)
	}{
		{"the leader", func(ctx context.Context) ([]*proc.Process, error) { return r.replica(ctx, true) }},
		{"a follower", func(ctx context.Context) ([]*proc.Process, error) { return r.replica(ctx, false) }},
		{"a propeller", of(plane.Name + "-propeller")},
		{"a node agent", of(plane.Name + "-node")},
		{"an API server", of(plane.Name + "-kube-apiserver")},
		{"a cluster's whole memory", of(plane.Name+"-kube-apiserver", plane.Name+"-etcd")},
		{"the database", of("database")},
	} {
		t.Run(c.kind, func(t *testing.T) {
			names := r.underLoad(t, fmt.Sprintf("anyone%d", i), c.whom)
			eventually(t, 90*time.Second, r.allIn(names, core.WorkflowExecution_SUCCEEDED))
			r.checkOneOwner(t, names)
		})
	}
}

// replica is the leader, or one that follows it.
func (r *rig) replica(ctx context.Context, leads bool) ([]*proc.Process, error) {
	leader, err := r.awaitLeader(ctx)
	if err != nil {
		return nil, err
	}
	for _, other := range r.Replicas {
		if (other == leader) == leads {
			return []*proc.Process{other.Process}, nil
		}
	}
	return nil, errors.New("there is no follower")
}

// underLoad launches at a steady pace and kills meanwhile.
func (r *rig) underLoad(t *testing.T, prefix string, whom func(context.Context) ([]*proc.Process, error)) []string {
	t.Helper()
	var names []string
	for i := range anyoneLoad {
		names = append(names, fmt.Sprintf("%s-%02d", prefix, i))
	}
	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() error {
		var calls errgroup.Group
		for _, name := range names {
			calls.Go(func() error { return r.launch(ctx, "faults.chain", name, 0) })
			if err := pause(ctx, anyonePace); err != nil {
				return err
			}
		}
		return calls.Wait()
	})
	group.Go(func() error {
		if err := pause(ctx, 3*anyonePace); err != nil {
			return err
		}
		dead, err := whom(ctx)
		if err != nil {
			return err
		}
		for _, p := range dead {
			if err := p.Kill9(); err != nil {
				return err
			}
		}
		if err := pause(ctx, anyoneDown); err != nil {
			return err
		}
		for i := len(dead) - 1; i >= 0; i-- { // what others need comes first
			if err := dead[i].Restart(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	must(t, group.Wait())
	return names
}
