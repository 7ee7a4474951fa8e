package service_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// atOnce runs eight calls at the same time and gives their codes, sorted.
func atOnce(call func() error) []codes.Code {
	got := make([]codes.Code, 8)
	var group sync.WaitGroup
	for i := range got {
		group.Go(func() { got[i] = code(call()) })
	}
	group.Wait()
	slices.Sort(got)
	return got
}

var oneWins = []codes.Code{codes.OK, codes.AlreadyExists, codes.AlreadyExists, codes.AlreadyExists,
	codes.AlreadyExists, codes.AlreadyExists, codes.AlreadyExists, codes.AlreadyExists}

func TestCallsAtOnce(t *testing.T) {
	r := newRigWith(t, func(d *service.Deps) { d.Nudge = nil })
	r.register(t)
	ctx := t.Context()
	if got := atOnce(func() error { _, err := r.CreateTask(ctx, task("pkg.s")); return err }); !slices.Equal(got, oneWins) {
		t.Errorf("one task registered by eight: %v", got)
	}
	if got := atOnce(func() error { _, err := r.CreateExecution(ctx, execution("same", "pkg.wf")); return err }); !slices.Equal(got, oneWins) {
		t.Errorf("one name created by eight: %v", got)
	}
	single := execution("", "pkg.s")
	single.Spec.LaunchPlan.ResourceType = core.ResourceType_TASK
	if got := atOnce(func() error { _, err := r.CreateExecution(ctx, single); return err }); slices.ContainsFunc(got, func(c codes.Code) bool { return c != codes.OK }) {
		t.Errorf("one task run alone by eight, none of them named: %v", got)
	}
}

func TestLargeClosureLiesInTheObjectStore(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	large := task("pkg.t")
	large.Spec.Template.GetContainer().Args = []string{strings.Repeat("x", service.MaxInlineClosure)}
	if _, err := r.CreateTask(ctx, large); err != nil {
		t.Fatal(err)
	}
	for _, want := range []codes.Code{codes.OK, codes.AlreadyExists} {
		if _, err := r.CreateWorkflow(ctx, workflow("pkg/wf", "pkg.t")); code(err) != want {
			t.Fatalf("register: %v, want %v", err, want)
		}
	}
	if _, err := r.CreateLaunchPlan(ctx, plan("pkg.wf", "pkg/wf")); err != nil {
		t.Fatal(err)
	}
	e, err := r.store.GetEntity(ctx, flow.KindWorkflow, flow.EntityID{Project: "flytesnacks", Domain: "development", Name: "pkg/wf", Version: "v1"})
	if err != nil || len(e.Body) != 0 || !strings.HasPrefix(e.BodyURI, "/store/metadata/admin/flytesnacks/development/pkg%2Fwf/v1/") || len(e.BodyDigest) != 32 {
		t.Errorf("body at %q, %d bytes in the row, %v", e.BodyURI, len(e.Body), err)
	}
	if _, err := r.GetWorkflow(ctx, &admin.ObjectGetRequest{Id: ident(core.ResourceType_WORKFLOW, "pkg/wf")}); err != nil {
		t.Error(err)
	}
	if _, err := r.CreateExecution(ctx, execution("", "pkg.wf")); err != nil {
		t.Error(err)
	}
}
