package simulate

import (
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skein-project/skein/api/flow"
)

// Scenario is a fleet and a load over time. Load it from YAML or JSON; what is
// left out takes the values of Default.
type Scenario struct {
	Seed       uint64     `json:"seed,omitempty"`
	Executions int        `json:"executions,omitempty"` // how many are launched
	Over       Duration   `json:"over,omitempty"`       // in which time; 0: so that Load is offered
	Load       float64    `json:"load,omitempty"`       // offered work, as a share of the fleet's capacity; with Over 0
	Arrivals   Arrivals   `json:"arrivals,omitzero"`
	Clusters   []Cluster  `json:"clusters,omitempty"`
	Tenants    []Tenant   `json:"tenants,omitempty"`
	Classes    []Class    `json:"classes,omitempty"`
	Failures   []Failure  `json:"failures,omitempty"`
	Recorded   []Recorded `json:"recorded,omitempty"` // instead of generated launches
	Cycle      Duration   `json:"cycle,omitempty"`    // between two decisions
	Pending    int        `json:"pending,omitempty"`  // how many a decision looks at
	Lapse      Duration   `json:"lapse,omitempty"`    // lease and margin: after it work of a failed cluster is moved
	// Policies are system-wide rules that ours decides by; tenants' shares are added.
	Policies []flow.Policy `json:"policies,omitempty"`
}

// Arrivals shape the rate of launches over time.
type Arrivals struct {
	Shape  string   `json:"shape,omitempty"`  // "poisson", "bursts" or "daily"
	Every  Duration `json:"every,omitempty"`  // bursts: from one to the next; daily: the day's length
	Length Duration `json:"length,omitempty"` // bursts: how long one lasts
	Factor float64  `json:"factor,omitempty"` // bursts: the rate within them, over that between; daily: peak over mean, below 2
}

// Cluster is a kind of cluster, of which there may be several.
type Cluster struct {
	Name   string            `json:"name"`
	Count  int               `json:"count,omitempty"` // above 1: name-0, name-1, …
	Labels map[string]string `json:"labels,omitempty"`
	Taints []flow.Taint      `json:"taints,omitempty"`
	Cost   float64           `json:"cost,omitempty"` // of a CPU for an hour
	Size   Amount            `json:"size"`           // all of it
	Node   Amount            `json:"node,omitzero"`  // the largest pod; left out: the whole cluster
}

// Amount is what a cluster has, or a pod asks for.
type Amount struct {
	CPU    resource.Quantity `json:"cpu"`
	Memory resource.Quantity `json:"memory,omitzero"`
	GPUs   int64             `json:"gpus,omitempty"`
}

// Tenant launches, and has a share.
type Tenant struct {
	Project  string      `json:"project"`
	Domain   string      `json:"domain,omitempty"`   // "production" if left out
	Weight   float64     `json:"weight,omitempty"`   // of its fair share; 1 if left out
	Launches float64     `json:"launches,omitempty"` // its part of all launches, against the other tenants'; 1 if left out
	Quota    *flow.Quota `json:"quota,omitempty"`
}

// Class is a kind of execution.
type Class struct {
	Name     string            `json:"name"`
	Part     float64           `json:"part,omitempty"` // of all launches, against the other classes'; 1 if left out
	Pod      Amount            `json:"pod"`            // its largest pod
	Parallel int64             `json:"parallel,omitempty"`
	Nodes    int64             `json:"nodes,omitempty"` // one after another: what a failure cannot take back
	Length   Spread            `json:"length"`          // of the whole execution, when nothing fails
	Selector string            `json:"selector,omitempty"`
	Prefers  []flow.Preference `json:"prefers,omitempty"`
	Data     []string          `json:"data,omitempty"`
	Failover flow.FailoverMode `json:"failover,omitempty"`
}

// Spread is a distribution of lengths.
type Spread struct {
	Shape string   `json:"shape,omitempty"` // "fixed", "exponential" or "lognormal"
	Mean  Duration `json:"mean"`
	Sigma float64  `json:"sigma,omitempty"` // of a lognormal one
}

// Failure is the end of a cluster, for a while.
type Failure struct {
	Cluster string   `json:"cluster"`
	At      Duration `json:"at"`
	For     Duration `json:"for,omitempty"` // 0: for ever
}

// Recorded is one launch as it was.
type Recorded struct {
	At      Duration `json:"at"`
	Project string   `json:"project"`
	Domain  string   `json:"domain,omitempty"`
	Class   string   `json:"class"`
	Length  Duration `json:"length"`
}

// Duration is written like "90s" or "2h30m".
type Duration time.Duration

// D is the duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// UnmarshalJSON reads a string that time.ParseDuration knows.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("a duration is a string like \"90s\" or \"2h30m\": %w", err)
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}

// MarshalJSON writes it as it is read.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// resources are an amount in the words of placement.
func (a Amount) resources() flow.Resources {
	return flow.Resources{MilliCPU: a.CPU.MilliValue(), Memory: a.Memory.Value(), GPUs: a.GPUs}
}

func amount(cpu, memory string, gpus int64) Amount {
	return Amount{CPU: resource.MustParse(cpu), Memory: resource.MustParse(memory), GPUs: gpus}
}

// Default is a mixed load of four tenants on clusters of three kinds, at 85 % of
// what the fleet can do.
func Default(clusters, executions int, seed uint64) Scenario {
	s := Scenario{Seed: seed, Executions: executions}
	kinds := []Cluster{
		{Name: "large", Labels: map[string]string{"region": "eu"}, Cost: 0.04, Size: amount("256", "1Ti", 0), Node: amount("32", "128Gi", 0)},
		{Name: "small", Labels: map[string]string{"region": "us"}, Cost: 0.03, Size: amount("64", "256Gi", 0), Node: amount("16", "64Gi", 0)},
		{Name: "gpu", Labels: map[string]string{"region": "eu"}, Cost: 0.09, Size: amount("128", "512Gi", 16), Node: amount("32", "128Gi", 8)},
	}
	for i, k := range kinds {
		if k.Count = (clusters + len(kinds) - 1 - i) / len(kinds); k.Count > 0 {
			s.Clusters = append(s.Clusters, k)
		}
	}
	return s.withDefaults()
}

// withDefaults fills in what a scenario leaves out.
func (s Scenario) withDefaults() Scenario {
	if len(s.Tenants) == 0 {
		s.Tenants = []Tenant{{Project: "ads", Weight: 2, Launches: 4}, {Project: "search", Launches: 3}, {Project: "maps", Launches: 2}, {Project: "lab"}}
	}
	if len(s.Classes) == 0 {
		s.Classes = []Class{
			{Name: "step", Part: 6, Pod: amount("1", "2Gi", 0), Length: Spread{Shape: "exponential", Mean: Duration(20 * time.Second)}},
			{Name: "pipeline", Part: 3, Pod: amount("2", "8Gi", 0), Parallel: 4, Nodes: 5, Length: Spread{Shape: "lognormal", Mean: Duration(2 * time.Minute), Sigma: 1}},
			{Name: "training", Part: 1, Pod: amount("8", "32Gi", 0), Parallel: 2, Nodes: 3, Length: Spread{Shape: "lognormal", Mean: Duration(10 * time.Minute), Sigma: 0.8}},
		}
	}
	s.Load = or(s.Load, 0.85)
	s.Executions = or(s.Executions, 10_000)
	s.Arrivals.Shape = or(s.Arrivals.Shape, "poisson")
	s.Cycle = or(s.Cycle, Duration(time.Second))
	s.Pending = or(s.Pending, 10_000)
	s.Lapse = or(s.Lapse, Duration(35*time.Second))
	for i := range s.Tenants {
		t := &s.Tenants[i]
		t.Domain, t.Weight, t.Launches = or(t.Domain, "production"), or(t.Weight, 1), or(t.Launches, 1)
	}
	for i := range s.Classes {
		c := &s.Classes[i]
		c.Part, c.Parallel, c.Nodes, c.Length.Shape = or(c.Part, 1), or(c.Parallel, 1), or(c.Nodes, 1), or(c.Length.Shape, "exponential")
	}
	if s.Over == 0 && len(s.Recorded) == 0 {
		s.Over = s.spread()
	}
	return s
}

// or is v, or its default if it is zero.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// spread is how long launches have to take so that Load is offered.
func (s Scenario) spread() Duration {
	var fleet, work, parts float64
	for _, c := range s.Clusters {
		fleet += float64(c.Size.CPU.MilliValue()) * float64(max(c.Count, 1))
	}
	for _, c := range s.Classes {
		parts += c.Part
		work += c.Part * float64(c.Pod.CPU.MilliValue()*c.Parallel) * c.Length.Mean.D().Seconds()
	}
	if fleet == 0 || parts == 0 {
		return 0
	}
	seconds := work / parts * float64(s.Executions) / (fleet * s.Load)
	return Duration(seconds * float64(time.Second))
}
