package service

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Policies stores policies with all their versions.
type Policies interface {
	// PutPolicy stores version expected+1 of a scope, and its line in the audit. It
	// gives fault.Conflict unless expected is the newest version; 0: there is none.
	PutPolicy(ctx context.Context, p flow.Policy, expected uint64) (flow.Policy, error)
	// GetPolicy reads one version, the newest if it is zero.
	GetPolicy(ctx context.Context, scope string, version uint64) (flow.Policy, error)
	// ListPolicies lists all versions of a scope, newest first; an empty scope
	// lists what holds: the newest version of each that was not withdrawn.
	ListPolicies(ctx context.Context, scope string) ([]flow.Policy, error)
}

// PolicyLanguage reads, prints and merges policies; it does no I/O.
type PolicyLanguage interface {
	// Parse gives fault.Invalid with every problem of the document.
	Parse(document []byte) (flow.Policy, error)
	// Scope reads what flow.PolicyScope.String prints.
	Scope(text string) (flow.PolicyScope, error)
	Render(p flow.Policy) string
	// Diff is a unified difference; the zero policy has no document.
	Diff(old, now flow.Policy) string
	// Effective merges what holds for a workflow of a tenant, with the priority
	// classes and the failover policy that hold without saying so.
	Effective(list []flow.Policy, t flow.Tenant, workflow string) flow.Policy
}

// Fleet changes registered clusters. Each method writes its audit line in the
// same transaction, and gives fault.NotFound for a cluster that does not exist.
type Fleet interface {
	// UpdateCluster changes labels, taints, cordon and drain; change may refuse.
	UpdateCluster(ctx context.Context, name string, change func(*flow.Cluster) error, a flow.Audit) (flow.Cluster, error)
	DeclareLost(ctx context.Context, name string, failPinned bool, a flow.Audit) (flow.LossReport, error)
	DeclareFound(ctx context.Context, name string, a flow.Audit) (flow.Cluster, error)
	// RemoveCluster gives fault.Precondition while the cluster holds executions.
	RemoveCluster(ctx context.Context, name string, a flow.Audit) error
	// SetRevoked revokes a member, or all of its cluster without an instance.
	SetRevoked(ctx context.Context, m flow.Member, revoked bool, a flow.Audit) ([]flow.MemberState, error)
}

// Audits keeps what was done to the fleet, and what was refused.
type Audits interface {
	WriteAudit(ctx context.Context, a flow.Audit) error
	// ListAudit lists the newest lines before a time, the zero time: all; an empty
	// subject lists all.
	ListAudit(ctx context.Context, subject string, before time.Time, limit int) ([]flow.Audit, error)
}

// Histories reads where executions were and are.
type Histories interface {
	// ListMoves lists the moves of an execution, newest first.
	ListMoves(ctx context.Context, id flow.ExecutionID) ([]flow.Move, error)
	// Live lists the live placements of clusters, oldest first.
	Live(ctx context.Context, clusters []string, limit int) ([]flow.Placed, error)
}

// Change is how the world is to differ in a forecast.
type Change struct {
	Lose     []string // clusters that are gone at once
	Drain    []string // clusters that are emptied
	Add      []flow.Cluster
	Policies []flow.Policy
}

// Forecast is what would be decided in a changed world.
type Forecast struct {
	At       time.Time
	Outcomes []Outcome // of what would move, be placed or have to wait
	Stranded int64     // may never move, or have no moves left
	Loads    []ClusterLoad
}

// Outcome is what becomes of one execution. From is empty for what waits now, To
// for what has to wait or stays.
type Outcome struct {
	Execution flow.ExecutionID
	From, To  string
	How       string // resume or restart of a move; why, of a wait
}

// ClusterLoad is what a cluster holds before and after.
type ClusterLoad struct {
	Cluster                           string
	ExecutionsBefore, ExecutionsAfter int64
	ReservedBefore, ReservedAfter     flow.Resources
	Capacity                          flow.Resources
}

// MaxDifferences are told in one answer.
const MaxDifferences = 1000

// Replayed is what became of stored decisions that were taken again.
type Replayed struct {
	Rounds, Decisions int64
	Different         int64         // decisions that came out otherwise
	Differences       []string      // the first MaxDifferences of them
	Next              flow.RoundKey // where to go on; zero: there are no older rounds
}

// Forecaster decides again by the code that decides, and changes nothing.
type Forecaster interface {
	WhatIf(ctx context.Context, c Change) (Forecast, error)
	// Replay takes stored rounds again: the newest that are older than a place in
	// their order.
	Replay(ctx context.Context, older flow.RoundKey, rounds int) (Replayed, error)
	// Remedies say what would have to change for an execution that waits with
	// these reasons, one sentence each, the easiest first. It does no I/O.
	Remedies(reasons []flow.Reason) []string
}

// ControlPlaneState is what the control plane says of itself.
type ControlPlaneState struct {
	ID       string
	Replicas []flow.Replica
	Epoch    flow.Epoch // of the scheduler
	Doubt    string     // why no work is moved; empty: it is
}

// ControlPlane shows and changes the election. On a replica that cannot answer
// for itself, it asks the leader.
type ControlPlane interface {
	Describe(ctx context.Context) (ControlPlaneState, error)
	AddReplica(ctx context.Context, id, address string) ([]flow.Replica, error)
	RemoveReplica(ctx context.Context, id string) ([]flow.Replica, error)
	// TransferLeadership returns when the new term has begun.
	TransferLeadership(ctx context.Context, to string) (leader string, epoch flow.Epoch, err error)
	OverruleDoubt(ctx context.Context) error
}
