package snapshot

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/placement"
)

var tenant = flow.Tenant{Project: "p", Domain: "d"}

// asks is a view at a time in which one execution of a workflow waits.
func asks(at time.Time, workflow string, loads ...flow.Load) placement.View {
	return placement.View{Now: at, Loads: loads, Requirements: map[string]flow.Requirement{"x": {Workflow: workflow}},
		Pending: []flow.Pending{{Execution: flow.ExecutionID{Project: "p", Domain: "d", Name: "e"}, Digest: "x"}}}
}

func ranOn(v placement.View) (out []string) {
	for _, r := range v.Recent {
		out = append(out, r.Workflow+" on "+r.Cluster)
	}
	return out
}

func TestRecentIsBounded(t *testing.T) {
	var r Recent
	for i := range 2 * warmWorkflows {
		v := asks(now, fmt.Sprint("w", i))
		r.Placed(v, []flow.Placement{{Execution: v.Pending[0].Execution, Cluster: "a"}})
	}
	if len(r.stays) != warmWorkflows {
		t.Errorf("%d workflows are remembered", len(r.stays))
	}
	for i := range 5 {
		v := asks(now.Add(time.Duration(i)*time.Second), "w0")
		r.Placed(v, []flow.Placement{{Execution: v.Pending[0].Execution, Cluster: fmt.Sprint("c", i)}})
	}
	v := asks(now.Add(time.Minute), "w0")
	r.Fill(&v)
	v.Recent = slices.DeleteFunc(v.Recent, func(one placement.Ran) bool { return one.Workflow != "w0" })
	if !slices.Equal(ranOn(v), []string{"w0 on c2", "w0 on c3", "w0 on c4"}) {
		t.Errorf("ran on %v", ranOn(v))
	}
	r.Trim(now.Add(Warm + time.Second))
	if len(r.stays) != 1 {
		t.Errorf("%d workflows are warm", len(r.stays))
	}
}

func TestRecentSaysWhatDoesNotRunAnyMore(t *testing.T) {
	var r Recent
	first := asks(now, "none", flow.Load{Cluster: "a", Tenant: tenant, Workflow: "w"}, flow.Load{Cluster: "b", Tenant: tenant, Workflow: "w"},
		flow.Load{Cluster: "c", Tenant: tenant, Workflow: "other"}, flow.Load{Cluster: "c", Tenant: flow.Tenant{Project: "q"}, Workflow: "w"})
	r.Fill(&first)
	if len(first.Recent) != 0 {
		t.Errorf("ran on %v before anything had ended", ranOn(first))
	}
	second := asks(now.Add(time.Minute), "w", flow.Load{Cluster: "b", Tenant: tenant, Workflow: "w"})
	if r.Fill(&second); !slices.Equal(ranOn(second), []string{"other on c", "w on a", "w on c"}) || second.Recent[2].Tenant.Project != "q" {
		t.Errorf("ran on %v: it runs on b still", ranOn(second))
	}
}
