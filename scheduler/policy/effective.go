package policy

import (
	"maps"
	"strings"

	"github.com/skein-project/skein/api/flow"
)

// Effect is what the policies of all scopes say together about one execution.
type Effect struct {
	Rules flow.PolicyRules
	Share flow.PolicyShare // of its tenant
}

// Set finds the policies that hold for an execution. It does not change, and
// may be shared.
type Set struct {
	byScope map[flow.PolicyScope]flow.Policy
}

// NewSet keeps the newest version of each scope, and drops those that were
// withdrawn.
func NewSet(policies []flow.Policy) Set {
	s := Set{byScope: make(map[flow.PolicyScope]flow.Policy, len(policies))}
	for _, p := range policies {
		if old, there := s.byScope[p.Scope]; !there || p.Version >= old.Version {
			s.byScope[p.Scope] = p
		}
	}
	maps.DeleteFunc(s.byScope, func(_ flow.PolicyScope, p flow.Policy) bool { return p.Deleted })
	return s
}

// Effective is NewSet(policies).Effective(t, workflow).
func Effective(policies []flow.Policy, t flow.Tenant, workflow string) Effect {
	return NewSet(policies).Effective(t, workflow)
}

// Effective merges the policies that hold for executions of a workflow of a
// tenant, the widest first. A field that a narrower policy sets replaces the
// wider one's as a whole, lists and maps too; required selectors add up. An
// empty tenant or workflow leaves its scopes out. It costs a few map look-ups.
func (s Set) Effective(t flow.Tenant, workflow string) Effect {
	var out Effect
	for _, scope := range scopes(t, workflow) {
		p, there := s.byScope[scope]
		if !there {
			continue
		}
		out.Rules = merge(out.Rules, p.Rules)
		if p.Share != nil {
			out.Share = mergeShare(out.Share, *p.Share)
		}
	}
	return out
}

// scopes lists what holds for an execution, the widest first.
func scopes(t flow.Tenant, workflow string) []flow.PolicyScope {
	list := []flow.PolicyScope{System()}
	if t.Domain != "" {
		list = append(list, flow.PolicyScope{Level: flow.PolicyDomain, Domain: t.Domain})
	}
	if t.Project != "" {
		list = append(list, flow.PolicyScope{Level: flow.PolicyProject, Project: t.Project})
	}
	if t.Project != "" && t.Domain != "" {
		list = append(list, flow.PolicyScope{Level: flow.PolicyProject, Project: t.Project, Domain: t.Domain})
		if workflow != "" {
			list = append(list, flow.PolicyScope{Level: flow.PolicyWorkflow, Project: t.Project, Domain: t.Domain, Workflow: workflow})
		}
	}
	return list
}

func merge(wide, narrow flow.PolicyRules) flow.PolicyRules {
	out := wide
	if narrow.DefaultSelector != nil {
		out.DefaultSelector = narrow.DefaultSelector
	}
	out.RequiredSelector = Both(wide.RequiredSelector, narrow.RequiredSelector)
	if narrow.Pools != nil {
		out.Pools = narrow.Pools
	}
	if narrow.Preferred != nil {
		out.Preferred = narrow.Preferred
	}
	if narrow.Tolerations != nil {
		out.Tolerations = narrow.Tolerations
	}
	if narrow.Spread != "" {
		out.Spread = narrow.Spread
	}
	if narrow.Weights != nil {
		out.Weights = narrow.Weights
	}
	if narrow.Classes != nil {
		out.Classes = narrow.Classes
	}
	if narrow.Priority != nil {
		out.Priority = narrow.Priority
	}
	if narrow.Failover != nil {
		out.Failover = narrow.Failover
	}
	return out
}

func mergeShare(wide, narrow flow.PolicyShare) flow.PolicyShare {
	if narrow.Weight != 0 {
		wide.Weight = narrow.Weight
	}
	if narrow.Quota != nil {
		wide.Quota = narrow.Quota
	}
	return wide
}

// Both is the selector that matches what both match.
func Both(a, b string) string {
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	switch {
	case b == "" || a == b:
		return a
	case a == "":
		return b
	}
	return a + "," + b
}

// The priority classes that every execution can name; a policy's class of the
// same name holds before them. Flyte's quality-of-service tiers are these.
const (
	ClassHigh   = "high"
	ClassMedium = "medium"
	ClassLow    = "low"
)

var builtIn = map[string]int32{ClassHigh: 100, ClassMedium: 0, ClassLow: -100}

// Priority is the priority of an execution that names a class, or none, and
// whether the class is known. Without a policy it is 0.
func (e Effect) Priority(class string) (int32, bool) {
	if class != "" {
		if v, ok := e.Rules.Classes[class]; ok {
			return v, true
		}
		v, ok := builtIn[class]
		return v, ok
	}
	if e.Rules.Priority != nil {
		return *e.Rules.Priority, true
	}
	return 0, true
}

// ClassNames lists the classes that an execution can name, by name.
func (e Effect) ClassNames() map[string]int32 {
	out := maps.Clone(builtIn)
	maps.Copy(out, e.Rules.Classes)
	return out
}

// Failover is the failover policy of executions that ask for none.
func (e Effect) Failover() flow.Failover {
	var f flow.Failover
	if e.Rules.Failover != nil {
		f = *e.Rules.Failover
	}
	if f.Mode == "" {
		f.Mode = flow.FailoverResume
	}
	return f
}
