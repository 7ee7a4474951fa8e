package workflow

import (
	"fmt"
	"time"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// startTask records a node's first attempt and asks for it.
func (a *advance) startTask(c scope, n *Node) {
	if a.v.MaxParallelism > 0 && a.busy >= a.v.MaxParallelism {
		a.Held++
		return
	}
	if seed, _ := a.node(c.id(n.ID)); spent(n, &seed) {
		err := &v1alpha1.Error{Code: "RetriesExhausted|Unknown", Kind: "USER",
			Message: fmt.Sprintf("[%d/%d] currentAttempt done. Last Error: USER::its attempts failed on another cluster", charged(seed), n.Retries()+1)}
		a.record(c, n, nodeFailed).Error = err
		return
	}
	a.busy++
	st := a.record(c, n, nodeQueued)
	start := a.attempt(c, n, st)
	start.Inputs = a.inputs(c, n)
	st.InputURI = start.Inputs.URI
	a.Starts = append(a.Starts, start)
}

// attempt appends a new attempt to a node's record.
func (a *advance) attempt(c scope, n *Node, st *v1alpha1.NodeStatus) Start {
	k := len(st.Attempts)
	object := ObjectName(a.v.Execution.Name, a.v.Epoch, c.id(n.ID), k)
	st.Attempts = append(st.Attempts, v1alpha1.AttemptStatus{Sequence: a.seq, Phase: taskQueued, Object: object, QueuedAt: &a.now})
	a.lookAfter(st.Attempts[k], n)
	s := a.start(c, n, k, st)
	st.Checkpoint, st.Sequence = Checkpoint(s.RawPrefix), a.seq
	return s
}

func (a *advance) start(c scope, n *Node, k int, st *v1alpha1.NodeStatus) Start {
	a.acting[c.id(n.ID)] = true
	s := Start{Attempt: Attempt{c.id(n.ID), k}, Object: st.Attempts[k].Object, Spec: n,
		OutputPrefix: c.outputs(n.ID, k), RawPrefix: rawFolder(a.v.Raw, st.Attempts[k].Object),
		Interruptible: a.interruptible(c, n, st)}
	if k > 0 && earlier(st.Attempts[k-1]) {
		r, _ := a.left(c.id(n.ID))
		s.PrevCheckpoint = r.Checkpoint
	} else if k > 0 {
		s.PrevCheckpoint = Checkpoint(rawFolder(a.v.Raw, st.Attempts[k-1].Object))
	}
	return s
}

// Checkpoint is where an attempt keeps its checkpoints, below its raw output.
func Checkpoint(raw string) string { return raw + "/_flytecheckpoints" }

// interruptible: the node's word, else the execution's, else the workflow's;
// never after so many system failures that this attempt is the last.
func (a *advance) interruptible(c scope, n *Node, st *v1alpha1.NodeStatus) bool {
	yes := c.Interruptible
	if a.v.Interruptible != nil {
		yes = *a.v.Interruptible
	}
	if v, ok := n.Spec.GetMetadata().GetInterruptibleValue().(*core.NodeMetadata_Interruptible); ok {
		yes = v.Interruptible
	}
	return yes && (st.SystemFailures == 0 || int(st.SystemFailures) < a.v.Policy.SystemRetries)
}

// finishTask records what was observed of a task node's last attempt, and ends
// the node if that was the last word.
func (a *advance) finishTask(c scope, n *Node, id string) {
	a.finishFailing(id)
	st, _ := a.node(id)
	k := len(st.Attempts) - 1
	if k < 0 || flow.NodePhase(st.Phase).Terminal() {
		return
	}
	if o, seen := a.v.Observed[Attempt{id, k}]; seen && !a.soon(st.Attempts[k], o) {
		a.ingest(id, a.ours(c, n, st.Attempts[k], o))
		st, _ = a.node(id)
	}
	switch last := st.Attempts[k]; last.Phase {
	case taskSucceeded:
		a.end(id, nodeSucceeded, nil).OutputURI = last.OutputURI
		a.busy--
	case taskFailed:
		a.end(id, nodeFailed, last.Error)
		a.busy--
	case taskAborted:
		if lapsed(last) {
			return
		}
		a.end(id, nodeAborted, last.Error)
		a.busy--
	case taskRetryable:
		if tries, of, again := a.retry(n, st); !again {
			err := *last.Error
			err.Code = "RetriesExhausted|" + last.Error.Code
			err.Message = fmt.Sprintf("[%d/%d] currentAttempt done. Last Error: %s::%s", tries, of, last.Error.Kind, last.Error.Message)
			a.end(id, nodeFailed, &err)
			a.busy--
		}
	}
}

// soon reports that an attempt has only begun to initialize, and asks to look
// again a little later: most run or end within the lull, and cost a write less.
func (a *advance) soon(at v1alpha1.AttemptStatus, o Observation) bool {
	if at.QueuedAt == nil {
		return false
	}
	until := at.QueuedAt.Add(a.v.Policy.Lull)
	if at.Phase != taskQueued || o.Phase != flow.TaskInitializing || o.Reason != "" || o.Failure != nil || !a.v.Now.Before(until) {
		return false
	}
	a.look(until)
	return true
}

// Deleted is the code of a failure that says: somebody deleted it.
const Deleted = "UnexpectedObjectDeletion"

// ours puts right an observation of an attempt that ended because we stopped
// it: while we do, and until that is recorded, nothing tells who did.
func (a *advance) ours(c scope, n *Node, at v1alpha1.AttemptStatus, o Observation) Observation {
	gone := o.Missing && at.Phase != taskQueued && at.Phase != taskWaiting
	if a.stoppedByLapse(at, o, gone) {
		o.Missing, o.Phase, o.Failure, o.Lapsed = false, flow.TaskAborted, leaseEnds(), true
		return o
	}
	if !gone && (o.Failure == nil || o.Failure.Code != Deleted) {
		return o
	}
	home := c.home()
	stopping := a.v.Abort || a.v.Status.Phase == flow.ExecutionFailing.String() || home.FailAtOnce && a.firstFailed(home) != nil
	switch {
	case stopping && (gone || o.Phase.Rank() == flow.TaskAborted.Rank()):
		o.Missing, o.Phase, o.Failure = false, flow.TaskAborted, &Failure{Code: "NodeAborted", Message: a.reason()}
	case a.overdue(n, at):
		if gone {
			o.Missing, o.Phase = false, flow.TaskRetryableFailed
		}
		o.Failure = a.expired(n)
	}
	return o
}

func (a *advance) expired(n *Node) *Failure {
	return &Failure{Code: "TimeoutExpired", Message: fmt.Sprintf("task execution timeout [%s] expired", a.timeout(n)), Retryable: true}
}

// stoppedByLapse reports whether an attempt has ended because we stopped it for
// its lease's sake: it is noted, or it went just when that was due.
func (a *advance) stoppedByLapse(at v1alpha1.AttemptStatus, o Observation, gone bool) bool {
	over := o.Phase.Rank() == flow.TaskAborted.Rank()
	if at.Lapsed {
		return o.Missing || over && o.Phase != flow.TaskSucceeded
	}
	return a.v.lapses() && (gone || over && o.Failure != nil && o.Failure.Code == Deleted)
}

func leaseEnds() *Failure {
	return &Failure{Code: Lapsed, Message: "stopped, as it is strict and its cluster's lease ends", System: true}
}

// retry is contract 14.1: two budgets, of which the failure's kind picks one.
func (a *advance) retry(n *Node, st v1alpha1.NodeStatus) (tries, of int, again bool) {
	if last := st.Attempts[len(st.Attempts)-1]; last.Error != nil && last.Error.Kind == "SYSTEM" {
		tries, of = int(st.SystemFailures), a.v.Policy.SystemRetries
	} else {
		tries, of = charged(st), n.Retries()+1
	}
	return tries, of, tries < of
}

// continueTask starts the next attempt, starts again what was not found, stops
// what takes too long.
func (a *advance) continueTask(c scope, n *Node, st v1alpha1.NodeStatus) {
	id := c.id(n.ID)
	k := len(st.Attempts) - 1
	if k < 0 {
		return
	}
	last := st.Attempts[k]
	o, seen := a.v.Observed[Attempt{id, k}]
	switch {
	case ended(last):
		a.nextAttempt(c, n, st)
		return
	case last.Lapsed || a.v.lapses():
		a.Aborts = append(a.Aborts, Abort{Attempt: Attempt{id, k}, phase: taskAborted, err: leaseEnds().err(), lapse: true})
		a.look(a.v.Now.Add(a.v.Policy.Aborting))
		return
	case a.overdue(n, last):
		a.Aborts = append(a.Aborts, Abort{Attempt: Attempt{id, k}, phase: taskRetryable,
			err: a.expired(n).err()})
		a.look(a.v.Now.Add(a.v.Policy.Aborting))
		return
	case seen && o.Failure != nil: // it will not end by itself
		phase := taskFailed
		if o.Failure.Retryable {
			phase = taskRetryable
		}
		a.Aborts = append(a.Aborts, Abort{Attempt: Attempt{id, k}, phase: phase, err: o.Failure.err()})
		a.look(a.v.Now.Add(a.v.Policy.Aborting))
		return
	case seen && o.Missing && a.v.MayStart && !a.v.Now.Before(a.again(last)):
		s := a.start(c, n, k, &st)
		s.Inputs, s.Resolved, s.again = Inputs{URI: st.InputURI}, true, true
		a.Starts = append(a.Starts, s)
	}
	if seen && o.Missing {
		a.look(latest(a.again(last), a.v.Now.Add(a.v.Policy.Restart)))
	}
	a.lookAfter(last, n)
}

func (a *advance) nextAttempt(c scope, n *Node, st v1alpha1.NodeStatus) {
	if !a.v.MayStart {
		a.Held++
		return
	}
	prior := clone(st)
	e := a.edit(c.id(n.ID))
	if last := e.Attempts[len(e.Attempts)-1]; last.Error != nil && last.Error.Kind == "SYSTEM" && !lapsed(last) {
		e.SystemFailures++
	}
	if e.Phase == nodeQueued {
		e.Phase = nodeRunning
		if e.StartedAt == nil {
			e.StartedAt = &a.now
		}
	}
	s := a.attempt(c, n, e)
	s.Inputs, s.Resolved, s.prior = Inputs{URI: e.InputURI}, true, &prior
	a.Starts = append(a.Starts, s)
}

// again is when to start an attempt anew of which nothing is to be found: the
// request was lost, or the cluster had no room.
func (a *advance) again(at v1alpha1.AttemptStatus) time.Time {
	return at.QueuedAt.Add(a.v.Policy.Restart)
}

func (a *advance) timeout(n *Node) time.Duration {
	if t := n.Spec.GetMetadata().GetTimeout(); t != nil && t.AsDuration() > 0 {
		return t.AsDuration()
	}
	if t := n.Task.GetMetadata().GetTimeout(); t != nil && t.AsDuration() > 0 {
		return t.AsDuration()
	}
	return a.v.Policy.Timeout
}

func (a *advance) overdue(n *Node, at v1alpha1.AttemptStatus) bool {
	limit := a.timeout(n)
	return limit > 0 && !a.v.Now.Before(at.QueuedAt.Add(limit))
}

// lookAfter asks to be called when something about an attempt is due even if
// nothing is heard of it.
func (a *advance) lookAfter(at v1alpha1.AttemptStatus, n *Node) {
	if limit := a.timeout(n); limit > 0 {
		a.look(at.QueuedAt.Add(limit))
	}
	if !a.v.StopAt.IsZero() {
		a.look(a.v.StopAt)
	}
	wait := a.v.Policy.Resync
	if at.Phase != taskRunning {
		wait = a.v.Policy.Unsettled
	}
	if wait > 0 {
		a.look(a.v.Now.Add(wait))
	}
}

func latest(x, y time.Time) time.Time {
	if x.After(y) {
		return x
	}
	return y
}
