package placement

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/policy"
)

// class is what all executions have in common that every filter and score
// treats alike: what they require, and the policies that hold for them. What
// depends on their tenant (affinity, spread, stickiness) makes them a class of
// that tenant.
type class struct {
	digest  string // the same in every process
	ask     flow.Requirement
	rules   *flow.PolicyRules // those of all classes that the same policies are about
	weights *flow.Weights
	rank    int32 // its priority

	selectors   []condition
	preferred   []preference
	preferences float64 // sum of the preferred weights
	tolerations []flow.Toleration
	minimum     version
	near, apart []*tally
	spread      *spread
	sticky      []int32 // sites where its workflow runs, or ran lately

	left     int    // executions of the plan that had no turn yet
	seed     uint64 // tells clusters apart that are equal; of its first execution
	ranking         // see choose; empty: it is to be examined
	last     int    // the cluster chosen last
	seen     int    // changes of the log that its keys know
	trail    string // of its first examination
	nowhere  string // trail of the one that found no cluster: none will be found in this plan
	hopeless bool   // no cluster could take it if it were empty
}

// condition is a selector that must match; filter is the name it refuses by.
type condition struct {
	filter, says string
	*matcher
}

type preference struct {
	weight float64
	*matcher
}

// matcher is a parsed selector, and which clusters it was seen to match.
type matcher struct {
	text     string
	selector labels.Selector
	problem  string // why it is invalid; empty if it is not
	known    []int8 // by site: 0 not asked yet, 1 matches, 2 does not; nil: not kept
}

func (m *matcher) matches(s *site) bool {
	if m.problem != "" {
		return false
	}
	if m.known == nil {
		return m.selector.Matches(labels.Set(s.Labels))
	}
	if m.known[s.index] == 0 {
		m.known[s.index] = 2
		if m.selector.Matches(labels.Set(s.Labels)) {
			m.known[s.index] = 1
		}
	}
	return m.known[s.index] == 1
}

// parse reads a label selector; a bare word means "has this label key".
func parse(s string) (labels.Selector, string) {
	selector, err := labels.Parse(s)
	if err != nil {
		return labels.Nothing(), fmt.Sprintf("selector %q is invalid: %v", s, err)
	}
	return selector, ""
}

// effect is what the policies say about the executions of one tenant, or of one
// of its workflows.
type effect struct {
	policy.Effect
	weights flow.Weights
	digest  string
}

// classes finds the class of each pending execution.
type classes struct {
	fleet    *fleet
	tenants  *tenants
	base     Policy
	set      policy.Set
	narrow   bool // some policy is of a workflow
	effects  map[scope]*effect
	byKey    map[classKey]*class
	matchers map[string]*matcher
}

type scope struct {
	tenant   *tenant
	workflow string
}

// classKey tells classes apart within one plan; tenant is nil for classes that
// belong to no tenant in particular.
type classKey struct {
	requirement, rules string
	tenant             *tenant
}

func newClasses(v View, f *fleet, t *tenants) *classes {
	c := &classes{fleet: f, tenants: t, base: v.Policy, set: policy.NewSet(v.Policies), effects: map[scope]*effect{},
		byKey: map[classKey]*class{}, matchers: map[string]*matcher{}}
	for _, p := range v.Policies {
		c.narrow = c.narrow || p.Scope.Level == flow.PolicyWorkflow && !p.Deleted
	}
	return c
}

// of is the class of executions of a tenant with that requirement; digest may
// be empty.
func (c *classes) of(t *tenant, digest string, ask flow.Requirement) *class {
	if digest == "" {
		digest = hash(ask)
	}
	e := c.effect(t, ask.Workflow)
	key := classKey{requirement: digest, rules: e.digest}
	if len(ask.Near)+len(ask.Apart) > 0 || e.Rules.Spread != "" || len(t.ran[ask.Workflow]) > 0 {
		key.tenant = t
	}
	out, ok := c.byKey[key]
	if !ok {
		out = c.build(key, e, ask, t)
		c.byKey[key] = out
	}
	return out
}

func (c *classes) effect(t *tenant, workflow string) *effect {
	key := scope{tenant: t}
	if c.narrow {
		key.workflow = workflow
	}
	e, ok := c.effects[key]
	if !ok {
		e = &effect{Effect: c.set.Effective(t.name, workflow), weights: c.base.Weights}
		if e.Rules.Weights != nil {
			e.weights = *e.Rules.Weights
		}
		if e.Rules.DefaultSelector == nil {
			e.Rules.DefaultSelector = &c.base.DefaultSelector
		}
		e.digest = hash(struct {
			Rules   flow.PolicyRules
			Weights flow.Weights
		}{e.Rules, e.weights})
		c.effects[key] = e
	}
	return e
}

func (c *classes) build(key classKey, e *effect, ask flow.Requirement, t *tenant) *class {
	out := &class{digest: key.requirement + "/" + key.rules, ask: ask, rules: &e.Rules, weights: &e.weights}
	if key.tenant != nil {
		out.digest += "/" + t.name.String()
		out.near, out.apart = t.tallies(c.fleet, ask.Near), t.tallies(c.fleet, ask.Apart)
		out.spread = c.tenants.spreadsOf(t.project, e.Rules.Spread)
		out.sticky = t.ran[ask.Workflow]
	}
	out.digest = hash(out.digest)
	out.rank, _ = e.Priority(ask.Class)
	out.tolerations = append(append(out.tolerations, ask.Tolerations...), e.Rules.Tolerations...)
	out.minimum, _ = parseVersion(ask.MinVersion)
	out.selectors = c.conditions(e, ask)
	for _, p := range append(append([]flow.Preference{}, e.Rules.Preferred...), ask.Preferred...) {
		out.preferred = append(out.preferred, preference{weight: float64(p.Weight), matcher: c.matcher(p.Selector)})
		out.preferences += float64(p.Weight)
	}
	return out
}

// conditions are the selectors of a class. The default one holds for executions
// that select nothing themselves, by selector or by pool.
func (c *classes) conditions(e *effect, ask flow.Requirement) []condition {
	var out []condition
	if s := e.Rules.RequiredSelector; s != "" {
		out = append(out, condition{"residency", "the policies require labels that match", c.matcher(s)})
	}
	if ask.Pool != "" {
		s, ok := e.Rules.Pools[ask.Pool]
		m := c.matcher(s)
		if !ok {
			m = &matcher{text: ask.Pool, problem: fmt.Sprintf("no policy names a pool %q", ask.Pool)}
		}
		out = append(out, condition{"pool", fmt.Sprintf("it is not in pool %q: labels do not match", ask.Pool), m})
	}
	s := strings.TrimSpace(ask.Selector)
	if s == "" && ask.Pool == "" {
		s = *e.Rules.DefaultSelector
	}
	if s != "" {
		out = append(out, condition{"selector", "labels do not match selector", c.matcher(s)})
	}
	return out
}

// kept bounds the selectors whose matches are remembered within one plan.
const kept = 4096

func (c *classes) matcher(s string) *matcher {
	m, ok := c.matchers[s]
	if !ok {
		m = &matcher{text: s}
		m.selector, m.problem = parse(s)
		if len(c.matchers) < kept {
			m.known = make([]int8, len(c.fleet.sites))
			c.matchers[s] = m
		}
	}
	return m
}

// hash is a digest of a value's JSON, which is canonical: struct fields stand in
// the order of the type, map keys in their own. What JSON cannot hold occurs in
// no requirement and no policy that was checked; it would hash by its message.
func hash(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte(err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
