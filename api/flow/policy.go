package flow

import "time"

// PolicyLevel orders policies: what is said closer to a launch holds.
type PolicyLevel string

// The levels, from the widest to the narrowest.
const (
	PolicySystem   PolicyLevel = "system"
	PolicyDomain   PolicyLevel = "domain"
	PolicyProject  PolicyLevel = "project" // a project, in one domain or in all
	PolicyWorkflow PolicyLevel = "workflow"
)

// PolicyScope says for whose executions a policy holds. Fields that its level
// does not use are empty.
type PolicyScope struct {
	Level    PolicyLevel `json:"level"`
	Domain   string      `json:"domain,omitempty"`
	Project  string      `json:"project,omitempty"`
	Workflow string      `json:"workflow,omitempty"`
}

// String is the scope's key: "system", "domain/D", "project/P", "project/P/D",
// "workflow/P/D/W".
func (s PolicyScope) String() string {
	out := string(s.Level)
	for _, part := range []string{s.Project, s.Domain, s.Workflow} {
		if part != "" {
			out += "/" + part
		}
	}
	return out
}

// Policy is one version of what an operator declares for a scope. What a field
// leaves out is taken from the next wider scope; lists and maps replace as a
// whole (an empty one too), except RequiredSelector, which adds up: no narrower
// policy can undo it.
type Policy struct {
	Scope   PolicyScope  `json:"scope"`
	Version uint64       `json:"version,omitempty"` // 1, 2, … of its scope; set by the store
	Author  string       `json:"author,omitempty"`
	At      time.Time    `json:"at,omitzero"`
	Deleted bool         `json:"deleted,omitempty"` // this version withdraws the policy
	Rules   PolicyRules  `json:"rules"`
	Share   *PolicyShare `json:"share,omitempty"` // of project scopes only
}

// PolicyRules are a policy's rules about placement and failover.
type PolicyRules struct {
	// DefaultSelector applies to executions that select nothing themselves.
	DefaultSelector *string `json:"defaultSelector,omitempty"`
	// RequiredSelector must match besides all else: residency.
	RequiredSelector string `json:"requiredSelector,omitempty"`
	// Pools name selectors; an execution's pool is one of these names.
	Pools map[string]string `json:"pools,omitzero"`
	// Preferred clusters score higher.
	Preferred   []Preference `json:"preferred,omitzero"`
	Tolerations []Toleration `json:"tolerations,omitzero"`
	// Spread names the cluster label whose values are failure domains.
	Spread  string   `json:"spread,omitempty"`
	Weights *Weights `json:"weights,omitempty"`
	// Classes name priorities; an execution's priority class is one of these.
	Classes map[string]int32 `json:"classes,omitzero"`
	// Priority of executions that name no class.
	Priority *int32    `json:"priority,omitempty"`
	Failover *Failover `json:"failover,omitempty"`
}

// Preference makes clusters that match score higher, by Weight of 1 to 100.
type Preference struct {
	Selector string `json:"selector"`
	Weight   int32  `json:"weight"`
}

// Weights weigh the parts of a score against each other. None is negative.
type Weights struct {
	Free      float64 `json:"free"`      // share of the cluster that stays free: least loaded first
	Peak      float64 `json:"peak"`      // by how much the peak demand would not fit
	Taint     float64 `json:"taint"`     // each PreferNoSchedule taint that is not tolerated
	Preferred float64 `json:"preferred"` // the share of preferred weights that match
	Spread    float64 `json:"spread"`    // the project's work that its failure domain holds already
	Affinity  float64 `json:"affinity"`  // executions of the same group there, or of a shunned one
	Locality  float64 `json:"locality"`  // share of its data that lies near the cluster
	Cost      float64 `json:"cost"`      // the cluster's cost, against the dearest
	Sticky    float64 `json:"sticky"`    // the same workflow ran there lately: warm images and caches
}

// PolicyShare is a tenant's share and its hard limits. A tenant is a (project,
// domain).
type PolicyShare struct {
	// Weight of the tenant's fair share; 0 means 1.
	Weight float64 `json:"weight,omitempty"`
	// Quota bounds what the tenant's live placements hold, over all clusters.
	Quota *Quota `json:"quota,omitempty"`
}

// Quota bounds a tenant; a field that is 0 bounds nothing.
type Quota struct {
	Executions int64 `json:"executions,omitempty"`
	MilliCPU   int64 `json:"milliCPU,omitempty"`
	Memory     int64 `json:"memory,omitempty"` // bytes
	GPUs       int64 `json:"gpus,omitempty"`
}

// Tenant is whose work it is: shares and quotas are counted by tenant.
type Tenant struct {
	Project string `json:"project"`
	Domain  string `json:"domain"`
}

// String prints "project/domain".
func (t Tenant) String() string { return t.Project + "/" + t.Domain }

// Tenant is the tenant of an execution.
func (e ExecutionID) Tenant() Tenant { return Tenant{Project: e.Project, Domain: e.Domain} }
