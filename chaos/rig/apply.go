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
			c.up.send(session.AcksCame{Generation: m.state.Session().Generation,
				Acks: []flow.Ack{{Execution: a.Execution, Epoch: a.Epoch, Revision: a.Revision}}}, true)
		case m.state.Newest(a.Execution, a.Revision):
			m.draining[a.Execution] = a
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
		done = true
		for _, o := range c.objects() {
			if o.id == a.Execution && !a.Epoch.Less(o.epoch) && !o.ended() {
				done = false
				o.want(flow.DesiredAbort, a.Revision)
			}
		}
		return done
	}
	p := place{a.Execution, a.Epoch}
	o := c.find(p)
	if o == nil {
		c.create(p, a)
		return true
	}
	m.report.touch(p)
	if !o.ended() && (o.revision < a.Revision || o.desired != a.Desired) {
		o.want(a.Desired, a.Revision)
	}
	return true // a finished one is never run again: it is acked and reported
}
