package service_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// counting counts what a launch asks the store for beside its own row.
type counting struct {
	service.Entities
	service.Projects
	asked atomic.Int64
}

func (c *counting) GetEntity(ctx context.Context, kind flow.EntityKind, id flow.EntityID) (flow.Entity, error) {
	c.asked.Add(1)
	return c.Entities.GetEntity(ctx, kind, id)
}

func (c *counting) GetProject(ctx context.Context, id string) (flow.Project, error) {
	c.asked.Add(1)
	return c.Projects.GetProject(ctx, id)
}

// replicas are two services on one database, the first of which counts.
func replicas(t *testing.T, now func() time.Time) (one, other *service.Service, c *counting) {
	t.Helper()
	var deps service.Deps
	c = &counting{}
	r := newRigWith(t, func(d *service.Deps) {
		deps = *d
		c.Entities, c.Projects = d.Entities, d.Projects
		d.Entities, d.Projects, d.Now = c, c, now
	})
	r.register(t)
	deps.Log = slog.New(slog.DiscardHandler)
	return r.Service, service.New(service.Config{}, deps), c
}

func TestALaunchOfWhatIsKnownIsOneRoundTrip(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s, _, c := replicas(t, func() time.Time { return at })
	for i, want := range []int64{2, 0, 0} {
		c.asked.Store(0)
		if _, err := s.CreateExecution(t.Context(), execution(fmt.Sprintf("e%d", i), "pkg.wf")); err != nil {
			t.Fatal(err)
		}
		if got := c.asked.Load(); got != want {
			t.Errorf("launch %d asked %d times, want %d", i, got, want)
		}
	}
	at = at.Add(service.LaunchableAge + time.Second)
	c.asked.Store(0)
	if _, err := s.CreateExecution(t.Context(), execution("late", "pkg.wf")); err != nil || c.asked.Load() != 2 {
		t.Errorf("what is old was not read again: %d reads, %v", c.asked.Load(), err)
	}
}

// What another replica changes counts from its answer on.
func TestReplicasAgreeOnWhatTakesLaunches(t *testing.T) {
	s, other, _ := replicas(t, nil)
	ctx := t.Context()
	n := 0
	launch := func(want codes.Code, says string) {
		t.Helper()
		n++
		_, err := s.CreateExecution(ctx, execution(fmt.Sprintf("e%d", n), "pkg.wf"))
		if code(err) != want || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("launch %d: %v, want %s with %q", n, err, want, says)
		}
	}
	set := func(state admin.Project_ProjectState) {
		t.Helper()
		if _, err := other.UpdateProject(ctx, &admin.Project{Id: "flytesnacks", State: state}); err != nil {
			t.Fatal(err)
		}
	}
	launch(codes.OK, "")
	launch(codes.OK, "") // from what is kept
	for range 3 {
		set(admin.Project_ARCHIVED)
		launch(codes.InvalidArgument, "is archived")
		set(admin.Project_ACTIVE)
		launch(codes.OK, "")
	}
	set(admin.Project_SYSTEM_ARCHIVED)
	launch(codes.InvalidArgument, "is archived")
	set(admin.Project_ACTIVE)
	// A version that is not active is launched by its name and version all the
	// same; which one is active is read for each question.
	for _, state := range []admin.LaunchPlanState{admin.LaunchPlanState_ACTIVE, admin.LaunchPlanState_INACTIVE} {
		if _, err := other.UpdateLaunchPlan(ctx, &admin.LaunchPlanUpdateRequest{Id: ident(core.ResourceType_LAUNCH_PLAN, "pkg.wf"), State: state}); err != nil {
			t.Fatal(err)
		}
		launch(codes.OK, "")
		_, err := s.GetActiveLaunchPlan(ctx, &admin.ActiveLaunchPlanRequest{
			Id: &admin.NamedEntityIdentifier{Project: "flytesnacks", Domain: "development", Name: "pkg.wf"}})
		if active := err == nil; active != (state == admin.LaunchPlanState_ACTIVE) {
			t.Errorf("after %s: active is %t (%v)", state, active, err)
		}
	}
}

// The project is told first, whatever else is wrong, and nothing is stored.
func TestAnArchivedProjectIsToldFirst(t *testing.T) {
	r := newRig(t)
	r.register(t)
	before := r.stored(t)
	for name, spoil := range map[string]func(*admin.ExecutionCreateRequest){
		"nothing else":             func(*admin.ExecutionCreateRequest) {},
		"an unknown launch plan":   func(q *admin.ExecutionCreateRequest) { q.Spec.LaunchPlan.Name = "nowhere" },
		"an input of another type": func(q *admin.ExecutionCreateRequest) { q.Inputs = literals("x", str("one")) },
		"large inputs": func(q *admin.ExecutionCreateRequest) {
			q.Inputs.Literals["y"] = str(strings.Repeat("x", service.MaxInlineInputs))
		},
		"a task": func(q *admin.ExecutionCreateRequest) { q.Spec.LaunchPlan = ident(core.ResourceType_TASK, "pkg.t") },
	} {
		q := execution("new", "pkg.wf")
		q.Project = "old"
		spoil(q)
		if _, err := r.CreateExecution(t.Context(), q); code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "is archived") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := r.stored(t); after != before {
		t.Errorf("refused launches stored something: %d things, then %d", before, after)
	}
}
