package model

// receive: an assignment arrives. Those of one session may overtake each other.
func (x *stepper) receive(i int) {
	m, o := &x.from.Members[i], x.o
	if m.Stream == closed || m.Stage != live && !(o.lacks(VerdictsBeforeAssignments) && m.Stage >= waiting) {
		return
	}
	for k := range uint8(epochs) {
		for want := run; want <= gone; want++ {
			if m.Assigned[k]>>want&1 == 0 {
				continue
			}
			x.takes(i, k+1, want)
		}
	}
}

// takes is one assignment, its duplicate, and its ack.
func (x *stepper) takes(i int, epoch, want uint8) {
	o, c := x.o, clusterOf[i]
	t := x.from
	t.Members[i].Assigned[epoch-1] &^= 1 << want
	label, acked := x.apply(&t, i, epoch, want)
	x.take(&t, label, true, "")
	if o.Duplicates {
		d := t
		d.Members[i].Assigned[epoch-1] |= 1 << want
		if d != x.from {
			label.Text += "; a duplicate stays under way"
			x.take(&d, label, false, "")
		}
	}
	due := t.Row.Owner == c && t.Row.Epoch == epoch && t.Row.Acked == 0
	if acked && due && o.acks() && t.Members[i].Stream == open {
		t.Row.Acked = 1
		x.take(&t, on(i, "{m}: applies run of {e}, and its ack is stored", epoch), true, "")
	}
}

// apply is federation/session's Assigned and federation/member's apply in one.
func (x *stepper) apply(t *State, i int, epoch, want uint8) (l Label, acked bool) {
	m, objects := &t.Members[i], &t.Clusters[clusterOf[i]].Objects
	l = on(i, [...]string{"{m}: receives run of {e}", "{m}: receives abort of {e}", "{m}: receives gone of {e}"}[want], epoch)
	if x.refuses(t, i, epoch, want) {
		l.Text += ": too old, ignored"
		return l, false
	}
	if !x.o.lacks(RememberRevisions) {
		m.Highest = max(m.Highest, revision(epoch, want)+1)
	}
	object := &objects[epoch-1]
	switch want {
	case run:
		m.Own = epoch
		if m.Granted == 1 {
			m.Covered = epoch
		}
		if *object == none {
			*object = fresh
			l.Text += ": makes the object"
		}
		return l, true
	case abort:
		m.Own, m.Covered = 0, 0
		if *object <= stopped {
			*object = aborted0
		}
	case gone:
		x.drain(t, i, epoch)
	}
	return l, false
}

// drain ends all that the cluster has of an execution up to an epoch, and acks.
func (x *stepper) drain(t *State, i int, epoch uint8) {
	m, objects := &t.Members[i], &t.Clusters[clusterOf[i]].Objects
	m.Own, m.Covered = 0, 0
	if !x.o.lacks(DrainBeforeAck) {
		for k := range objects[:epoch] {
			if living(objects[k]) {
				objects[k] = stopped
			}
		}
	}
	if objects[epoch-1] == none && x.o.Instances == 2 && !x.o.lacks(GoneLeavesATombstone) {
		objects[epoch-1] = stopped
	}
	if m.Stream == open && t.Row.Owner == clusterOf[i] && t.Row.Epoch == epoch && t.Row.Revoking == 1 {
		m.GoneAcks |= bit(epoch)
	}
}

// refuses says that an assignment is older than what the member knows.
func (x *stepper) refuses(t *State, i int, epoch, want uint8) bool {
	m := &t.Members[i]
	if revision(epoch, want)+1 < m.Highest {
		return true
	}
	// Assignments carry the ownership revision at which they were read: of an epoch
	// that was taken by force it was lower than after that.
	if !x.o.lacks(AssignmentsCarryOwnership) && taken(epoch) <= m.Revision {
		return true
	}
	if want == gone {
		return false
	}
	for k := int(epoch); k < epochs; k++ {
		if t.Clusters[clusterOf[i]].Objects[k] != none {
			return true
		}
	}
	return false
}

// report: the member sends what the control plane has not acked, and hangs up
// over an object that nobody has judged.
func (x *stepper) report(i int) {
	m, o, c := &x.from.Members[i], x.o, clusterOf[i]
	if m.Stream != open || m.Stage != live {
		return
	}
	for k, object := range x.from.Clusters[c].Objects {
		epoch := uint8(k + 1)
		kind, ok := eventOf(object)
		if o.Brief && ok && kind != begun {
			x.tell(i, epoch, kind)
			continue
		}
		if kind == begun && (!o.Events && !o.Forget || x.from.History.Accepted >= epoch) {
			ok = false
		}
		if ok && m.Events[k]>>kind&1 == 0 {
			t := x.from
			t.Members[i].Events[k] |= 1 << kind
			x.take(&t, on(i, "{m}: sends the event "+eventNames[kind]+" of {e}", epoch), true, "")
		}
	}
	x.appeared(i)
}

// tell sends an event and commits it in one step.
func (x *stepper) tell(i int, epoch, kind uint8) {
	if x.from.halted(x.o) {
		return
	}
	t := x.from
	_, broken := accept(x.o, &t, clusterOf[i], epoch, kind)
	ackEnd(&t, clusterOf[i], epoch)
	x.take(&t, on(i, "{m}: tells the hub "+eventNames[kind]+" of {e}, which commits it or refuses it, and acks", epoch), true, broken)
}

// eventOf is what an object has to tell.
func eventOf(object uint8) (kind uint8, ok bool) {
	switch object {
	case running:
		return begun, true
	case ended:
		return success, true
	case aborted0:
		return abortion, true
	}
	return 0, false
}

// appeared ends the session over an object that it has not judged: a write of a
// process that died has landed late.
func (x *stepper) appeared(i int) {
	m, c := &x.from.Members[i], clusterOf[i]
	for k, object := range x.from.Clusters[c].Objects {
		if living(object) && m.Own != uint8(k+1) && m.Highest == 0 && x.o.LateWrites {
			t := x.from
			endSession(x.o, &t.Members[i])
			x.take(&t, on(i, "{m}: an object of {e} has appeared that nobody has judged; ends the session", uint8(k+1)), true, "")
			return
		}
	}
}

// propel: the cluster's propellers start and finish work, late writes land, and
// old tombstones are collected.
func (x *stepper) propel(c uint8) {
	for k, object := range x.from.Clusters[c].Objects {
		epoch := uint8(k + 1)
		switch object {
		case none:
			if x.from.Clusters[c].Writes&bit(epoch) != 0 {
				t := x.from
				t.Clusters[c].Objects[k], t.Clusters[c].Writes = fresh, t.Clusters[c].Writes&^bit(epoch)
				x.take(&t, at(c, "{c}: a creation of {e} lands that outlived its process", epoch), true, "")
			}
		case fresh:
			if x.from.mayStart(x.o, c, epoch) {
				x.start(c, epoch)
			}
		case running:
			t := x.from
			t.Clusters[c].Objects[k] = ended
			t.History.Finished |= bit(epoch)
			x.take(&t, at(c, "{c}: the work of {e} finishes", epoch), true, "")
		case endedAcked, abortedAcked:
			if x.o.Collect && (x.old(c, k) || x.o.lacks(KeepTombstones)) {
				t := x.from
				t.Clusters[c].Objects[k] = none
				x.take(&t, at(c, "{c}: the tombstone of {e} is collected", epoch), false, "")
			}
		}
	}
}

// old says that a tombstone's time may be over: nothing lives that long on the
// road, and no backup that may still be restored is that old.
func (x *stepper) old(c uint8, k int) bool {
	for _, i := range x.o.members() {
		if clusterOf[i] == c && x.from.Members[i].Assigned[k] != 0 {
			return false
		}
	}
	b := x.from.Backup
	return b.Has == 0 && !x.o.Restore || b.Has == 1 && b.Row.terminal() || b.Stage == rebuilt && x.from.Row.terminal()
}

func (x *stepper) start(c, epoch uint8) {
	t := x.from
	t.Clusters[c].Objects[epoch-1] = running
	broken := ""
	if x.from.History.Finished&bit(epoch) != 0 {
		broken = "I29: what had finished is run again"
	}
	x.take(&t, at(c, "{c}: STARTS work of {e}", epoch), true, broken)
	if !x.o.Late {
		return
	}
	for _, i := range x.o.members() {
		if m := &x.from.Members[i]; clusterOf[i] == c && m.Age < x.o.Lease && m.Covered == epoch {
			t = x.from
			t.Members[i].Paused = 1
			x.take(&t, on(i, "{m}: may start work of {e}, and is paused before it does", epoch), false, broken)
		}
	}
}
