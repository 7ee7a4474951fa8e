package simulate

import (
	"fmt"
	"slices"
)

// complaints are sentences about what is wrong.
type complaints []string

func (c *complaints) add(wrong bool, format string, args ...any) {
	if wrong {
		*c = append(*c, fmt.Sprintf(format, args...))
	}
}

// Problems lists what is wrong with a scenario, one sentence each, naming the
// field.
func (s Scenario) Problems() []string {
	s = s.withDefaults()
	var c complaints
	c.add(len(s.Clusters) == 0, "clusters: there is none")
	c.add(min(s.Load, float64(s.Executions), float64(s.Over)) < 0, "load, executions and over must not be negative")
	c.add(min(int64(s.Cycle), int64(s.Pending), int64(s.Lapse)) < 0, "cycle, pending and lapse must not be negative")
	s.Arrivals.problems(&c)
	s.clusterProblems(&c)
	for i, k := range s.Classes {
		c.add(k.Name == "", "classes[%d].name: is missing", i)
		c.add(k.Length.Mean <= 0 && len(s.Recorded) == 0, "classes[%d].length.mean: must be above 0", i)
		c.add(!slices.Contains([]string{"fixed", "exponential", "lognormal"}, k.Length.Shape),
			"classes[%d].length.shape: %q is none of fixed, exponential, lognormal", i, k.Length.Shape)
		c.add(min(k.Part, float64(k.Parallel), float64(k.Nodes)) < 0, "classes[%d]: part, parallel and nodes must not be negative", i)
	}
	for i, t := range s.Tenants {
		c.add(t.Project == "", "tenants[%d].project: is missing", i)
		c.add(min(t.Weight, t.Launches) < 0, "tenants[%d]: weight and launches must not be negative", i)
	}
	return append(c, s.recordedProblems()...)
}

func (a Arrivals) problems(c *complaints) {
	switch a.Shape {
	case "poisson":
	case "bursts":
		c.add(a.Length <= 0 || a.Length >= a.Every || a.Factor < 1, "arrivals: bursts need 0 < length < every, and factor of at least 1")
	case "daily":
		c.add(a.Factor < 0 || a.Factor > 2, "arrivals.factor: the peak of a day is at most twice its mean")
	default:
		c.add(true, "arrivals.shape: %q is none of poisson, bursts, daily", a.Shape)
	}
}

func (s Scenario) clusterProblems(c *complaints) {
	names := map[string]bool{}
	for i, k := range s.Clusters {
		c.add(k.Name == "", "clusters[%d].name: is missing", i)
		c.add(names[k.Name], "clusters[%d].name: %q is there twice", i, k.Name)
		c.add(k.Size.resources().MilliCPU <= 0, "clusters[%d].size.cpu: must be above 0", i)
		names[k.Name] = true
	}
	for i, f := range s.Failures {
		c.add(!s.has(f.Cluster), "failures[%d].cluster: there is no cluster %q", i, f.Cluster)
	}
}

// has says that a cluster of that name is made.
func (s Scenario) has(name string) bool {
	for _, c := range s.fleet() {
		if c.name == name {
			return true
		}
	}
	return false
}

func (s Scenario) recordedProblems() []string {
	classes := map[string]bool{}
	for _, c := range s.Classes {
		classes[c.Name] = true
	}
	var out []string
	for i, r := range s.Recorded {
		if i > 0 && r.At < s.Recorded[i-1].At {
			out = append(out, fmt.Sprintf("recorded[%d].at: is before the one above it", i))
		}
		if !classes[r.Class] {
			out = append(out, fmt.Sprintf("recorded[%d].class: there is no class %q", i, r.Class))
		}
		if r.Project == "" || r.Length <= 0 {
			out = append(out, fmt.Sprintf("recorded[%d]: project and a length above 0 are needed", i))
		}
		if len(out) >= 10 {
			return append(out, "recorded: and maybe more")
		}
	}
	return out
}
