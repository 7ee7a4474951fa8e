package model

// endSession is the member's end of a session: what its lease covers stays, all
// that the session confirmed is forgotten, and messages down die with it.
func endSession(o *Options, m *Member) {
	m.Stream, m.Stage, m.Granted, m.Own, m.Revision, m.Highest = closed, idle, 0, 0, 0, 0
	m.Asked, m.AskAge, m.GrantRevision = 0, 0, 0
	m.Inventory, m.Known, m.Keep, m.Report, m.JudgeRevision = 0, 0, 0, 0, 0
	if !o.lacks(OnlyTheNewestSession) {
		m.Assigned = [epochs]uint8{}
	}
}

// silence is what becomes of messages up when a stream ends and they are lost.
func silence(m *Member) {
	m.GoneAcks, m.Events = 0, [epochs]uint8{}
}

// process: it restarts, dies, starts, loses the cluster's objects, or wakes up.
func (x *stepper) process(i int) {
	m, o, c := &x.from.Members[i], x.o, clusterOf[i]
	if m.Down == 1 {
		if x.from.Clusters[c].Lost != 1 {
			t := x.from
			t.Members[i].Down = 0
			x.take(&t, on(i, "{m}: its process starts", 0), true, "")
		}
		return
	}
	if m.Paused == 1 {
		t := x.from
		t.Members[i].Paused = 0
		for k, object := range t.Clusters[c].Objects {
			if object == fresh {
				t.Clusters[c].Objects[k] = running
			}
		}
		x.take(&t, on(i, "{m}: wakes up and makes the one start that was under way", 0), true, "")
		return
	}
	x.restart(i)
	if o.Forget && x.from.History.Forgot == 0 {
		x.forget(i)
	}
}

// forget: a cluster loses its objects, and one process of it restarts. The others
// see that by their watches, and what they had been told dies with their sessions;
// a creation that is under way may land after the next one's inventory.
func (x *stepper) forget(i int) {
	o, c := x.o, clusterOf[i]
	t := x.from
	t.History.Forgot = 1
	kill(o, &t, i)
	t.Clusters[c].Objects, t.Members[i].Events = [epochs]uint8{}, [epochs]uint8{}
	t.History.Finished = 0
	late := uint8(0)
	for _, j := range o.members() {
		m := &t.Members[j]
		if j == i || clusterOf[j] != c || o.lacks(DeletionEndsSessions) {
			continue
		}
		for k := range m.Assigned {
			if o.LateWrites && m.Stage == live && m.Assigned[k]>>run&1 == 1 && revision(uint8(k+1), run)+1 >= m.Highest {
				late |= bit(uint8(k + 1))
			}
		}
		endSession(o, m)
		m.Covered = 0
	}
	x.take(&t, on(i, "{m}: its cluster loses all objects, the process restarts", 0), false, "")
	if late != 0 {
		t.Clusters[c].Writes |= late
		x.take(&t, on(i, "{m}: its cluster loses all objects, the process restarts; a creation of the other one is under way", 0), false, "")
	}
}

// kill ends a process: nothing of it survives but what it has sent.
func kill(o *Options, t *State, i int) {
	m := &t.Members[i]
	endSession(o, m)
	m.Age, m.Covered, m.Paused = o.Lease, 0, 0
	m.Assigned = [epochs]uint8{}
}

func (x *stepper) restart(i int) {
	m, c := &x.from.Members[i], clusterOf[i]
	t := x.from
	kill(x.o, &t, i)
	if x.o.Crash {
		d := t
		d.Members[i].Down = 1
		x.take(&d, on(i, "{m}: its process dies (objects and pods stay)", 0), false, "")
	}
	if t != x.from {
		x.take(&t, on(i, "{m}: its process restarts (objects and pods stay)", 0), false, "")
	}
	for k := range m.Assigned {
		epoch := uint8(k + 1)
		wanted := m.Assigned[k]>>run&1 == 1 && x.from.Clusters[c].Objects[k] == none
		if x.o.LateWrites && m.Stage == live && wanted && revision(epoch, run)+1 >= m.Highest {
			w := t
			w.Clusters[c].Writes |= bit(epoch)
			x.take(&w, on(i, "{m}: takes run of {e}, sends the creation, and its process restarts", epoch), false, "")
		}
	}
}

// stream: it opens, breaks, loses its hub, or is found dead.
func (x *stepper) stream(i int) {
	m, o, c := &x.from.Members[i], x.o, clusterOf[i]
	switch m.Stream {
	case closed:
		if x.from.Clusters[c].Lost == 1 {
			return
		}
		t := x.from
		openSession(o, &t, i)
		x.take(&t, on(i, "{m}: opens a session, sends its inventory", 0), true, "")
	case open:
		t := x.from
		endSession(o, &t.Members[i])
		x.take(&t, on(i, "{m}: its stream breaks; what it sent arrives late", 0), false, "")
		silence(&t.Members[i])
		x.take(&t, on(i, "{m}: its stream breaks; what was under way is lost", 0), false, "")
		if o.HubCrash {
			t = x.from
			t.Members[i].Stream = halfOpen
			x.take(&t, on(i, "{m}: its hub dies, its stream stays half-open; what it sent arrives late", 0), false, "")
			silence(&t.Members[i])
			x.take(&t, on(i, "{m}: its hub dies, its stream stays half-open; what it sent is lost", 0), false, "")
		}
	case halfOpen:
		t := x.from
		endSession(o, &t.Members[i])
		x.take(&t, on(i, "{m}: finds its hub silent, hangs up", 0), true, "")
	}
}

// openSession raises the generation: all of older sessions is refused from now on.
func openSession(o *Options, t *State, i int) {
	m, c := &t.Members[i], clusterOf[i]
	m.Stream = open
	silence(m)
	if o.lacks(ResyncEachSession) {
		m.Stage, m.Revision = live, t.Clusters[c].Ownership
		for k, object := range t.Clusters[c].Objects {
			if living(object) {
				m.Own = uint8(k + 1)
			}
		}
		return
	}
	m.Stage, m.Inventory = waiting, 0
	if t.Row.Owner == c && t.Row.Acked == 1 {
		m.Known = t.Row.Epoch
	}
	for k, object := range t.Clusters[c].Objects {
		if object != none {
			m.Inventory |= bit(uint8(k + 1))
		}
	}
}

// obey: the member takes its verdicts, and hangs up when it finds an object that
// nobody has judged.
func (x *stepper) obey(i int) {
	m, o, c := &x.from.Members[i], x.o, clusterOf[i]
	if m.Stage != verdicts {
		return
	}
	t := x.from
	n := &t.Members[i]
	n.Stage, n.Revision, n.Own = live, m.JudgeRevision, m.Keep
	if n.Covered != n.Own {
		n.Covered = 0
	}
	for k := range t.Clusters[c].Objects {
		object, epoch := &t.Clusters[c].Objects[k], uint8(k+1)
		switch {
		case m.Inventory&bit(epoch) == 0 || epoch == m.Keep:
		case living(*object):
			*object = stopped
			if !o.lacks(RememberRevisions) {
				n.Highest = max(n.Highest, revision(epoch, abort))
			}
		}
		if m.Report == epoch {
			reportAgain(object)
		}
	}
	n.Known, n.Keep, n.Report, n.JudgeRevision = 0, 0, 0, 0
	if !o.lacks(CloseSessionsAtRebuild) {
		n.Inventory = 0
	}
	x.take(&t, on(i, "{m}: receives its verdicts (keep, stop, report)", 0), true, "")
}

// reportAgain makes a tombstone tell its end once more.
func reportAgain(object *uint8) {
	switch *object {
	case endedAcked:
		*object = ended
	case abortedAcked, stopped:
		*object = aborted0
	}
}

// lease: request and record in one step, and the grant's arrival in another.
func (x *stepper) lease(i int) {
	m := &x.from.Members[i]
	if m.Stream == open && m.Stage == live && x.grants(i) {
		t := x.from
		n := &t.Members[i]
		n.Asked, n.AskAge, n.GrantRevision = 1, 0, t.Clusters[clusterOf[i]].Ownership
		label := "{m}: asks for a lease, the leader records the grant, which is now under way"
		if x.o.lacks(RecordBeforeGrant) {
			label = "{m}: asks for a lease, the leader sends the grant, and its record never commits"
		} else {
			n.Quiet = 0
			x.guard(&t, i)
		}
		x.take(&t, on(i, label, 0), true, "")
	}
	if m.Asked == 1 {
		x.granted(i)
	}
}

// grants says whether a lease may be asked for and recorded now.
func (x *stepper) grants(i int) bool {
	m, s := &x.from.Members[i], &x.from
	if s.frozen(x.o) || s.Clusters[clusterOf[i]].Lost == 1 {
		return false
	}
	if m.Asked == 1 {
		return m.AskAge >= 1
	}
	return m.Age > 0 || m.Granted == 0
}

// guard undoes decisions against a cluster, one of whose lease rows has changed
// since: their transaction would read it again and abort.
func (x *stepper) guard(t *State, i int) {
	if t.Row.Owner != clusterOf[i] || x.o.lacks(ReadLeaseRowsAgain) {
		return
	}
	if x.o.lacks(GuardEveryInstance) && i == 1 {
		return
	}
	t.Row.Decided, t.Row.DecidedByOld = 0, 0
}

func (x *stepper) granted(i int) {
	o := x.o
	t := x.from
	m := &t.Members[i]
	m.Asked = 0
	age, revision := m.AskAge, m.GrantRevision
	m.AskAge, m.GrantRevision = 0, 0
	switch {
	case m.Stage != live:
		return
	case revision != m.Revision && !o.lacks(CompareOwnership) && !o.lacks(ResyncEachSession):
		m.Age, m.Covered = o.Lease, 0
		endSession(o, m)
		x.take(&t, on(i, "{m}: the grant has another ownership revision; drops its lease, ends the session", 0), true, "")
		return
	case o.lacks(CountFromSending):
		m.Age, m.Granted, m.Covered = 0, 1, m.Own
	case age < o.Lease:
		m.Age, m.Granted, m.Covered = age, 1, m.Own
	}
	x.take(&t, on(i, "{m}: receives the grant; its lease counts from sending", 0), true, "")
}
