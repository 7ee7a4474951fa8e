package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/deploy/local/proc"
)

const (
	launches    = 50
	launchEvery = time.Second / 5
	leaderKills = 5
)

// leadersDie: 50 launches at five a second, while the leader is killed five
// times. (Invariants I1, I10, I14.)
func leadersDie(t *testing.T, r *rig) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var mu sync.Mutex
	var names []string
	launched := func() int { mu.Lock(); defer mu.Unlock(); return len(names) }
	group, ctx := errgroup.WithContext(ctx)
	begin := time.Now()
	group.Go(func() error {
		var calls errgroup.Group
		for i := range launches {
			if err := pause(ctx, time.Until(begin.Add(time.Duration(i)*launchEvery))); err != nil {
				return err
			}
			name := fmt.Sprintf("leader%02d", i)
			mu.Lock()
			names = append(names, name)
			mu.Unlock()
			calls.Go(func() error { return r.launch(ctx, "faults.chain", name, 0) })
		}
		return calls.Wait()
	})
	var kills []time.Time
	group.Go(func() error {
		for k := range leaderKills {
			for launched() < 1+k*(launches-2)/leaderKills {
				if err := pause(ctx, every); err != nil {
					return err
				}
			}
			at, err := r.killLeader(ctx)
			if err != nil {
				return fmt.Errorf("kill %d: %w", k+1, err)
			}
			kills = append(kills, at)
		}
		return nil
	})
	must(t, group.Wait())
	eventually(t, 90*time.Second, r.allIn(names, core.WorkflowExecution_SUCCEEDED))
	took := time.Since(begin)
	r.checkOneOwner(t, names)
	var lost []string
	for _, at := range kills {
		next := query[*time.Time](t, r, `SELECT min(decided_at) FROM decisions WHERE cluster <> '' AND decided_at > $1`, at)[0]
		gap := "nothing was left to place"
		if next != nil {
			gap = next.Sub(at).Round(10 * time.Millisecond).String()
		}
		lost = append(lost, fmt.Sprintf("at %s: %s", at.Sub(begin).Round(100*time.Millisecond), gap))
	}
	t.Logf("%d of %d SUCCEEDED at epoch 1.1, %s after the first launch; from each kill to the next placement: %s",
		len(names), launches, took.Round(100*time.Millisecond), strings.Join(lost, ", "))
}

// killLeader kills whoever leads and starts it again; it gives the time of the
// kill.
func (r *rig) killLeader(ctx context.Context) (time.Time, error) {
	for {
		if leader := r.Leader(ctx); leader != nil {
			at := time.Now()
			return at, errors.Join(leader.Kill9(), leader.Restart(ctx))
		}
		if err := pause(ctx, every); err != nil {
			return time.Time{}, err
		}
	}
}

// abortsMeetEvents: 50 executions with work for a minute, each aborted at a
// random moment. (Invariants I9, I27.)
func abortsMeetEvents(t *testing.T, r *rig) {
	const nap = 61 // seconds; tells these processes from all others
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var names []string
	var mu sync.Mutex
	met := map[core.WorkflowExecution_Phase]int{}
	var group errgroup.Group
	for i := range launches {
		name := fmt.Sprintf("abort%02d", i)
		names = append(names, name)
		wait := time.Duration(chance.Int64N(int64(8 * time.Second)))
		group.Go(func() error {
			if err := r.launch(ctx, "faults.naps", name, nap); err != nil {
				return fmt.Errorf("launch %s: %w", name, err)
			}
			if err := pause(ctx, wait); err != nil {
				return err
			}
			x, err := r.admin.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: executionID(name)})
			if err != nil {
				return err
			}
			mu.Lock()
			met[x.GetClosure().GetPhase()]++
			mu.Unlock()
			_, err = r.admin.TerminateExecution(ctx, &admin.ExecutionTerminateRequest{Id: executionID(name), Cause: "as planned"})
			return err
		})
	}
	must(t, group.Wait())
	aborted := time.Now()
	eventually(t, 90*time.Second, r.allIn(names, core.WorkflowExecution_ABORTED))
	t.Logf("%d of %d ABORTED %s after the last abort; they were %v", len(names), launches, time.Since(aborted).Round(100*time.Millisecond), met)
	eventually(t, 30*time.Second, func(ctx context.Context) error {
		objects, err := r.objects(ctx)
		if err != nil {
			return err
		}
		for _, o := range objects {
			if strings.HasPrefix(o.execution, "abort") && o.kind == "Pod" && o.phase != "Succeeded" && o.phase != "Failed" {
				var status string
				for _, w := range objects {
					if w.kind == "FlyteWorkflow" && w.execution == o.execution {
						status = w.detail
					}
				}
				return fmt.Errorf("pod %s on %s is %s %s; its workflow's status: %s", o.name, o.cluster, o.phase, o.detail, status)
			}
		}
		running, err := proc.Leftovers(r.State())
		for _, p := range running {
			if strings.Contains(p, fmt.Sprintf("sleep %d", nap)) {
				return fmt.Errorf("a task still runs: %s", p)
			}
		}
		return err
	})
	for _, name := range names {
		_, err := r.admin.TerminateExecution(ctx, &admin.ExecutionTerminateRequest{Id: executionID(name), Cause: "again"})
		if status.Code(err) != codes.FailedPrecondition {
			t.Errorf("a repeated abort of %s answered %v, want FAILED_PRECONDITION", name, err)
		}
		x, err := r.admin.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: executionID(name)})
		if cause := x.GetClosure().GetAbortMetadata().GetCause(); err != nil || cause != "as planned" {
			t.Errorf("%s was aborted for %q (%v)", name, cause, err)
		}
	}
}
