package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/event"
)

// inherited is a node row of an earlier epoch, and tried an attempt.
type inherited struct {
	id        flow.NodeID
	parent    string
	phase     flow.NodePhase
	detail    []byte
	startedAt time.Time
}

type tried struct {
	id      flow.NodeID
	attempt uint32
	phase   flow.TaskPhase
	detail  []byte
}

// loadRecoveries reads what earlier epochs left behind of those of the rows that
// are to be resumed on the cluster.
func loadRecoveries(ctx context.Context, tx pgx.Tx, cluster string, rows []due) (map[flow.ExecutionID]flow.Recovery, error) {
	var k keys
	var eras, ns []int64
	for _, d := range rows {
		if e := d.execution; e.Resumed && d.desired(cluster) == flow.DesiredRun {
			k.add(e.ID)
			eras, ns = append(eras, int64(e.Epoch.Era)), append(ns, int64(e.Epoch.N))
		}
	}
	if len(k.names) == 0 {
		return nil, nil
	}
	earlier := `JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::INT8[], $5::INT8[]) AS k (name, project, domain, era, n)
		ON t.name = k.name AND t.project = k.project AND t.domain = k.domain AND (t.epoch_era, t.epoch_n) < (k.era, k.n) `
	args := []any{k.names, k.projects, k.domains, eras, ns}
	var nodes []inherited
	attempts := map[flow.NodeID][]tried{}
	batch := &pgx.Batch{}
	batch.Queue("SELECT t.name, t.project, t.domain, t.node, t.parent, t.phase, t.detail, t.started_at FROM nodes t "+earlier+
		"ORDER BY t.node", args...).Query(into(func(n *inherited) []column {
		return append(nodeKey(&n.id), column{"", &n.parent}, column{"", &n.phase}, column{"", &n.detail}, column{"", at(&n.startedAt)})
	}, func(n *inherited) { nodes = append(nodes, *n) }))
	batch.Queue("SELECT t.name, t.project, t.domain, t.node, t.attempt, t.phase, t.detail FROM tasks t "+earlier, args...).
		Query(into(func(t *tried) []column {
			return append(nodeKey(&t.id), column{"", &t.attempt}, column{"", &t.phase}, column{"", &t.detail})
		}, func(t *tried) { attempts[t.id] = append(attempts[t.id], *t) }))
	if err := send(ctx, tx, batch); err != nil {
		return nil, err
	}
	found := map[flow.ExecutionID]flow.Recovery{}
	for _, n := range nodes {
		recovery := found[n.id.Execution]
		recovery.Nodes = append(recovery.Nodes, n.recovered(attempts[n.id]))
		found[n.id.Execution] = recovery
	}
	return found, nil
}

// recovered is what the next epoch has to know of a node: see flow.RecoveredNode.
// A node whose event cannot be read has to go on: running it again is safe, and
// one row must not keep a cluster's assignments from it.
func (n inherited) recovered(attempts []tried) flow.RecoveredNode {
	r := flow.RecoveredNode{Node: n.id.Node, Parent: n.parent, StartedAt: n.startedAt}
	var detail event.NodeExecutionEvent
	if proto.Unmarshal(n.detail, &detail) == nil {
		r.Checkpoint = detail.GetTaskNodeMetadata().GetCheckpointUri()
		n.end(&r, &detail)
	}
	for _, t := range attempts {
		r.NextAttempt = max(r.NextAttempt, t.attempt+1)
		if t.charged() {
			r.Charged++
		}
	}
	return r
}

// end fills in what has ended by an event, and stands.
func (n inherited) end(r *flow.RecoveredNode, detail *event.NodeExecutionEvent) {
	switch n.phase {
	case flow.NodeSucceeded, flow.NodeSkipped, flow.NodeRecovered:
		r.Phase, r.OutputURI = n.phase, detail.GetOutputUri()
	case flow.NodeFailed, flow.NodeTimedOut:
		r.Phase = n.phase
		if failure := detail.GetError(); failure != nil {
			r.Error, _ = proto.Marshal(failure) // what was unmarshalled a moment ago
		}
	}
}

// charged reports whether the retry budget paid for an attempt: it failed, and
// by an error of its own.
func (t tried) charged() bool {
	var detail event.TaskExecutionEvent
	if t.phase != flow.TaskFailed && t.phase != flow.TaskRetryableFailed {
		return false
	}
	return proto.Unmarshal(t.detail, &detail) != nil || detail.GetError().GetKind() != core.ExecutionError_SYSTEM
}
