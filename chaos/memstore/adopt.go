package memstore

import (
	"fmt"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// What a report was to an execution's row.
const (
	outcomeKept    = "kept"
	outcomeMoved   = "moved"
	outcomeCreated = "created"
)

// heldBy is who has reported an execution in the REBUILD that lasts.
type heldBy struct {
	cluster string
	epoch   flow.Epoch
	outcome string
}

// take lets a member's report change a row: the higher epoch wins, and at the
// same epoch who has reported it.
func (t *tables) take(r *run, member flow.Member, h flow.Held, now time.Time) {
	before := t.held[h.Execution]
	if r.e.Phase.Terminal() || h.Desired == flow.DesiredGone || h.Epoch.Less(r.e.Epoch) {
		return
	}
	here := r.e.Cluster == member.Cluster && r.e.Epoch == h.Epoch
	reported := before.cluster != "" && before.cluster == r.e.Cluster && before.epoch == r.e.Epoch
	if !here && reported && r.e.Epoch == h.Epoch {
		return
	}
	outcome := before.outcome
	switch {
	case outcome == outcomeCreated:
	case !here:
		outcome = outcomeMoved
	case outcome == "":
		outcome = outcomeKept
	}
	t.held[h.Execution] = heldBy{member.Cluster, h.Epoch, outcome}
	revision := r.e.Revision
	if !here {
		if r.e.Cluster != "" {
			t.leave(r, flow.MoveRebuild, fmt.Sprintf("the restored backup had it at epoch %s on cluster %s; cluster %s held it at epoch %s",
				r.e.Epoch, r.e.Cluster, member.Cluster, h.Epoch), now)
		}
		t.found(r, member.Cluster, h.Epoch, now)
	}
	t.settle(r, member, h, revision, now)
}

// found places an execution where it was found.
func (t *tables) found(r *run, cluster string, epoch flow.Epoch, now time.Time) {
	e := t.touch(r)
	e.Cluster, e.Epoch, e.Phase, e.Sequence, e.Resumed = cluster, epoch, flow.ExecutionQueued, 0, false
	r.placedAt = stamp(now)
	r.decisions = append(r.decisions, flow.Decision{Execution: e.ID, Epoch: epoch, Cluster: cluster, At: stamp(now),
		Reasons: []flow.Reason{{Cluster: cluster, Message: "found there when a restored backup was rebuilt", Chosen: true}}})
}

// settle finds what the cluster is still to be told: an abort that it has not
// seen.
func (t *tables) settle(r *run, member flow.Member, h flow.Held, revision uint64, now time.Time) {
	e := t.touch(r)
	e.Revision = max(revision, h.Revision, 1)
	acked := e.Revision
	switch {
	case h.Desired == flow.DesiredAbort && e.Desired == flow.DesiredRun:
		e.Desired, e.AbortCause = flow.DesiredAbort, "asked for before the database was restored from a backup"
	case h.Desired != flow.DesiredAbort && e.Desired == flow.DesiredAbort:
		acked = max(h.Revision, 1)
		e.Revision++
	}
	if e.Desired == flow.DesiredAbort {
		e.Phase = flow.ExecutionAborting
	}
	e.NotBefore, e.Revoking, e.UpdatedAt = time.Time{}, "", stamp(now)
	e.Version++
	r.revokedAt, r.because = time.Time{}, ""
	t.want(e)
	row := t.outbox[e.Cluster][e.ID]
	row.acked, row.by, row.in = acked, member.Instance, t.sessions(member.Cluster)
}

// makeAgain makes the row of an execution that the backup has forgotten, as one
// that waits for a cluster.
func (t *tables) makeAgain(h flow.Holding, now time.Time) *run {
	e := h.Execution()
	e.CreatedAt, e.UpdatedAt = stamp(e.CreatedAt), stamp(e.UpdatedAt)
	if _, known := t.projects[e.ID.Project]; !known {
		t.projects[e.ID.Project] = flow.Project{ID: e.ID.Project, Name: e.ID.Project, CreatedAt: stamp(now)}
	}
	key, run0 := entityKey{flow.KindWorkflow, e.Workflow}, h.Assignment.Run
	if _, known := t.entities[key]; !known {
		t.entities[key] = flow.Entity{Kind: flow.KindWorkflow, ID: e.Workflow, Body: run0.Closure, BodyURI: run0.ClosureURI, BodyDigest: run0.ClosureDigest}
	}
	r := &run{e: e, digest: digestOf(e.Requirement), nodes: map[string]flow.NodeExecution{}, tasks: map[attempt]flow.TaskExecution{}}
	t.runs[e.ID] = r
	t.order = append(t.order, e.ID)
	t.classes[r.digest] = e.Requirement
	if t.before == nil {
		t.before = map[flow.ExecutionID]flow.Execution{}
	}
	t.before[e.ID] = flow.Execution{}
	t.touched = append(t.touched, e.ID)
	t.held[e.ID] = heldBy{outcome: outcomeCreated}
	return r
}
