// Package fleettest makes fleets and loads to measure placement with, and
// measures it. What it makes depends on its arguments alone. It is for
// benchmarks and tests; loads over time are scheduler/simulate's.
package fleettest

import (
	"fmt"
	"runtime"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/placement"
)

// Shape is the size of a world.
type Shape struct {
	Pending  int
	Classes  int // distinct (requirement, tenant); Pending: every requirement is another
	Clusters int
	Tenants  int
}

// Standard is the world that the benchmarks' bar is about.
func Standard() Shape { return Shape{Pending: 100_000, Classes: 200, Clusters: 1000, Tenants: 20} }

// Distinct is a world in which no two executions ask the same.
func Distinct(pending int) Shape {
	return Shape{Pending: pending, Classes: pending, Clusters: 1000, Tenants: 20}
}

// epoch is when all worlds are.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// View makes a world: clusters of several sizes, regions, accelerators and
// costs, a few of them tainted, cordoned or suspect; pending executions of all
// tenants, mixed, that differ in size, selector, task type and preference.
func View(s Shape) placement.View {
	v := placement.View{Now: epoch, Version: "0.4.0", Policy: placement.DefaultPolicy(), Requirements: make(map[string]flow.Requirement, s.Classes)}
	for i := range s.Clusters {
		v.Clusters = append(v.Clusters, cluster(i))
	}
	digests := make([]string, s.Classes)
	for i := range digests {
		digests[i] = fmt.Sprintf("requirement-%06d", i)
		v.Requirements[digests[i]] = requirement(i)
	}
	for i := range s.Pending {
		class := (i*7919 + i/s.Classes) % s.Classes // mixed, and each class as often
		v.Pending = append(v.Pending, flow.Pending{Digest: digests[class], CreatedAt: epoch.Add(-time.Duration(s.Pending-i) * time.Millisecond),
			Execution: flow.ExecutionID{Project: fmt.Sprintf("team-%02d", class%s.Tenants), Domain: "production", Name: fmt.Sprintf("x%08d", i)}})
	}
	v.Policies = []flow.Policy{
		{Scope: flow.PolicyScope{Level: flow.PolicySystem}, Version: 1, Rules: flow.PolicyRules{
			Preferred: []flow.Preference{{Selector: "region=r1", Weight: 10}, {Selector: "tier=gold", Weight: 5}}}},
		{Scope: flow.PolicyScope{Level: flow.PolicyProject, Project: "team-00"}, Version: 1, Rules: flow.PolicyRules{RequiredSelector: "region in (r1,r2)"},
			Share: &flow.PolicyShare{Weight: 2, Quota: &flow.Quota{Executions: 1_000_000}}},
	}
	return v
}

func cluster(i int) placement.ClusterView {
	size := int64(1 + i%4)
	c := placement.ClusterView{Leased: true, Heard: true, Cluster: flow.Cluster{
		Name: fmt.Sprintf("cluster-%04d", i), Health: flow.HealthHealthy, Version: "0.4.0", Store: "s3://shared",
		Labels: map[string]string{"region": fmt.Sprintf("r%d", i%5), "tier": []string{"gold", "silver"}[i/5%2],
			placement.LabelCost: fmt.Sprint(1 + i%3)},
		Capacity:    flow.Resources{MilliCPU: 400_000 * size, Memory: 1600 << 30 * size, GPUs: 64 * size, Pods: 4000 * size},
		LargestNode: flow.Resources{MilliCPU: 64_000, Memory: 256 << 30, GPUs: 8, Pods: 110},
		TaskTypes:   []string{"container", "python-task", "raw-container", "spark"}}}
	switch i % 40 {
	case 7:
		c.Health = flow.HealthSuspect
	case 17:
		c.Cordoned = true
	case 27:
		c.Taints = []flow.Taint{{Key: "maintenance", Effect: flow.NoSchedule, AddedAt: epoch}}
	case 37:
		c.Taints = []flow.Taint{{Key: "spot", Effect: flow.PreferNoSchedule, AddedAt: epoch}}
	}
	return c
}

func requirement(i int) flow.Requirement {
	pod := flow.Resources{MilliCPU: int64(500 + 250*(i%7) + i/1000), Memory: int64(1+i%5) << 30, GPUs: int64(i % 11 / 10), Pods: 1}
	return flow.Requirement{Largest: pod, Peak: pod.Times(int64(2 + i%6)), Reservation: pod.Times(int64(1 + i%3)),
		TaskTypes: []string{"container", "python-task"}[:1+i%2],
		Selector:  []string{"", "region!=r3", "tier=gold", "region in (r1,r2,r4)"}[i%4],
		Preferred: []flow.Preference{{Selector: fmt.Sprintf("region=r%d", i%5), Weight: int32(1 + i%9)}}}
}

// Figure is what one measurement gave.
type Figure struct {
	Shape     Shape
	Placed    int
	Took      time.Duration
	PerSecond float64 // executions decided
	Heap      uint64  // bytes taken from the system when it was over
}

// Measure decides a world of that shape on one core, and says how fast.
func Measure(s Shape, v placement.View) Figure {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	began := time.Now()
	plan := placement.Decide(v)
	f := Figure{Shape: s, Placed: len(plan.Placements), Took: time.Since(began)}
	f.PerSecond = float64(len(plan.Placements)+len(plan.Waits)) / f.Took.Seconds()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.Heap = m.Sys
	return f
}
