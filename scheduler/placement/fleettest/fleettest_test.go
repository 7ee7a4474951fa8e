package fleettest

import (
	"reflect"
	"testing"

	"github.com/skein-project/skein/scheduler/placement"
)

// TestTheWorldIsWorthMeasuring: it is the same each time, nearly all of it can
// be placed, and on many clusters.
func TestTheWorldIsWorthMeasuring(t *testing.T) {
	s := Shape{Pending: 4000, Classes: 200, Clusters: 100, Tenants: 20}
	v := View(s)
	if !reflect.DeepEqual(v, View(s)) {
		t.Error("two worlds of one shape differ")
	}
	plan := placement.Decide(v)
	to := map[string]int{}
	for _, p := range plan.Placements {
		to[p.Cluster]++
	}
	if len(plan.Placements) < s.Pending*9/10 || len(to) < s.Clusters*4/10 {
		t.Errorf("%d of %d placed, on %d of %d clusters", len(plan.Placements), s.Pending, len(to), s.Clusters)
	}
	if len(plan.Trails) < s.Classes {
		t.Errorf("%d trails for %d classes", len(plan.Trails), s.Classes)
	}
}

func BenchmarkStandard(b *testing.B) { bench(b, Standard()) }
func BenchmarkDistinct(b *testing.B) { bench(b, Distinct(20_000)) }

func bench(b *testing.B, s Shape) {
	v := View(s)
	for b.Loop() {
		f := Measure(s, v)
		b.ReportMetric(f.PerSecond, "decisions/s")
		b.ReportMetric(float64(f.Heap)/(1<<20), "MiB")
		b.ReportMetric(float64(f.Placed), "placed")
	}
}
