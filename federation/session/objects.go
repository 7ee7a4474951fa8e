package session

import (
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Inputs of a member, of what became of its objects.
type (
	// Finished: the control plane has all of what ended here, as of that revision.
	// It is forgotten, so that a long session does not grow; its tombstone still
	// refuses to run again.
	Finished struct {
		Execution flow.ExecutionID
		Epoch     flow.Epoch
		Revision  uint64
	}
	// Retold: by the revision that was assigned, what has left by a planned move is
	// to be told as aborted. Spec is the revision of the object that says so:
	// whoever finished with an older one comes too late to have it forgotten.
	Retold struct {
		Execution flow.ExecutionID
		Epoch     flow.Epoch
		Revision  uint64
		Spec      uint64
	}
	// Appeared: there is an object that is not this session's, and is in neither
	// its inventory nor its assignments: a write of an older session has landed
	// late. Nobody has judged it yet.
	Appeared struct {
		Execution flow.ExecutionID
		Epoch     flow.Epoch
	}
	// Vanished: an object was deleted of whose end the control plane may not know,
	// or has another one in its place.
	Vanished struct {
		Execution flow.ExecutionID
		Epoch     flow.Epoch
	}
)

func (in Finished) member(m Member, _ time.Duration) (Member, []MemberOutput) {
	if c, ok := m.own[in.Execution]; ok && c.epoch == in.Epoch && c.retold <= in.Revision {
		delete(m.own, in.Execution)
		delete(m.lease.covered, in.Execution)
		delete(m.pins, in.Execution)
	}
	return m, nil
}

func (in Retold) member(m Member, _ time.Duration) (Member, []MemberOutput) {
	if m.Newest(in.Execution, in.Revision) && m.epochs[in.Execution] == in.Epoch {
		m.own[in.Execution] = confirmed{epoch: in.Epoch, retold: in.Spec}
	}
	return m, nil
}

func (in Appeared) member(m Member, _ time.Duration) (Member, []MemberOutput) {
	if m.stage != Live || m.Judged(in.Execution, in.Epoch) {
		return m, nil
	}
	return m.end("an object of %s, epoch %s, has appeared that nobody has judged", in.Execution, in.Epoch)
}

func (in Vanished) member(m Member, _ time.Duration) (Member, []MemberOutput) {
	m.uncover(in.Execution, in.Epoch)
	switch {
	case m.stage == Live && m.Reports(in.Execution, in.Epoch), // the next verdicts tell what becomes of it
		// Another instance of this cluster has made it in this session's time. An
		// assignment of it that is still under way to this one would make it again,
		// though it may have ended: it dies with the session.
		m.stage == Live && !m.Judged(in.Execution, in.Epoch),
		m.stage == Listing || m.stage == Waiting: // the inventory may be wrong
		return m.end("the object of %s, epoch %s, was deleted", in.Execution, in.Epoch)
	}
	return m, nil
}

// uncover takes what was deleted from under the lease: a write that is still
// under way may make it again, and what is there then is to be judged first.
func (m *Member) uncover(id flow.ExecutionID, epoch flow.Epoch) {
	if e, ok := m.lease.covered[id]; ok && e == epoch {
		delete(m.lease.covered, id)
	}
	if e, ok := m.pins[id]; ok && e == epoch {
		delete(m.pins, id)
	}
}
