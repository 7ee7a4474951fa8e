package policy

import (
	"bytes"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skein-project/skein/api/flow"
)

// Render prints a policy's document: YAML with its fields in one order. Parse
// reads the same scope, rules and share from it.
func Render(p flow.Policy) string {
	var doc mapping
	doc.put("scope", p.Scope.String())
	if r := renderRules(p.Rules); len(r.node.Content) > 0 {
		doc.put("rules", r.done())
	}
	if p.Share != nil {
		doc.put("share", renderShare(*p.Share))
	}
	return doc.text()
}

// RenderEffect prints what holds for a scope, in the form of a document.
func RenderEffect(scope flow.PolicyScope, e Effect) string {
	p := flow.Policy{Scope: scope, Rules: e.Rules}
	if e.Share != (flow.PolicyShare{}) {
		p.Share = &e.Share
	}
	return Render(p)
}

// Diff is the unified difference of two versions' documents, or empty. A zero or
// withdrawn policy has no document.
func Diff(old, now flow.Policy) string {
	text := func(p flow.Policy) []string {
		if p.Deleted || p.Scope.Level == "" {
			return nil
		}
		lines := strings.SplitAfter(Render(p), "\n")
		return lines[:len(lines)-1] // a document ends in a line break
	}
	out, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: text(old), B: text(now), FromFile: name(old), ToFile: name(now), Context: 3,
	})
	if err != nil {
		return ""
	}
	return out
}

func renderRules(r flow.PolicyRules) mapping {
	var m mapping
	if r.DefaultSelector != nil {
		m.put("defaultSelector", *r.DefaultSelector)
	}
	m.unless(r.RequiredSelector == "", "requiredSelector", r.RequiredSelector)
	m.unless(r.Pools == nil, "pools", r.Pools)
	if r.Preferred != nil {
		list := list()
		for _, p := range r.Preferred {
			var item mapping
			item.put("selector", p.Selector)
			item.put("weight", p.Weight)
			list.Content = append(list.Content, item.done())
		}
		m.put("preferred", list)
	}
	if r.Tolerations != nil {
		list := list()
		for _, t := range r.Tolerations {
			list.Content = append(list.Content, renderToleration(t))
		}
		m.put("tolerations", list)
	}
	m.unless(r.Spread == "", "spread", r.Spread)
	if r.Weights != nil {
		var w mapping
		for _, part := range weightParts(r.Weights) {
			w.put(part.name, *part.value)
		}
		m.put("weights", w.done())
	}
	m.unless(r.Classes == nil, "classes", r.Classes)
	if r.Priority != nil {
		m.put("priority", *r.Priority)
	}
	if r.Failover != nil {
		var f mapping
		f.unless(r.Failover.Mode == "", "mode", string(r.Failover.Mode))
		f.unless(!r.Failover.Strict, "strict", true)
		f.unless(r.Failover.MaxMoves == 0, "maxMoves", r.Failover.MaxMoves)
		m.put("failover", f.done())
	}
	return m
}

func renderToleration(t flow.Toleration) *yaml.Node {
	var m mapping
	m.unless(t.Key == "", "key", t.Key)
	m.unless(t.Operator == "", "operator", t.Operator)
	m.unless(t.Value == "", "value", t.Value)
	m.unless(t.Effect == "", "effect", string(t.Effect))
	if t.Seconds != nil {
		m.put("tolerationSeconds", *t.Seconds)
	}
	return m.done()
}

func renderShare(s flow.PolicyShare) *yaml.Node {
	var m mapping
	m.unless(s.Weight == 0, "weight", s.Weight)
	if q := s.Quota; q != nil {
		var quota mapping
		quota.unless(q.Executions == 0, "executions", q.Executions)
		quota.unless(q.MilliCPU == 0, "cpu", resource.NewMilliQuantity(q.MilliCPU, resource.DecimalSI).String())
		quota.unless(q.Memory == 0, "memory", resource.NewQuantity(q.Memory, resource.BinarySI).String())
		quota.unless(q.GPUs == 0, "gpus", q.GPUs)
		m.put("quota", quota.done())
	}
	return m.done()
}

// mapping is a YAML mapping whose keys keep their order.
type mapping struct{ node yaml.Node }

func (m *mapping) put(key string, value any) {
	v, isNode := value.(*yaml.Node)
	if !isNode {
		v = &yaml.Node{}
		if err := v.Encode(value); err != nil {
			panic(err) // strings, numbers and maps of them always encode
		}
	}
	m.node.Content = append(m.node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, v)
}

func (m *mapping) unless(absent bool, key string, value any) {
	if !absent {
		m.put(key, value)
	}
}

func (m *mapping) done() *yaml.Node {
	m.node.Kind = yaml.MappingNode
	return &m.node
}

func (m *mapping) text() string {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(m.done()); err != nil {
		panic(err) // a tree of plain nodes always encodes
	}
	return b.String()
}

func list() *yaml.Node { return &yaml.Node{Kind: yaml.SequenceNode} }

func name(p flow.Policy) string {
	if p.Scope.Level == "" || p.Deleted {
		return "nothing"
	}
	return p.Scope.String()
}
