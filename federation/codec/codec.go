// Package codec turns the road's wire messages (api/skein/v1) into the nouns
// that the planes share (api/flow), and back.
//
// It is pure and decides nothing: what a message means is federation/session's
// business. It is called by federation/hub and federation/member. Invariant: a
// value that came from a flow noun and went over the wire is the same value;
// messages with missing parts become zero values, never a panic.
package codec

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// EpochTo writes an epoch.
func EpochTo(e flow.Epoch) *skeinv1.Epoch { return &skeinv1.Epoch{Era: e.Era, N: e.N} }

// EpochFrom reads an epoch.
func EpochFrom(e *skeinv1.Epoch) flow.Epoch { return flow.Epoch{Era: e.GetEra(), N: e.GetN()} }

// ExecutionTo writes an execution's name.
func ExecutionTo(id flow.ExecutionID) *skeinv1.ExecutionRef {
	return &skeinv1.ExecutionRef{Project: id.Project, Domain: id.Domain, Name: id.Name}
}

// ExecutionFrom reads an execution's name.
func ExecutionFrom(r *skeinv1.ExecutionRef) flow.ExecutionID {
	return flow.ExecutionID{Project: r.GetProject(), Domain: r.GetDomain(), Name: r.GetName()}
}

func entityTo(id flow.EntityID) *skeinv1.EntityRef {
	if id.Zero() {
		return nil
	}
	return &skeinv1.EntityRef{Project: id.Project, Domain: id.Domain, Name: id.Name, Version: id.Version}
}

func entityFrom(r *skeinv1.EntityRef) flow.EntityID {
	return flow.EntityID{Project: r.GetProject(), Domain: r.GetDomain(), Name: r.GetName(), Version: r.GetVersion()}
}

func timeTo(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeFrom(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func resourcesTo(r flow.Resources) *skeinv1.Resources {
	return &skeinv1.Resources{MilliCpu: r.MilliCPU, Memory: r.Memory, Gpus: r.GPUs, Pods: r.Pods}
}

func resourcesFrom(r *skeinv1.Resources) flow.Resources {
	return flow.Resources{MilliCPU: r.GetMilliCpu(), Memory: r.GetMemory(), GPUs: r.GetGpus(), Pods: r.GetPods()}
}

// ReportTo writes what a member says of its cluster.
func ReportTo(r flow.ClusterReport) *skeinv1.ClusterReport {
	return &skeinv1.ClusterReport{
		Capacity: resourcesTo(r.Capacity), LargestNode: resourcesTo(r.LargestNode),
		TaskTypes: r.TaskTypes, Version: r.Version,
		Architectures: r.Architectures, Accelerators: r.Accelerators, Store: r.Store,
	}
}

// ReportFrom reads what a member says of its cluster.
func ReportFrom(r *skeinv1.ClusterReport) flow.ClusterReport {
	return flow.ClusterReport{
		Capacity: resourcesFrom(r.GetCapacity()), LargestNode: resourcesFrom(r.GetLargestNode()),
		TaskTypes: r.GetTaskTypes(), Version: r.GetVersion(),
		Architectures: r.GetArchitectures(), Accelerators: r.GetAccelerators(), Store: r.GetStore(),
	}
}

// LeaseRequestTo writes a lease request.
func LeaseRequestTo(r flow.LeaseRequest) *skeinv1.LeaseRequest {
	return &skeinv1.LeaseRequest{Generation: r.Generation, Nonce: r.Nonce, OwnershipRevision: r.OwnershipRevision}
}

// LeaseRequestFrom reads a lease request. Who sends it, save the generation, is
// not in the message.
func LeaseRequestFrom(r *skeinv1.LeaseRequest, who flow.Sender) flow.LeaseRequest {
	who.Generation = r.GetGeneration()
	return flow.LeaseRequest{Sender: who, Nonce: r.GetNonce(), OwnershipRevision: r.GetOwnershipRevision()}
}

// LeaseTo writes a lease.
func LeaseTo(l flow.Lease) *skeinv1.Lease {
	return &skeinv1.Lease{
		Generation: l.Generation, Nonce: l.Nonce,
		Duration: durationpb.New(l.Duration), OwnershipRevision: l.OwnershipRevision,
	}
}

// LeaseFrom reads a lease of the given member.
func LeaseFrom(l *skeinv1.Lease, who flow.Sender) flow.Lease {
	who.Generation = l.GetGeneration()
	return flow.Lease{
		Sender: who, Nonce: l.GetNonce(),
		Duration: l.GetDuration().AsDuration(), OwnershipRevision: l.GetOwnershipRevision(),
	}
}
