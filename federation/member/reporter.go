package member

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
	"github.com/skein-project/skein/federation/session"
)

// Bounds of a batch. What of one FlyteWorkflow fits into a batch goes in one,
// whole: the database then has all of it up to a sequence, or none.
const (
	batchEvents = 500
	batchBytes  = 1 << 20
	// backlogBytes bounds what was made of objects and not sent; the object that
	// passes it is still taken whole.
	backlogBytes = 16 << 20
)

// place is one placement of an execution.
type place struct {
	id    flow.ExecutionID
	epoch flow.Epoch
}

// parcel is what is to be sent of one FlyteWorkflow as of a status sequence.
type parcel struct {
	place    place
	sequence uint64
	revision uint64 // of the spec that was read
	events   []flow.Event
	bytes    int // of all events
	terminal bool
}

// account is what is known of one placement in this session.
type account struct {
	acked   uint64
	claimed uint64 // acked by the hub's word; not yet believed
	unsure  bool   // claimed was not looked at
	flying  bool   // a parcel of it is under way
	dirty   bool   // it changed meanwhile
	wants   uint64 // revision of the spec that has to be read, or a newer one
}

// batch is what was sent and not acked.
type batch struct {
	events  int
	parcels []parcel // whose last event is in it
}

// reporter sends what the status of FlyteWorkflows says, until it is acked.
type reporter struct {
	m    *Member
	wake chan struct{}

	mu         sync.Mutex
	generation uint64 // of the session that had its verdicts; zero: send nothing
	accounts   map[place]*account
	dirty      map[place]bool
	backlog    []parcel
	next       uint64
	batches    map[uint64]batch
	marks      []parcel // tombstones whose last event was acked
}

func newReporter(m *Member) *reporter {
	r := &reporter{m: m, wake: make(chan struct{}, 1)}
	r.reset(0, nil)
	return r
}

// reset begins anew for a session that had its verdicts: what was sent and not
// acked is sent again. With generation zero it stops sending until the next.
func (r *reporter) reset(generation uint64, keep []flow.Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.generation = generation
	r.accounts, r.dirty = map[place]*account{}, map[place]bool{}
	r.backlog, r.batches, r.marks = nil, map[uint64]batch{}, nil
	for _, v := range keep {
		p := place{v.Execution, v.Epoch}
		r.accounts[p] = &account{claimed: v.Acked, unsure: v.Acked > 0}
	}
}

// touch says that a FlyteWorkflow may have news.
func (r *reporter) touch(id flow.ExecutionID, e flow.Epoch) {
	r.mu.Lock()
	r.dirty[place{id, e}] = true
	r.mu.Unlock()
	r.poke()
}

func (r *reporter) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// again makes all of a placement be told once more, as of a revision of its
// spec: with it, something is to be told that was not before.
func (r *reporter) again(p place, revision uint64) {
	r.mu.Lock()
	a := r.accounts[p]
	if a == nil {
		a = &account{}
		r.accounts[p] = a
	}
	a.acked, a.unsure, a.wants = 0, false, revision
	r.dirty[p] = true
	r.mu.Unlock()
	r.poke()
}

// run sends for one session.
func (r *reporter) run(ctx context.Context, l *link) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.wake:
		}
		if r.gather(ctx) {
			r.poke() // there is more than one round takes
		}
		for {
			msg := r.pack()
			if msg == nil {
				break
			}
			select {
			case l.bulk <- msg: // room for the whole credit
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		r.mark(ctx)
	}
}

// gather turns what is dirty into parcels. more says that some was left for a
// next round at once: nothing else may ever wake the reporter for it.
func (r *reporter) gather(ctx context.Context) (more bool) {
	list, more := r.due()
	for _, p := range list {
		if r.full(p) {
			more = false // acks make room, and wake
			continue
		}
		r.m.mu.Lock()
		mine := r.m.state.Reports(p.id, p.epoch)
		r.m.mu.Unlock()
		var fw v1alpha1.FlyteWorkflow
		err := r.m.o.Client.Get(ctx, Name(p.id, p.epoch), &fw)
		switch {
		case err != nil && !apierrors.IsNotFound(err):
			r.m.log.Warn("a FlyteWorkflow was not read; it is read with the next change", "execution", p.id.String(), "error", err)
			r.mu.Lock()
			r.dirty[p] = true
			r.mu.Unlock()
			more = false // the next change wakes, or the next sweep
		case err == nil && mine:
			if r.renewed(p, &fw) {
				r.m.step(session.Vanished{Execution: p.id, Epoch: p.epoch})
				continue
			}
			r.add(p, &fw)
		case err == nil:
			r.m.stopUnowned(ctx, &fw)
		}
	}
	return more
}

// due takes the dirty placements that are not under way, while there is room;
// more says that it was not the backlog that took the room.
func (r *reporter) due() (list []place, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.dirty {
		if r.generation == 0 || r.waiting() >= backlogBytes {
			break
		}
		if len(r.backlog)+len(list) >= batchEvents {
			// The rest waits for acks, and is coalesced meanwhile; unless nothing
			// of the list turns out to have news, and no ack will come.
			more = len(list) > 0
			break
		}
		delete(r.dirty, p)
		if a := r.accounts[p]; a != nil && a.flying {
			a.dirty = true
			continue
		}
		list = append(list, p)
	}
	return list, more
}

// full reports whether the backlog has no room; the placement then waits.
func (r *reporter) full(p place) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting() < backlogBytes {
		return false
	}
	r.dirty[p] = true
	return true
}

// waiting is the size of the backlog; r.mu is held.
func (r *reporter) waiting() (bytes int) {
	for i := range r.backlog {
		bytes += r.backlog[i].bytes
	}
	return bytes
}

// renewed reports whether a FlyteWorkflow has ended below what the control plane
// has of it: it is not the one that told that. That one was deleted, and this one
// made of an assignment that came again. What it says would pass for known, and
// its end would never be told; so verdicts have to be taken on it.
func (r *reporter) renewed(p place, fw *v1alpha1.FlyteWorkflow) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.accounts[p]
	return a != nil && ended(fw) && uint64(fw.Status.Sequence) < max(a.acked, a.claimed)
}

// told reports whether the control plane has all that a FlyteWorkflow which has
// ended came to. The mark alone does not say so: it may be older than a restored
// backup, whose verdicts ask for all of it again.
func (r *reporter) told(fw *v1alpha1.FlyteWorkflow) bool {
	if fw.Annotations[v1alpha1.AnnotationAcked] == "" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.accounts[place{executionOf(fw), epochOf(fw)}]
	switch {
	case a == nil:
		return true
	case a.unsure:
		return a.claimed >= uint64(fw.Status.Sequence)
	}
	return a.acked >= uint64(fw.Status.Sequence)
}

// add makes the parcel of one FlyteWorkflow.
func (r *reporter) add(p place, fw *v1alpha1.FlyteWorkflow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.accounts[p]
	if a == nil {
		a = &account{}
		r.accounts[p] = a
	}
	if uint64(fw.Spec.Revision) < a.wants {
		return // the cache is behind; it tells when it is not
	}
	if a.unsure {
		a.unsure = false
		if all, err := Events(fw, 0); err == nil && fits(all) {
			a.acked = a.claimed
		} // else it went in several batches, and the claim may be of the first
	}
	unmarked := ended(fw) && fw.Annotations[v1alpha1.AnnotationAcked] == ""
	if uint64(fw.Status.Sequence) <= a.acked {
		if unmarked { // it was acked, and the mark failed or was never made
			r.marks = append(r.marks, parcel{place: p, sequence: a.acked, revision: uint64(fw.Spec.Revision)})
		}
		return
	}
	events, err := Events(fw, a.acked)
	if err != nil {
		r.m.log.Error("a FlyteWorkflow's status cannot be reported", "execution", p.id.String(), "error", err)
		return
	}
	c := parcel{
		place: p, sequence: uint64(fw.Status.Sequence), revision: uint64(fw.Spec.Revision),
		events: events, bytes: size(events...), terminal: ended(fw),
	}
	if len(events) == 0 {
		a.acked = c.sequence
		if c.terminal {
			r.marks = append(r.marks, c)
		}
		return
	}
	a.flying = true
	r.backlog = append(r.backlog, c)
}

func fits(events []flow.Event) bool {
	return len(events) <= batchEvents && size(events...) <= batchBytes
}

// size is what events take in a message, within a few bytes.
func size(events ...flow.Event) (bytes int) {
	for _, e := range events {
		bytes += proto.Size(codec.EventTo(e)) + 4
	}
	return bytes
}

// pack makes a batch of the backlog, while the credit lasts. Parcels that fit
// into a batch are never split.
func (r *reporter) pack() *skeinv1.ConnectRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.generation == 0 || len(r.batches) >= session.Credit || len(r.backlog) == 0 {
		return nil
	}
	var events []flow.Event
	var b batch
	bytes := 0
	for len(r.backlog) > 0 {
		c := &r.backlog[0]
		if len(events) > 0 && (len(events)+len(c.events) > batchEvents || bytes+c.bytes > batchBytes) {
			break
		}
		n := 0
		for n < len(c.events) && len(events) < batchEvents && (bytes == 0 || bytes+size(c.events[n]) <= batchBytes) {
			bytes += size(c.events[n])
			events = append(events, c.events[n])
			n++
		}
		c.events = c.events[n:]
		c.bytes = size(c.events...)
		if len(c.events) > 0 {
			break
		}
		b.parcels = append(b.parcels, *c)
		r.backlog = r.backlog[1:]
	}
	r.next++
	b.events = len(events)
	r.batches[r.next] = b
	return &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Events{Events: &skeinv1.EventBatch{
		Generation: r.generation, Batch: r.next, Events: codec.EventsTo(events),
	}}}
}

// acked takes in that a batch was committed.
func (r *reporter) acked(ack *skeinv1.EventAck) {
	r.mu.Lock()
	b, ok := r.batches[ack.GetBatch()]
	if !ok {
		r.mu.Unlock()
		return
	}
	delete(r.batches, ack.GetBatch())
	for _, c := range b.parcels {
		a := r.accounts[c.place]
		if a == nil {
			continue
		}
		a.flying = false
		if c.revision < a.wants {
			a.dirty = true // what went was not all of it
		} else {
			a.acked = c.sequence
		}
		if a.dirty {
			a.dirty = false
			r.dirty[c.place] = true
		}
		if c.terminal && c.revision >= a.wants {
			r.marks = append(r.marks, c)
		}
	}
	r.mu.Unlock()
	refused := len(ack.GetRefused())
	r.m.metrics.events.WithLabelValues("accepted").Add(float64(b.events - refused))
	r.m.metrics.events.WithLabelValues("refused").Add(float64(refused))
	for _, f := range ack.GetRefused() {
		r.m.log.Debug("an event was refused", "batch", ack.GetBatch(), "index", f.GetIndex(), "reason", f.GetReason())
	}
	r.poke()
}
