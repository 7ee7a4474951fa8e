package assemble

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
	"google.golang.org/protobuf/types/known/durationpb"
)

// nudgeTimeout bounds calls that may be lost: a sweep makes up for them.
const nudgeTimeout = time.Second

// scheduling is what the leader does for the others.
type scheduling interface {
	Beat(ctx context.Context, hub string, beats []flow.Beat) ([]flow.Lease, error)
	Nudge()
}

// peers reaches the replicas of the control plane, this one without a network.
type peers struct {
	self      string
	leader    func() (id string, ok bool)
	scheduler scheduling
	wake      func(clusters []string)
	beat      func()
	others    *phonebook
	pending   sync.WaitGroup
}

// close waits for calls under way and drops the connections.
func (p *peers) close() {
	p.pending.Wait()
	p.others.close()
}

// conn is the connection to another replica.
func (p *peers) conn(id string) (grpc.ClientConnInterface, bool) {
	l := p.others.line(id)
	return l, l != nil
}

// Beat asks the leader for what a hub's members need. It satisfies hub.Leases.
func (p *peers) Beat(ctx context.Context, hub string, beats []flow.Beat) ([]flow.Lease, error) {
	id, ok := p.leader()
	if !ok {
		return p.beatAny(ctx, hub, beats)
	}
	if id == p.self {
		return p.scheduler.Beat(ctx, hub, beats)
	}
	return p.beatAt(ctx, id, hub, beats)
}

// beatAny asks one replica after the other: one whose raft log cannot be
// written knows of no leader, and its members are not to lose their leases.
func (p *peers) beatAny(ctx context.Context, hub string, beats []flow.Beat) ([]flow.Lease, error) {
	err := fault.E(fault.Unavailable, "no replica leads at the moment")
	for _, id := range p.others.ids() {
		var leases []flow.Lease
		if leases, err = p.beatAt(ctx, id, hub, beats); err == nil {
			return leases, nil
		}
	}
	return nil, err
}

func (p *peers) beatAt(ctx context.Context, id, hub string, beats []flow.Beat) ([]flow.Lease, error) {
	client, err := p.client(id)
	if err != nil {
		return nil, err
	}
	answer, err := client.Beat(ctx, beatTo(hub, beats))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "ask the leader %s", id)
	}
	leases := make([]flow.Lease, 0, len(answer.GetLeases()))
	for _, l := range answer.GetLeases() {
		leases = append(leases, codec.LeaseFrom(l.GetLease(), senderFrom(l.GetMember())))
	}
	return leases, nil
}

// Nudge tells the leader that work waits. It never blocks and may be lost.
func (p *peers) Nudge() {
	id, ok := p.leader()
	switch {
	case !ok:
	case id == p.self:
		p.scheduler.Nudge()
	default:
		p.send(id, func(ctx context.Context, c skeinv1.PeerServiceClient) error {
			_, err := c.Nudge(ctx, &skeinv1.NudgeRequest{})
			return err
		})
	}
}

// Wake tells every hub that rows of these clusters wait. It never blocks and
// may be lost.
func (p *peers) Wake(clusters []string) {
	p.wake(clusters)
	for _, id := range p.others.ids() {
		p.send(id, func(ctx context.Context, c skeinv1.PeerServiceClient) error {
			_, err := c.Wake(ctx, &skeinv1.WakeRequest{Clusters: clusters})
			return err
		})
	}
}

// Begun tells every hub that this replica's term has begun, so that what their
// members say is known within moments. It never blocks and may be lost.
func (p *peers) Begun() {
	p.beat()
	for _, id := range p.others.ids() {
		p.send(id, func(ctx context.Context, c skeinv1.PeerServiceClient) error {
			_, err := c.Wake(ctx, &skeinv1.WakeRequest{Beat: true}, grpc.WaitForReady(true))
			return err
		})
	}
}

// client calls another replica.
func (p *peers) client(id string) (skeinv1.PeerServiceClient, error) {
	l := p.others.line(id)
	if l == nil {
		return nil, fault.E(fault.Unavailable, "nobody knows where replica %q is reached: it has not announced itself in the database, and peers of %s does not list it", id, p.self)
	}
	return skeinv1.NewPeerServiceClient(l), nil
}

// send makes one call whose failure costs only time.
func (p *peers) send(id string, call func(context.Context, skeinv1.PeerServiceClient) error) {
	client, err := p.client(id)
	if err != nil {
		return
	}
	p.pending.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), nudgeTimeout)
		defer cancel()
		_ = call(ctx, client) // lost on purpose: the sweep makes up for it
	})
}

func beatTo(hub string, beats []flow.Beat) *skeinv1.BeatRequest {
	out := &skeinv1.BeatRequest{Hub: hub}
	for _, b := range beats {
		m := &skeinv1.MemberBeat{Member: memberRef(b.Sender), Age: durationpb.New(b.Age)}
		if b.Lease != nil {
			m.LeaseRequest = codec.LeaseRequestTo(*b.Lease)
		}
		out.Members = append(out.Members, m)
	}
	return out
}

func beatsFrom(request *skeinv1.BeatRequest) []flow.Beat {
	beats := make([]flow.Beat, 0, len(request.GetMembers()))
	for _, m := range request.GetMembers() {
		b := flow.Beat{Sender: senderFrom(m.GetMember()), Age: m.GetAge().AsDuration()}
		if m.GetLeaseRequest() != nil {
			r := codec.LeaseRequestFrom(m.GetLeaseRequest(), b.Sender)
			b.Lease = &r
		}
		beats = append(beats, b)
	}
	return beats
}

func memberRef(s flow.Sender) *skeinv1.MemberRef {
	return &skeinv1.MemberRef{Cluster: s.Cluster, Instance: s.Instance, Generation: s.Generation, Incarnation: s.Incarnation}
}

func senderFrom(m *skeinv1.MemberRef) flow.Sender {
	return flow.Sender{Member: flow.Member{Cluster: m.GetCluster(), Instance: m.GetInstance()},
		Generation: m.GetGeneration(), Incarnation: m.GetIncarnation()}
}
