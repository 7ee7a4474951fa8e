package service

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// PolicyAge is how long a replica believes the policies that it read: what a
// launch is told by one that was just applied elsewhere may be so old.
const PolicyAge = time.Second

// What the audit calls changes of policies.
const (
	actionApply  = "policy.put"
	actionDelete = "policy.delete"
)

// policyServer answers skein.v1.PolicyService.
type policyServer struct {
	skeinv1.UnimplementedPolicyServiceServer
	s *Service
}

// ApplyPolicy checks a document and stores it as its scope's next version.
func (p policyServer) ApplyPolicy(ctx context.Context, req *skeinv1.ApplyPolicyRequest) (*skeinv1.ApplyPolicyResponse, error) {
	now, err := p.s.deps.Language.Parse([]byte(req.GetDocument()))
	if err != nil {
		return nil, p.s.refusedUnless(ctx, req.GetDryRun(), actionApply, "policy", err)
	}
	subject := "policy/" + now.Scope.String()
	old, err := p.newest(ctx, now.Scope.String())
	if err != nil {
		return nil, err
	}
	difference := p.s.deps.Language.Diff(old, now)
	if expected := req.GetExpectedVersion(); expected != 0 && expected != old.Version {
		return nil, p.s.refusedUnless(ctx, req.GetDryRun(), actionApply, subject, aborted(
			"expected_version: version %d of %s is the newest, not %d; read it, and apply your change to it", old.Version, now.Scope, expected))
	}
	if req.GetDryRun() || difference == "" && old.Version != 0 {
		now.Version, now.Author, now.At = old.Version, old.Author, old.At
		return &skeinv1.ApplyPolicyResponse{Policy: p.message(now), Difference: difference}, nil
	}
	now.Author, now.At = operator(ctx), p.s.now()
	stored, err := p.put(ctx, now, old.Version)
	if err != nil {
		return nil, p.s.refused(ctx, actionApply, subject, err)
	}
	return &skeinv1.ApplyPolicyResponse{Policy: p.message(stored), Difference: difference}, nil
}

// DeletePolicy withdraws a scope's policy, as a version of its own.
func (p policyServer) DeletePolicy(ctx context.Context, req *skeinv1.DeletePolicyRequest) (*skeinv1.DeletePolicyResponse, error) {
	scope, err := p.scope(req.GetScope())
	if err != nil {
		return nil, p.s.refused(ctx, actionDelete, "policy/"+req.GetScope(), err)
	}
	old, err := p.newest(ctx, scope.String())
	if err == nil && (old.Version == 0 || old.Deleted) {
		err = fault.E(fault.NotFound, "no policy holds for %s; skein policy list shows those that do", scope)
		err = p.s.refused(ctx, actionDelete, "policy/"+scope.String(), err)
	}
	if err != nil {
		return nil, err
	}
	gone := flow.Policy{Scope: scope, Deleted: true, Author: operator(ctx), At: p.s.now()}
	stored, err := p.put(ctx, gone, old.Version)
	if err != nil {
		return nil, p.s.refused(ctx, actionDelete, "policy/"+scope.String(), err)
	}
	return &skeinv1.DeletePolicyResponse{Policy: p.message(stored)}, nil
}

// put stores a version on top of the one that was compared with; the store
// writes the audit.
func (p policyServer) put(ctx context.Context, now flow.Policy, old uint64) (flow.Policy, error) {
	stored, err := p.s.deps.Policies.PutPolicy(ctx, now, old)
	if fault.Is(err, fault.Conflict) {
		err = aborted("somebody else changed the policy of %s meanwhile; read it, and apply your change to it", now.Scope)
	}
	if err != nil {
		return stored, err
	}
	p.s.policies.forget()
	p.s.deps.Nudge()
	return stored, nil
}

// newest is a scope's newest version; the zero policy if there is none.
func (p policyServer) newest(ctx context.Context, scope string) (flow.Policy, error) {
	old, err := p.s.deps.Policies.GetPolicy(ctx, scope, 0)
	if fault.Is(err, fault.NotFound) {
		return flow.Policy{}, nil
	}
	return old, err
}

// GetPolicy reads one version of a scope's policy, or what holds in effect.
func (p policyServer) GetPolicy(ctx context.Context, req *skeinv1.GetPolicyRequest) (*skeinv1.GetPolicyResponse, error) {
	scope, err := p.scope(req.GetScope())
	if err != nil {
		return nil, err
	}
	if req.GetEffective() {
		if req.GetVersion() != 0 {
			return nil, fault.Field("version", "must be left out where effective is set: what holds is of the newest versions")
		}
		list, err := p.s.deps.Policies.ListPolicies(ctx, "")
		if err != nil {
			return nil, err
		}
		all := p.s.deps.Language.Effective(list, flow.Tenant{Project: scope.Project, Domain: scope.Domain}, scope.Workflow)
		all.Scope = scope
		return &skeinv1.GetPolicyResponse{Policy: p.message(all)}, nil
	}
	found, err := p.s.deps.Policies.GetPolicy(ctx, scope.String(), req.GetVersion())
	if fault.Is(err, fault.NotFound) {
		err = fault.E(fault.NotFound, "%s has no such policy; skein policy list shows all", scope)
	}
	if err != nil {
		return nil, err
	}
	return &skeinv1.GetPolicyResponse{Policy: p.message(found)}, nil
}

// ListPolicies lists the newest version of each scope, or all of one scope.
func (p policyServer) ListPolicies(ctx context.Context, req *skeinv1.ListPoliciesRequest) (*skeinv1.ListPoliciesResponse, error) {
	scope := ""
	if req.GetScope() != "" {
		read, err := p.scope(req.GetScope())
		if err != nil {
			return nil, err
		}
		scope = read.String()
	}
	list, err := p.s.deps.Policies.ListPolicies(ctx, scope)
	out := &skeinv1.ListPoliciesResponse{}
	for _, one := range list {
		out.Policies = append(out.Policies, p.message(one))
	}
	return out, err
}

func (p policyServer) scope(text string) (flow.PolicyScope, error) {
	scope, err := p.s.deps.Language.Scope(text)
	if err != nil {
		return scope, fault.Field("scope", "%s", err.Error())
	}
	return scope, nil
}

func (p policyServer) message(f flow.Policy) *skeinv1.Policy {
	out := &skeinv1.Policy{Scope: f.Scope.String(), Version: f.Version, Author: f.Author, At: timestamp(f.At), Deleted: f.Deleted}
	if !f.Deleted {
		out.Document = p.s.deps.Language.Render(f)
	}
	return out
}

// policyBook keeps the newest policies for launches, and reads them anew when
// they are older than PolicyAge.
type policyBook struct {
	mu   sync.Mutex
	list []flow.Policy
	read time.Time
}

func (b *policyBook) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read = time.Time{}
}

func (b *policyBook) get(ctx context.Context, now time.Time, policies Policies) ([]flow.Policy, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if age := now.Sub(b.read); age >= 0 && age < PolicyAge {
		return b.list, nil
	}
	list, err := policies.ListPolicies(ctx, "")
	if err == nil {
		b.list, b.read = list, now
	}
	return list, err
}

// rulesFor are the rules that hold for a launch; they must know its pool and its
// class.
func (s *Service) rulesFor(ctx context.Context, t flow.Tenant, r flow.Requirement) (flow.PolicyRules, error) {
	var rules flow.PolicyRules
	if s.deps.Policies != nil {
		list, err := s.policies.get(ctx, s.now(), s.deps.Policies)
		if err != nil {
			return rules, err
		}
		rules = s.deps.Language.Effective(list, t, r.Workflow).Rules
	}
	if _, known := rules.Pools[r.Pool]; r.Pool != "" && !known {
		return rules, fault.Field("spec.cluster_assignment.cluster_pool_name", "no pool %s holds for %s: known are %s; "+
			"a policy names pools (skein policy), and spec.execution_cluster_label takes a label selector", fault.Quote(r.Pool), t, listed(rules.Pools))
	}
	if _, known := rules.Classes[r.Class]; r.Class != "" && !known && s.deps.Policies != nil {
		return rules, fault.Field("spec.annotations", "skein.dev/priority-class: no class %s holds for %s: known are %s",
			fault.Quote(r.Class), t, listed(rules.Classes))
	}
	return rules, nil
}

func listed[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

// refusedUnless is refused, but for a dry run, which changes nothing.
func (s *Service) refusedUnless(ctx context.Context, dry bool, action, subject string, err error) error {
	if dry {
		return err
	}
	return s.refused(ctx, action, subject, err)
}
