package policy

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// Parse reads one policy document, in YAML or JSON. The error is fault.Invalid
// and tells every problem with its field and line; then nothing is returned.
// Scope, rules and share are the document's; versions and authors are not.
func Parse(document []byte) (flow.Policy, error) {
	if len(document) > MaxDocument {
		return flow.Policy{}, fault.Field("document", "has %d bytes, at most %d are taken: a policy belongs to one scope", len(document), MaxDocument)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(document, &root); err != nil {
		return flow.Policy{}, fault.Field("document", "is neither YAML nor JSON: %v", err)
	}
	if len(root.Content) != 1 {
		return flow.Policy{}, fault.Field("document", "is empty; it holds scope, rules and, for a project, share")
	}
	r := reader{lines: map[string]int{}}
	p := r.policy(root.Content[0])
	if len(r.problems) == 0 {
		for _, found := range Problems(p) {
			found.Line = r.line(found.Field)
			r.problems = append(r.problems, found)
		}
	}
	if err := invalid(r.problems); err != nil {
		return flow.Policy{}, err
	}
	return p, nil
}

func (r *reader) policy(n *yaml.Node) flow.Policy {
	var p flow.Policy
	r.object(n, "", fields{
		"scope": func(n *yaml.Node, at string) { p.Scope = r.scope(n, at) },
		"rules": func(n *yaml.Node, at string) { p.Rules = r.rules(n, at) },
		"share": func(n *yaml.Node, at string) { p.Share = r.share(n, at) },
	})
	if _, there := r.lines["scope"]; !there && n.Kind == yaml.MappingNode {
		r.add("scope", n.Line, "must be set; write one of "+scopeForms)
	}
	return p
}

func (r *reader) scope(n *yaml.Node, at string) flow.PolicyScope {
	text := r.text(n, at)
	if text == "" {
		return flow.PolicyScope{}
	}
	scope, err := ParseScope(text)
	if err != nil {
		r.add(at, n.Line, err.Error())
	}
	return scope
}

func (r *reader) rules(n *yaml.Node, at string) flow.PolicyRules {
	var out flow.PolicyRules
	r.object(n, at, fields{
		"defaultSelector": func(n *yaml.Node, at string) {
			text := r.text(n, at)
			out.DefaultSelector = &text
		},
		"requiredSelector": func(n *yaml.Node, at string) { out.RequiredSelector = r.text(n, at) },
		"pools": func(n *yaml.Node, at string) {
			out.Pools = map[string]string{}
			r.entries(n, at, func(name string, n *yaml.Node, at string) { out.Pools[name] = r.text(n, at) })
		},
		"preferred": func(n *yaml.Node, at string) {
			out.Preferred = []flow.Preference{}
			r.items(n, at, func(n *yaml.Node, at string) { out.Preferred = append(out.Preferred, r.preference(n, at)) })
		},
		"tolerations": func(n *yaml.Node, at string) {
			out.Tolerations = []flow.Toleration{}
			r.items(n, at, func(n *yaml.Node, at string) { out.Tolerations = append(out.Tolerations, r.toleration(n, at)) })
		},
		"spread":  func(n *yaml.Node, at string) { out.Spread = r.text(n, at) },
		"weights": func(n *yaml.Node, at string) { out.Weights = r.weights(n, at) },
		"classes": func(n *yaml.Node, at string) {
			out.Classes = map[string]int32{}
			r.entries(n, at, func(name string, n *yaml.Node, at string) { out.Classes[name] = r.int32(n, at) })
		},
		"priority": func(n *yaml.Node, at string) {
			v := r.int32(n, at)
			out.Priority = &v
		},
		"failover": func(n *yaml.Node, at string) { out.Failover = r.failover(n, at) },
	})
	return out
}

func (r *reader) preference(n *yaml.Node, at string) flow.Preference {
	var out flow.Preference
	r.object(n, at, fields{
		"selector": func(n *yaml.Node, at string) { out.Selector = r.text(n, at) },
		"weight":   func(n *yaml.Node, at string) { out.Weight = r.int32(n, at) },
	})
	return out
}

func (r *reader) toleration(n *yaml.Node, at string) flow.Toleration {
	var out flow.Toleration
	r.object(n, at, fields{
		"key":      func(n *yaml.Node, at string) { out.Key = r.text(n, at) },
		"operator": func(n *yaml.Node, at string) { out.Operator = r.text(n, at) },
		"value":    func(n *yaml.Node, at string) { out.Value = r.text(n, at) },
		"effect":   func(n *yaml.Node, at string) { out.Effect = flow.TaintEffect(r.text(n, at)) },
		"tolerationSeconds": func(n *yaml.Node, at string) {
			v := r.int64(n, at)
			out.Seconds = &v
		},
	})
	return out
}

func (r *reader) weights(n *yaml.Node, at string) *flow.Weights {
	out := &flow.Weights{}
	f := fields{}
	for _, part := range weightParts(out) {
		f[part.name] = func(n *yaml.Node, at string) { *part.value = r.number(n, at) }
	}
	r.object(n, at, f)
	return out
}

func (r *reader) failover(n *yaml.Node, at string) *flow.Failover {
	out := &flow.Failover{}
	r.object(n, at, fields{
		"mode":     func(n *yaml.Node, at string) { out.Mode = flow.FailoverMode(r.text(n, at)) },
		"strict":   func(n *yaml.Node, at string) { out.Strict = r.bool(n, at) },
		"maxMoves": func(n *yaml.Node, at string) { out.MaxMoves = int(r.int32(n, at)) },
	})
	return out
}

func (r *reader) share(n *yaml.Node, at string) *flow.PolicyShare {
	out := &flow.PolicyShare{}
	r.object(n, at, fields{
		"weight": func(n *yaml.Node, at string) { out.Weight = r.number(n, at) },
		"quota": func(n *yaml.Node, at string) {
			out.Quota = &flow.Quota{}
			r.object(n, at, fields{
				"executions": func(n *yaml.Node, at string) { out.Quota.Executions = r.int64(n, at) },
				"cpu":        func(n *yaml.Node, at string) { out.Quota.MilliCPU = r.quantity(n, at, true) },
				"memory":     func(n *yaml.Node, at string) { out.Quota.Memory = r.quantity(n, at, false) },
				"gpus":       func(n *yaml.Node, at string) { out.Quota.GPUs = r.int64(n, at) },
			})
		},
	})
	return out
}

type weightPart struct {
	name  string
	value *float64
}

// weightParts are the parts of a score in the order of the document.
func weightParts(w *flow.Weights) []weightPart {
	return []weightPart{
		{"free", &w.Free}, {"peak", &w.Peak}, {"taint", &w.Taint}, {"preferred", &w.Preferred}, {"spread", &w.Spread},
		{"affinity", &w.Affinity}, {"locality", &w.Locality}, {"cost", &w.Cost}, {"sticky", &w.Sticky},
	}
}

// index names an item of a list.
func index(at string, i int) string { return fmt.Sprintf("%s[%d]", at, i) }
