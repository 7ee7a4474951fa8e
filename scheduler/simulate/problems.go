package simulate

import "fmt"

// Problems lists what is wrong with a scenario, one sentence each, naming the
// field.
func (s Scenario) Problems() []string {
	s = s.withDefaults()
	var out []string
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	bad(len(s.Clusters) == 0, "clusters: there is none")
	bad(s.Load < 0 || s.Executions < 0 || s.Over < 0, "load, executions and over must not be negative")
	bad(s.Cycle < 0 || s.Pending < 0 || s.Lapse < 0, "cycle, pending and lapse must not be negative")
	a := s.Arrivals
	bad(a.Shape != "poisson" && a.Shape != "bursts" && a.Shape != "daily", "arrivals.shape: %q is none of poisson, bursts, daily", a.Shape)
	bad(a.Shape == "bursts" && (a.Every <= 0 || a.Length <= 0 || a.Length >= a.Every || a.Factor < 1),
		"arrivals: bursts need 0 < length < every, and factor of at least 1")
	bad(a.Shape == "daily" && (a.Factor < 0 || a.Factor > 2), "arrivals.factor: the peak of a day is at most twice its mean")
	names := map[string]bool{}
	for i, c := range s.Clusters {
		bad(c.Name == "", "clusters[%d].name: is missing", i)
		bad(names[c.Name], "clusters[%d].name: %q is there twice", i, c.Name)
		bad(c.Size.resources().MilliCPU <= 0, "clusters[%d].size.cpu: must be above 0", i)
		names[c.Name] = true
	}
	for i, c := range s.Classes {
		bad(c.Name == "", "classes[%d].name: is missing", i)
		bad(c.Length.Mean <= 0 && len(s.Recorded) == 0, "classes[%d].length.mean: must be above 0", i)
		shape := c.Length.Shape
		bad(shape != "fixed" && shape != "exponential" && shape != "lognormal", "classes[%d].length.shape: %q is none of fixed, exponential, lognormal", i, shape)
		bad(c.Part < 0 || c.Parallel < 0 || c.Nodes < 0, "classes[%d]: part, parallel and nodes must not be negative", i)
	}
	for i, t := range s.Tenants {
		bad(t.Project == "", "tenants[%d].project: is missing", i)
		bad(t.Weight < 0 || t.Launches < 0, "tenants[%d]: weight and launches must not be negative", i)
	}
	for i, f := range s.Failures {
		bad(!s.has(f.Cluster), "failures[%d].cluster: there is no cluster %q", i, f.Cluster)
	}
	return append(out, s.recordedProblems()...)
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
