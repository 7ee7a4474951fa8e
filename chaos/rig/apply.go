package rig

import (
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

// apply queues an assignment: those of one execution are applied in order, one
// at a time.
func (m *member) apply(a flow.Assignment) {
	if m.applying == nil {
		return
	}
	queue := append(m.applying[a.Execution], a)
	m.applying[a.Execution] = queue
	if len(queue) == 1 {
		m.applyNext(a.Execution)
	}
}

func (m *member) applyNext(id flow.ExecutionID) {
	queue := m.applying[id]
	if len(queue) == 0 {
		delete(m.applying, id)
		return
	}
	a, c := queue[0], m.conn
	next := func() {
		m.applying[id] = m.applying[id][1:]
		m.applyNext(id)
	}
	if !m.state.Newest(a.Execution, a.Revision) {
		next() // another one has come meanwhile
		return
	}
	done := false
	m.write(c, func() bool {
		if done = m.obeyOne(a); done {
			m.w.check.Applied(m.id.Cluster, a.Execution, a.Epoch, a.Revision)
		}
		return true
	}, func(ok bool) {
		switch {
		case !ok: // it comes again
		case done:
			if a.Desired == flow.DesiredGone {
				m.step(session.Finished{Execution: a.Execution, Epoch: a.Epoch, Revision: a.Revision})
			}
			c.up.send(session.AcksCame{Generation: m.state.Session().Generation,
				Acks: []flow.Ack{{Execution: a.Execution, Epoch: a.Epoch, Revision: a.Revision}}}, true)
		case m.state.Newest(a.Execution, a.Revision):
			m.draining[a.Execution] = a
			c.up.send(session.AcksCame{Generation: m.state.Session().Generation, Nacks: []flow.Nack{{
				Ack: flow.Ack{Execution: a.Execution, Epoch: a.Epoch, Revision: a.Revision}, Reason: "what it gives up has not ended yet"}}}, true)
		}
		next()
	})
}

// obeyOne makes the cluster want what the assignment wants; done is false for
// what has to drain first.
func (m *member) obeyOne(a flow.Assignment) (done bool) {
	c := m.cluster
	m.w.logf("%s: applies %s %s@%s, revision %d", m.name, a.Desired, a.Execution.Name, a.Epoch, a.Revision)
	if a.Desired == flow.DesiredGone {
		return m.release(a)
	}
	p := place{a.Execution, a.Epoch}
	o := c.find(p)
	if o == nil {
		c.create(p, a)
		return true
	}
	m.report.touch(p)
	if o.leaving && a.Desired == flow.DesiredAbort {
		o.leaving = false // a user's abort has overtaken the move: now it is told
		revision := max(a.Revision, o.revision+1)
		m.step(session.Retold{Execution: a.Execution, Epoch: a.Epoch, Revision: a.Revision, Spec: revision})
		m.report.again(p)
		o.want(a.Desired, revision)
	}
	if !o.ended() && (o.revision < a.Revision || o.desired != a.Desired) {
		o.want(a.Desired, a.Revision)
	}
	return true // a finished one is never run again: it is acked and reported
}

// release ends what is to leave: it is done when nothing of it is left running,
// and the control plane has had all that it came to by itself.
func (m *member) release(a flow.Assignment) (done bool) {
	done = true
	if p := (place{a.Execution, a.Epoch}); m.cluster.find(p) == nil {
		m.cluster.bury(p, a)
		return false
	}
	for _, o := range m.cluster.objects() {
		switch {
		case o.id != a.Execution || a.Epoch.Less(o.epoch):
		case o.ended() && (o.epoch != a.Epoch || m.report.told(o)):
		case o.ended():
			done = false
			m.report.touch(o.place)
		case o.desired == flow.DesiredAbort:
			done = false
		default:
			done = false
			o.leaving = true
			o.want(flow.DesiredAbort, a.Revision)
			m.w.check.Begun(m.id.Cluster, o.id, o.epoch, a.Revision)
		}
	}
	return done
}

// drained looks again at a release, of which an object has ended, or all of it
// was told.
func (m *member) drained(o *object) {
	if a, ok := m.draining[o.id]; ok && o.ended() {
		delete(m.draining, o.id)
		m.apply(a)
	}
}
