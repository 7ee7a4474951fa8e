package faults

import (
	"context"
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

const launches = 50

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
