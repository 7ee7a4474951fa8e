// Package storetest is the suite that every engine behind the planes' store
// ports must pass: admin/store on CockroachDB and on PostgreSQL, and twins in
// memory.
//
// It knows no engine and no SQL. Each case opens an empty one, speaks to it
// through the ports as the planes declare them, and may let connections break
// at the worst moments.
//
// Invariant: what the suite asks for, the ports' documentation promises.
package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Registry is the port for tasks, workflows and launch plans.
type Registry interface {
	CreateEntity(context.Context, flow.Entity) error
	GetEntity(context.Context, flow.EntityKind, flow.EntityID) (flow.Entity, error)
	ListEntities(ctx context.Context, kind flow.EntityKind, project, domain, name string, q flow.Query) ([]flow.Entity, error)
	ListEntityIDs(ctx context.Context, kind flow.EntityKind, project, domain string, q flow.Query) ([]flow.NamedEntity, error)
	SetActive(ctx context.Context, id flow.EntityID, active bool) error
}

// NamedEntities is the port for what the versions of a name share.
type NamedEntities interface {
	GetNamedEntity(ctx context.Context, kind flow.EntityKind, project, domain, name string) (flow.NamedEntity, error)
	UpdateNamedEntity(context.Context, flow.NamedEntity) error
}

// Projects is the port for projects.
type Projects interface {
	CreateProject(context.Context, flow.Project) error
	GetProject(ctx context.Context, id string) (flow.Project, error)
	UpdateProject(context.Context, flow.Project) error
	ListProjects(context.Context, flow.Query) ([]flow.Project, error)
}

// Executions is the port for executions.
type Executions interface {
	CreateExecution(context.Context, flow.Execution) error
	GetExecution(context.Context, flow.ExecutionID) (flow.Execution, error)
	ListExecutions(ctx context.Context, project, domain string, q flow.Query) ([]flow.Execution, error)
	AbortExecution(ctx context.Context, id flow.ExecutionID, cause, principal string, at time.Time) (flow.Execution, error)
	ArchiveExecution(ctx context.Context, id flow.ExecutionID, archived bool) error
}

// Runs is the port for node and task executions.
type Runs interface {
	GetNode(context.Context, flow.NodeID) (flow.NodeExecution, error)
	ListNodes(ctx context.Context, id flow.ExecutionID, parent string, q flow.Query) ([]flow.NodeExecution, error)
	GetTask(ctx context.Context, node flow.NodeID, task flow.EntityID, attempt uint32) (flow.TaskExecution, error)
	ListTasks(context.Context, flow.NodeID, flow.Query) ([]flow.TaskExecution, error)
}

// Clusters is the port for the fleet.
type Clusters interface {
	CreateCluster(context.Context, flow.Cluster) error
	GetCluster(ctx context.Context, name string) (flow.Cluster, error)
	ListClusters(context.Context) ([]flow.Cluster, error)
	ListMembers(ctx context.Context, cluster string) ([]flow.MemberState, error)
}

// Orders is the port for what operators order of the fleet.
type Orders interface {
	UpdateCluster(ctx context.Context, name string, change func(*flow.Cluster) error, a flow.Audit) (flow.Cluster, error)
	RemoveCluster(ctx context.Context, name string, a flow.Audit) error
	DeclareLost(ctx context.Context, name string, failPinned bool, a flow.Audit) (flow.LossReport, error)
	DeclareFound(ctx context.Context, name string, a flow.Audit) (flow.Cluster, error)
}

// Revocations is the port for members that may not join.
type Revocations interface {
	SetRevoked(ctx context.Context, m flow.Member, revoked bool, a flow.Audit) ([]flow.MemberState, error)
	Revoked(context.Context) ([]flow.Member, error)
	Admits(ctx context.Context, m flow.Member, incarnation uint64) (uint64, error)
}

// Audits is the port for what was done and refused.
type Audits interface {
	WriteAudit(context.Context, flow.Audit) error
	ListAudit(ctx context.Context, subject string, before time.Time, limit int) ([]flow.Audit, error)
}

// Policies is the port for what operators declare.
type Policies interface {
	PutPolicy(ctx context.Context, p flow.Policy, expected uint64) (flow.Policy, error)
	GetPolicy(ctx context.Context, scope string, version uint64) (flow.Policy, error)
	ListPolicies(ctx context.Context, scope string) ([]flow.Policy, error)
}

// Sessions is the port for members' sessions.
type Sessions interface {
	OpenSession(ctx context.Context, m flow.Member, hub string, r flow.ClusterReport) (flow.Session, error)
	Report(context.Context, flow.Sender, flow.ClusterReport) error
	Verdicts(context.Context, flow.Sender, []flow.Held) (flow.Verdicts, error)
	CloseSession(context.Context, flow.Sender) error
}

// Outbox is the port for assignments and their acks.
type Outbox interface {
	Assignments(ctx context.Context, s flow.Sender, limit int) ([]flow.Assignment, error)
	Due(context.Context, []flow.Sender) ([]flow.Sender, error)
	Ack(context.Context, flow.Sender, []flow.Ack) error
}

// Events is the port for what the fleet reports.
type Events interface {
	RecordEvents(context.Context, flow.Sender, []flow.Event, flow.Apply) ([]flow.EventResult, error)
	RecordBatches(context.Context, []flow.EventBatch, flow.Apply) ([]flow.BatchResult, error)
}

// Tokens is the port for join tokens.
type Tokens interface {
	CreateToken(ctx context.Context, hash []byte, cluster string, expiresAt time.Time) error
	ConsumeToken(ctx context.Context, hash, keyHash []byte, instance string,
		issue func(cluster string, incarnation uint64) (certPEM []byte, err error), now time.Time) (cluster string, certPEM []byte, err error)
}

// Terms is the port for elections.
type Terms interface {
	BeginTerm(ctx context.Context, replica string) (flow.Fence, error)
	ReadFence(context.Context) (flow.Fence, error)
}

// Demand is the port for what the scheduler reads of executions.
type Demand interface {
	Pending(ctx context.Context, after flow.PendingKey, limit int) ([]flow.Pending, error)
	Requirements(ctx context.Context, digests []string) (map[string]flow.Requirement, error)
	Live(ctx context.Context, clusters []string, limit int) ([]flow.Placed, error)
	Loads(context.Context) ([]flow.Load, error)
}

// Plans is the port for what the scheduler writes.
type Plans interface {
	CommitPlan(context.Context, flow.Fence, flow.Batch) (flow.Fence, []flow.ExecutionID, error)
	RecordLeases(ctx context.Context, f flow.Fence, r []flow.LeaseRequest, d time.Duration, at time.Time) (flow.Fence, []flow.Lease, error)
	SetHealth(context.Context, flow.Fence, []flow.HealthChange) (flow.Fence, error)
}

// Moves is the port for what the scheduler writes besides plans.
type Moves interface {
	Reap(ctx context.Context, f flow.Fence, t flow.Takeover, ids []flow.ExecutionID, at time.Time) (flow.Fence, []flow.ExecutionID, error)
	Revoke(ctx context.Context, f flow.Fence, list []flow.Revocation, at time.Time) (flow.Fence, []flow.ExecutionID, error)
	EndDrain(ctx context.Context, f flow.Fence, cluster string, expired bool, at time.Time) (flow.Fence, error)
}

// Trims is the port for forgetting.
type Trims interface {
	Trim(ctx context.Context, before time.Time, rounds int) (int64, error)
}

// Decisions is the port for explanations.
type Decisions interface {
	ListDecisions(context.Context, flow.ExecutionID) ([]flow.Decision, error)
	RoundDecisions(ctx context.Context, round string) ([]flow.Decision, error)
	Rounds(ctx context.Context, older flow.RoundKey, limit int) ([]flow.Round, error)
	Trails(ctx context.Context, digests []string) ([]flow.Trail, error)
}

// Replicas is the port for finding the other replicas.
type Replicas interface {
	AnnounceReplica(context.Context, flow.Replica) error
	ListReplicas(context.Context) ([]flow.Replica, error)
}

// Histories is the port for what executions have left behind.
type Histories interface {
	ListMoves(context.Context, flow.ExecutionID) ([]flow.Move, error)
	ArchivedNodes(context.Context, flow.ExecutionID) ([]flow.NodeExecution, error)
	ArchivedTasks(context.Context, flow.ExecutionID) ([]flow.TaskExecution, error)
}

// Rebuilds is the port for the course of a REBUILD.
type Rebuilds interface {
	EnterRebuild(ctx context.Context, known flow.Fence, why string) (flow.Rebuild, error)
	Rebuild(context.Context) (flow.Rebuild, error)
	ForceRebuild(context.Context, flow.Audit) error
	EndRebuild(ctx context.Context, f flow.Fence, at time.Time) (flow.Fence, flow.Rebuilt, error)
	LastRebuilt(context.Context) (flow.Rebuilt, error)
}

// Holders is the port for what members report in a REBUILD.
type Holders interface {
	TakeInventory(ctx context.Context, s flow.Sender, held []flow.Held) (unknown []flow.Held, err error)
	TakeHoldings(ctx context.Context, s flow.Sender, list []flow.Holding, last bool) error
}

// Ports are all ports of one engine.
type Ports struct {
	Registry
	NamedEntities
	Projects
	Executions
	Runs
	Clusters
	Orders
	Revocations
	Audits
	Policies
	Sessions
	Outbox
	Events
	Tokens
	Terms
	Demand
	Plans
	Moves
	Trims
	Decisions
	Replicas
	Histories
	Rebuilds
	Holders
}

// Opened is an empty engine. Engines without a wire leave Cut and Hold nil;
// the cases that need them are then skipped.
type Opened struct {
	Ports
	// Other is another replica's view of the same data.
	Other Ports
	// Cut breaks the connection of Ports at its next COMMIT: before the database
	// sees it, or after the database has confirmed it. It returns a way to ask
	// whether that has happened.
	Cut func(landed bool) (happened func() bool)
	// Hold stops the next COMMIT of Ports on its way, until release.
	Hold func() (reached <-chan struct{}, release func())
	// Know tells Ports the highest fence that their replica has seen.
	Know func(flow.Fence)
}

// group is a part of the suite that asks for some of the ports.
type group struct {
	name  string
	cases []testCase
}

var groups = []group{
	{"Registry", registryCases}, {"Lists", listCases}, {"Executions", executionCases}, {"Plans", planCases},
	{"Orders", orderCases}, {"Policies", policyCases}, {"Audit", auditCases}, {"Removals", removalCases}, {"TokenOrders", tokenOrderCases}, {"Moves", moveCases}, {"Revokes", revokeCases}, {"Lost", lostCases}, {"Explanations", explanationCases}, {"Trims", trimCases}, {"Replicas", replicaCases},
	{"MoveRaces", moveRaceCases}, {"Sessions", sessionCases}, {"Verdicts", verdictCases}, {"SharedVerdicts", sharedCases}, {"Events", eventCases}, {"Batches", batchCases}, {"Tokens", tokenCases},
	{"Rebuilds", rebuildCases}, {"Reports", reportCases}, {"Signs", signCases}, {"Races", raceCases}, {"RegistryRaces", registryRaceCases}, {"LostAnswers", lostAnswerCases},
}

// Run runs the suite. open gives an empty engine, and closes it at the end of
// the test that it is given. An engine that has only some of the ports names
// the groups that it runs; without names, all are run.
func Run(t *testing.T, open func(*testing.T) *Opened, only ...string) {
	for _, name := range only {
		if !slices.ContainsFunc(groups, func(g group) bool { return g.name == name }) {
			t.Fatalf("the suite has no group %q", name)
		}
	}
	for _, g := range groups {
		if len(only) > 0 && !slices.Contains(only, g.name) {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) { c.run(newWorld(t, open(t))) })
			}
		})
	}
}

// testCase is one claim; its name is the claim.
type testCase struct {
	name string
	run  func(*world)
}
