package policy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/skein-project/skein/api/flow"
)

// checks collects what is wrong with a policy's meaning.
type checks struct{ found []Problem }

func (c *checks) add(field, format string, args ...any) {
	c.found = append(c.found, Problem{Field: field, Message: fmt.Sprintf(format, args...)})
}

// Problems lists everything that is wrong with a policy, field by field; none
// means that it can be stored.
func Problems(p flow.Policy) []Problem {
	var c checks
	if problem := scopeProblem(p.Scope); problem != "" {
		c.add("scope", "%s", problem)
	}
	c.rules(p.Rules)
	if p.Share != nil {
		if p.Scope.Level != flow.PolicyProject {
			c.add("share", "only projects have shares and quotas; use a scope such as project/PROJECT or project/PROJECT/DOMAIN")
		}
		c.share(*p.Share)
	}
	return c.found
}

func (c *checks) rules(r flow.PolicyRules) {
	if r.DefaultSelector != nil {
		c.selector("rules.defaultSelector", *r.DefaultSelector)
	}
	c.selector("rules.requiredSelector", r.RequiredSelector)
	c.count("rules.pools", len(r.Pools), MaxPools)
	for _, name := range slices.Sorted(maps.Keys(r.Pools)) {
		c.name("rules.pools."+name, name)
		c.selector("rules.pools."+name, r.Pools[name])
	}
	c.lists(r)
	if problems := validation.IsQualifiedName(r.Spread); r.Spread != "" && len(problems) > 0 {
		c.add("rules.spread", "%s is not a label key: %s", quote(r.Spread), problems[0])
	}
	c.count("rules.classes", len(r.Classes), MaxClasses)
	for _, name := range slices.Sorted(maps.Keys(r.Classes)) {
		c.name("rules.classes."+name, name)
		c.priority("rules.classes."+name, r.Classes[name])
	}
	if r.Priority != nil {
		c.priority("rules.priority", *r.Priority)
	}
	if r.Failover != nil {
		for _, p := range FailoverProblems(*r.Failover) {
			c.add("rules.failover."+p.Field, "%s", p.Message)
		}
	}
}

func (c *checks) lists(r flow.PolicyRules) {
	c.count("rules.preferred", len(r.Preferred), MaxPreferred)
	for i, p := range r.Preferred {
		at := index("rules.preferred", i)
		if strings.TrimSpace(p.Selector) == "" {
			c.add(at+".selector", "must be set: it says which clusters score higher")
		}
		c.selector(at+".selector", p.Selector)
		if p.Weight < 1 || p.Weight > MaxPreference {
			c.add(at+".weight", "must lie between 1 and %d, is %d", MaxPreference, p.Weight)
		}
	}
	c.count("rules.tolerations", len(r.Tolerations), MaxTolerations)
	for i, t := range r.Tolerations {
		c.toleration(index("rules.tolerations", i), t)
	}
	if r.Weights != nil {
		for _, part := range weightParts(r.Weights) {
			if v := *part.value; !(v >= 0 && v <= MaxWeight) {
				c.add("rules.weights."+part.name, "must lie between 0 and %d, is %v", MaxWeight, v)
			}
		}
	}
}

// FailoverProblems lists what is wrong with a failover policy; fields are its own.
func FailoverProblems(f flow.Failover) []Problem {
	var c checks
	switch f.Mode {
	case "", flow.FailoverResume, flow.FailoverRestart, flow.FailoverNever:
	default:
		c.add("mode", "%s is not resume, restart or never", quote(string(f.Mode)))
	}
	if f.Strict && f.Mode == flow.FailoverNever {
		c.add("strict", "cannot be true where mode is never: strict ends work at a lapse, never lets it go on; choose one")
	}
	if f.MaxMoves < 0 || f.MaxMoves > MaxMoves {
		c.add("maxMoves", "must lie between 0 (the default, %d) and %d, is %d", flow.DefaultMaxMoves, MaxMoves, f.MaxMoves)
	}
	return c.found
}

func (c *checks) share(s flow.PolicyShare) {
	if !(s.Weight >= 0 && s.Weight <= MaxWeight) || s.Weight > 0 && s.Weight < 1.0/MaxWeight || math.IsNaN(s.Weight) {
		c.add("share.weight", "must lie between %g and %d, is %v; leave it out for 1", 1.0/MaxWeight, MaxWeight, s.Weight)
	}
	if s.Quota == nil {
		return
	}
	for _, q := range []struct {
		name  string
		value int64
	}{{"executions", s.Quota.Executions}, {"cpu", s.Quota.MilliCPU}, {"memory", s.Quota.Memory}, {"gpus", s.Quota.GPUs}} {
		if q.value < 0 || q.value > MaxQuota {
			c.add("share.quota."+q.name, "must not be negative, and at most 1 Pi (in thousandths of a CPU); leave it out to bound nothing")
		}
	}
}

func (c *checks) toleration(at string, t flow.Toleration) {
	switch t.Operator {
	case "", "Equal":
		if t.Key == "" {
			c.add(at+".key", "must be set, unless the operator is Exists, which tolerates every key")
		}
	case "Exists":
		if t.Value != "" {
			c.add(at+".value", "must be left out where the operator is Exists")
		}
	default:
		c.add(at+".operator", "%s is not Exists or Equal", quote(t.Operator))
	}
	if problems := validation.IsQualifiedName(t.Key); t.Key != "" && len(problems) > 0 {
		c.add(at+".key", "%s is not a taint's key: %s", quote(t.Key), problems[0])
	}
	if problems := validation.IsValidLabelValue(t.Value); len(problems) > 0 {
		c.add(at+".value", "%s is not a taint's value: %s", quote(t.Value), problems[0])
	}
	switch t.Effect {
	case "", flow.NoSchedule, flow.PreferNoSchedule, flow.NoExecute:
	default:
		c.add(at+".effect", "%s is not NoSchedule, PreferNoSchedule or NoExecute", quote(string(t.Effect)))
	}
	switch {
	case t.Seconds != nil && *t.Seconds < 0:
		c.add(at+".tolerationSeconds", "must not be negative; leave it out for ever")
	case t.Seconds != nil && t.Effect != flow.NoExecute && t.Effect != "":
		c.add(at+".tolerationSeconds", "only a NoExecute taint is tolerated for a time")
	}
}

func (c *checks) selector(field, s string) {
	if len(s) > MaxSelector {
		c.add(field, "has %d bytes, at most %d are taken", len(s), MaxSelector)
		return
	}
	if _, err := labels.Parse(s); err != nil {
		c.add(field, "%s is not a Kubernetes label selector such as region=eu,tier in (a,b): %v", quote(s), err)
	}
}

func (c *checks) name(field, s string) {
	if problems := validation.IsDNS1123Label(s); len(problems) > 0 {
		c.add(field, "%s cannot be a name here: lower-case letters, digits and -, at most 63", quote(s))
	}
}

func (c *checks) priority(field string, v int32) {
	if v < -MaxPriority || v > MaxPriority {
		c.add(field, "must lie between %d and %d, is %d", -MaxPriority, MaxPriority, v)
	}
}

func (c *checks) count(field string, n, limit int) {
	if n > limit {
		c.add(field, "holds %d, at most %d are taken", n, limit)
	}
}

func printable(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
