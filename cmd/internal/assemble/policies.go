package assemble

import (
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/policy"
)

// policyLanguage gives admin the rules of policies, which are the scheduler's.
// It satisfies service.PolicyLanguage.
type policyLanguage struct{}

// Parse reads one document.
func (policyLanguage) Parse(document []byte) (flow.Policy, error) { return policy.Parse(document) }

// Scope reads a scope.
func (policyLanguage) Scope(text string) (flow.PolicyScope, error) { return policy.ParseScope(text) }

// Render prints a policy's document.
func (policyLanguage) Render(p flow.Policy) string { return policy.Render(p) }

// Diff compares two documents.
func (policyLanguage) Diff(old, now flow.Policy) string { return policy.Diff(old, now) }

// Effective merges what holds, with what holds without saying so.
func (policyLanguage) Effective(list []flow.Policy, t flow.Tenant, workflow string) flow.Policy {
	effect := policy.Effective(list, t, workflow)
	rules, failover := effect.Rules, effect.Failover()
	rules.Classes, rules.Failover = effect.ClassNames(), &failover
	out := flow.Policy{Rules: rules}
	if effect.Share != (flow.PolicyShare{}) {
		out.Share = &effect.Share
	}
	return out
}
