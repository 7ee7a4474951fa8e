package model

import (
	"fmt"
	"strings"
)

// Label says what a step does, for people: {m} is a member, {c} a cluster, {e} an
// epoch.
type Label struct {
	Text    string
	Member  int
	Cluster uint8
	Epoch   uint8
}

// String fills the label in.
func (l Label) String() string {
	return strings.NewReplacer(
		"{m}", [members]string{"A/1", "A/2", "B/1"}[l.Member],
		"{c}", [places + 1]string{"A", "B", "nobody"}[l.Cluster],
		"{e}", fmt.Sprintf("epoch %d", l.Epoch),
	).Replace(l.Text)
}

// stepper gives all successors of one state.
type stepper struct {
	o    *Options
	from State
	// take is handed each successor. heals says that the step needs no luck: it
	// may be counted on once faults have stopped. broken names a promise that the
	// step itself breaks.
	take func(to *State, l Label, heals bool, broken string)
}

func (x *stepper) all() {
	x.tick()
	for _, i := range x.o.members() {
		x.process(i)
		if x.from.Members[i].Down == 1 || x.from.Members[i].Paused == 1 {
			continue
		}
		x.stream(i)
		x.judge(i)
		x.obey(i)
		x.lease(i)
		x.assign(i)
		x.receive(i)
		x.report(i)
		x.ingest(i)
		x.release(i)
	}
	for c := range uint8(places) {
		x.propel(c)
	}
	x.lead()
	x.sketch()
	x.elect()
	x.user()
	x.operator()
	x.backup()
}

// on makes a label about a member and an epoch.
func on(member int, text string, epoch uint8) Label {
	return Label{Text: text, Member: member, Cluster: clusterOf[member], Epoch: epoch}
}

// at makes a label about a cluster and an epoch.
func at(cluster uint8, text string, epoch uint8) Label {
	return Label{Text: text, Cluster: cluster, Epoch: epoch}
}

// tick lets time pass for everybody. It heals only while all are well: what must
// happen may not hang on somebody's lapse.
func (x *stepper) tick() {
	t, o := x.from, x.o
	heals := true
	for _, i := range o.members() {
		m := &t.Members[i]
		well := m.Stream == open && m.Stage == live && m.Age+1 < o.Lease
		if !well && t.Clusters[clusterOf[i]].Lost != 1 && t.Backup.Stage != rebuild {
			heals = false
		}
		if m.Age < o.Lease {
			m.Age++
		}
		if m.Age == o.Lease {
			m.Covered = 0
			if m.Granted == 1 {
				endSession(o, m)
			}
		}
		if m.Asked == 1 && m.AskAge < o.Lease {
			m.AskAge++
		}
		if m.Quiet < o.Wait {
			m.Quiet++
		}
	}
	if o.Strict {
		killStrict(o, &t)
	}
	if t != x.from {
		x.take(&t, Label{Text: "a clock tick passes"}, heals, "")
	}
}

// killStrict ends running work of clusters no living process of which holds a
// lease any more; the object goes on once there is one.
func killStrict(o *Options, t *State) {
	if o.lacks(StrictKills) {
		return
	}
	for c := range uint8(places) {
		held, alive := false, false
		for _, i := range o.members() {
			m := &t.Members[i]
			if clusterOf[i] == c && m.Down == 0 {
				held, alive = held || m.Age < o.Lease, true
			}
		}
		if held || !alive {
			continue
		}
		for k, object := range t.Clusters[c].Objects {
			if object == running {
				t.Clusters[c].Objects[k] = fresh
			}
		}
	}
}
