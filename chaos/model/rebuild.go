package model

// backup takes a copy of the database, restores it, notices, and rebuilds.
func (x *stepper) backup() {
	if !x.o.Restore {
		return
	}
	b := x.from.Backup
	switch {
	case b.Has == 0:
		t := x.from
		t.Backup.Has, t.Backup.Row = 1, t.Row
		t.Backup.Row.Decided, t.Backup.Row.DecidedByOld = 0, 0
		for c := range t.Clusters {
			t.Backup.Ownership[c] = t.Clusters[c].Ownership
		}
		x.take(&t, Label{Text: "database: a backup is taken"}, false, "")
	case b.Stage == never:
		x.restore()
	case b.Stage == restored && !x.o.lacks(RememberTheFence):
		t := x.from
		enterRebuild(x.o, &t)
		x.take(&t, Label{Text: "leader: the database's fence is below the replicated one: REBUILD"}, true, "")
	case b.Stage == rebuild:
		for _, i := range x.o.members() {
			x.reports(i)
		}
		x.endRebuild()
	}
}

func (x *stepper) restore() {
	t := x.from
	b := &t.Backup
	t.Row = b.Row
	for c := range t.Clusters {
		t.Clusters[c].Ownership = b.Ownership[c]
	}
	*b = Backup{Has: 1, Stage: restored}
	t.History.Accepted = 0
	for _, i := range x.o.members() {
		t.Members[i].Quiet = 0
	}
	x.take(&t, Label{Text: "database: RESTORED from the backup, a new leader wins"}, false, "")
}

// enterRebuild closes all sessions. A member finds out when its stream ends.
func enterRebuild(o *Options, t *State) {
	t.Backup.Stage, t.Backup.Reported = rebuild, 0
	t.Row.Decided = 0
	for _, i := range o.members() {
		m := &t.Members[i]
		m.Quiet = 0
		if o.JoinedLate && clusterOf[i] == 0 || t.Clusters[clusterOf[i]].Lost == 1 {
			t.Backup.Reported |= 1 << i // not known, or not waited for
		}
		if !o.lacks(CloseSessionsAtRebuild) {
			endSession(o, m)
			silence(m)
		}
	}
}

// reports: REBUILD takes a member's inventory. Reported holders are kept; of two
// the higher epoch wins.
func (x *stepper) reports(i int) {
	m, c := &x.from.Members[i], clusterOf[i]
	asked := m.Stage == waiting || m.Stage == live && x.o.lacks(CloseSessionsAtRebuild)
	if m.Stream != open || !asked || x.from.Backup.Reported>>i&1 == 1 {
		return
	}
	t := x.from
	t.Backup.Reported |= 1 << i
	row := &t.Row
	for k, object := range t.Clusters[c].Objects {
		epoch := uint8(k + 1)
		holds := m.Inventory&bit(epoch) != 0 && object != none && object != stopped
		if holds && epoch >= row.Epoch && (epoch > row.Epoch || row.Owner == c || row.Phase == queued) {
			row.Epoch, row.Owner, row.Revoking = epoch, c, 0
			if row.Phase == queued {
				row.Phase = placed
			}
		}
	}
	x.take(&t, on(i, "hub: REBUILD takes the report of {m}", 0), true, "")
}

// endRebuild raises the era, once every registered member has reported, and no
// lease of the forgotten past can be out.
func (x *stepper) endRebuild() {
	t := x.from
	for _, i := range x.o.members() {
		if t.Backup.Reported>>i&1 == 0 && !x.o.Override {
			return
		}
		if t.Members[i].Quiet < x.o.Wait && !x.o.lacks(RebuildWaitsForLeases) {
			return
		}
	}
	t.Backup.Stage, t.Backup.Reported = rebuilt, 0
	for _, i := range x.o.members() {
		t.Members[i].Quiet = 0
	}
	x.take(&t, Label{Text: "REBUILD ends: the era rises"}, true, "")
}
