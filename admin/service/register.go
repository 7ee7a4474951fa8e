package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
)

// canonical is the form that bodies are stored in and digested by: maps in
// order of keys, absent and default fields alike.
func canonical(m proto.Message) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	return data, fault.Wrap(fault.Internal, err, "serialise %s", m.ProtoReflect().Descriptor().FullName())
}

// decode reads what the control plane itself has stored.
func decode(data []byte, into proto.Message) error {
	err := proto.Unmarshal(data, into)
	return fault.Wrap(fault.Internal, err, "stored %s cannot be read", into.ProtoReflect().Descriptor().FullName())
}

// register stores a new entity. A repeat of the same structure is
// fault.Conflict, another structure under the same id is fault.Invalid
// (contract section 4.1). Descriptions are not part of the structure.
func (s *Service) register(ctx context.Context, e flow.Entity, body proto.Message) error {
	data, err := canonical(body)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(data)
	e.Digest, e.BodyDigest, e.Body = digest[:], digest[:], data
	e.CreatedAt = s.now()
	e.UpdatedAt = e.CreatedAt
	// Clients repeat a refused registration up to three times, so the cheap
	// look comes first; the store's own check decides between two at once.
	if err := s.clash(ctx, e, body); err != nil {
		return err
	}
	if len(data) > MaxInlineClosure && e.Kind == flow.KindWorkflow {
		e.Body, e.BodyURI = nil, s.closureURI(e.ID, digest[:])
		if err := s.deps.Objects.Write(ctx, e.BodyURI, data); err != nil {
			return err
		}
	}
	err = s.deps.Entities.CreateEntity(ctx, e)
	if fault.Is(err, fault.Conflict) {
		if clash := s.clash(ctx, e, body); clash != nil {
			return clash
		}
	}
	return err
}

// clash says how an entity that is already stored differs; nil if there is
// none.
func (s *Service) clash(ctx context.Context, e flow.Entity, body proto.Message) error {
	old, err := s.deps.Entities.GetEntity(ctx, e.Kind, e.ID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if bytes.Equal(old.Digest, e.Digest) {
		return identical(e)
	}
	stored := body.ProtoReflect().New().Interface()
	if err := s.body(ctx, old, stored); err != nil {
		return err
	}
	if proto.Equal(stored, body) {
		return identical(e)
	}
	return different(e, difference(stored, body))
}

// body reads an entity's body, from its row or from the object store.
func (s *Service) body(ctx context.Context, e flow.Entity, into proto.Message) error {
	data := e.Body
	if e.BodyURI != "" {
		var err error
		if data, err = s.deps.Objects.Read(ctx, e.BodyURI); err != nil {
			return fault.Wrap(fault.Internal, err, "%s %s: its body cannot be read", e.Kind, e.ID)
		}
	}
	return decode(data, into)
}

func (s *Service) closureURI(id flow.EntityID, digest []byte) string {
	// The digest keeps two registrations at once from overwriting each other.
	return joinURI(s.deps.Objects.Root(), "metadata", "admin", segment(id.Project), segment(id.Domain),
		segment(id.Name), segment(id.Version), hexOf(digest[:8]))
}

func identical(e flow.Entity) error {
	message := e.Kind.String() + " " + e.ID.String() + ": identical structure already exists"
	if e.Kind != flow.KindWorkflow {
		return fault.E(fault.Conflict, "%s", message)
	}
	return withDetail(codes.AlreadyExists, message, &admin.CreateWorkflowFailureReason{
		Reason: &admin.CreateWorkflowFailureReason_ExistsIdenticalStructure{
			ExistsIdenticalStructure: &admin.WorkflowErrorExistsIdenticalStructure{Id: toIdentifier(e.Kind, e.ID)},
		},
	})
}

func different(e flow.Entity, diff string) error {
	message := e.Kind.String() + " " + e.ID.String() +
		": different structure already exists; register it under another version. Differences:\n" + diff
	if e.Kind != flow.KindWorkflow {
		return fault.E(fault.Invalid, "%s", message)
	}
	return withDetail(codes.InvalidArgument, message, &admin.CreateWorkflowFailureReason{
		Reason: &admin.CreateWorkflowFailureReason_ExistsDifferentStructure{
			ExistsDifferentStructure: &admin.WorkflowErrorExistsDifferentStructure{Id: toIdentifier(e.Kind, e.ID)},
		},
	})
}

// public is what may be told of an error.
func public(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Public()
	}
	if told, ok := status.FromError(err); ok {
		return told.Message()
	}
	return "internal error"
}

// aborted is the status of a change that lost against another one; no fault has
// its code.
func aborted(format string, args ...any) error { return status.Errorf(codes.Aborted, format, args...) }

// withDetail makes a status that carries a detail, which faults cannot.
func withDetail(code codes.Code, message string, detail proto.Message) error {
	st := status.New(code, message)
	if with, err := st.WithDetails(protoadapt.MessageV1Of(detail)); err == nil {
		st = with
	}
	return st.Err()
}
