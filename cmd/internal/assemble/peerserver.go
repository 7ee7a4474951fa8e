package assemble

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/backoff"

	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
	"github.com/skein-project/skein/federation/hub"
	"github.com/skein-project/skein/federation/join"
)

// peerBackoff keeps a replica that came back from being waited for long.
var peerBackoff = backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}

const logChunk = 32 << 10 // bytes in one message of a log

// peerServer answers the other replicas.
type peerServer struct {
	skeinv1.UnimplementedPeerServiceServer
	scheduler scheduling
	hub       *hub.Hub
}

// Beat records leases for another replica's members.
func (p peerServer) Beat(ctx context.Context, request *skeinv1.BeatRequest) (*skeinv1.BeatResponse, error) {
	leases, err := p.scheduler.Beat(ctx, request.GetHub(), beatsFrom(request))
	if err != nil {
		return nil, err
	}
	answer := &skeinv1.BeatResponse{}
	for _, l := range leases {
		answer.Leases = append(answer.Leases, &skeinv1.MemberLease{Member: memberRef(l.Sender), Lease: codec.LeaseTo(l)})
	}
	return answer, nil
}

// Nudge wakes the scheduler.
func (p peerServer) Nudge(context.Context, *skeinv1.NudgeRequest) (*skeinv1.NudgeResponse, error) {
	p.scheduler.Nudge()
	return &skeinv1.NudgeResponse{}, nil
}

// Wake wakes the hub.
func (p peerServer) Wake(_ context.Context, request *skeinv1.WakeRequest) (*skeinv1.WakeResponse, error) {
	p.hub.Wake(request.GetClusters())
	if request.GetBeat() {
		p.hub.Beat()
	}
	return &skeinv1.WakeResponse{}, nil
}

// ReadLog reads a pod's log from a member whose session is here.
func (p peerServer) ReadLog(request *skeinv1.ReadLogRequest, stream skeinv1.PeerService_ReadLogServer) error {
	return readLocalLog(stream.Context(), p.hub, request.GetCluster(), request.GetLog(), func(data []byte) error {
		return stream.Send(&skeinv1.ReadLogResponse{Data: data})
	})
}

func readLocalLog(ctx context.Context, h *hub.Hub, cluster string, request *skeinv1.LogRequest, send func([]byte) error) error {
	log, err := h.ReadLog(ctx, cluster, request)
	if err != nil {
		return err
	}
	defer log.Close()
	buffer := make([]byte, logChunk)
	for {
		n, err := log.Read(buffer)
		if n > 0 {
			if err := send(buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// logs reads a pod's log through whichever replica holds a session of its
// cluster.
type logs struct {
	peers *peers
	hub   *hub.Hub
	fleet interface {
		ListMembers(ctx context.Context, cluster string) ([]flow.MemberState, error)
	}
}

func (l logs) read(ctx context.Context, q service.LogQuery, send func([]byte) error) error {
	request := &skeinv1.LogRequest{Execution: codec.ExecutionTo(q.Execution), Epoch: codec.EpochTo(q.Epoch),
		Pod: q.Pod, Container: q.Container, TailLines: q.TailLines, LimitBytes: q.LimitBytes}
	members, err := l.fleet.ListMembers(ctx, q.Cluster)
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.Hub == "" {
			continue
		}
		if m.Hub == l.peers.self {
			return readLocalLog(ctx, l.hub, q.Cluster, request, send)
		}
		if client, err := l.peers.client(m.Hub); err == nil {
			return readPeerLog(ctx, client, &skeinv1.ReadLogRequest{Cluster: q.Cluster, Log: request}, send)
		}
	}
	return fault.E(fault.Unavailable, "no member of cluster %s is connected; its logs can be read when one is", q.Cluster)
}

func readPeerLog(ctx context.Context, client skeinv1.PeerServiceClient, request *skeinv1.ReadLogRequest, send func([]byte) error) error {
	stream, err := client.ReadLog(ctx, request)
	if err != nil {
		return err
	}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := send(part.GetData()); err != nil {
			return err
		}
	}
}

// joiner makes join tokens for the cluster service.
type joiner struct{ desk *join.Desk }

// NewToken makes a one-time token.
func (j joiner) NewToken(ctx context.Context, cluster string, ttl time.Duration) (string, time.Time, error) {
	return j.desk.Mint(ctx, cluster, ttl)
}

// CA is the bundle by which members know the control plane.
func (j joiner) CA() string { return string(j.desk.Bundle()) }
