package middleware

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/fault"
)

// maxMessage bounds a status message, in bytes: larger trailers kill the
// stream.
const maxMessage = 32000

// Status is the one mapping of errors to the wire: gRPC statuses pass, faults
// follow fault's table, the context's own errors keep their meaning, and all
// else is INTERNAL, whose details are logged and not told.
func Status(err error) *status.Status {
	if err == nil {
		return status.New(codes.OK, "")
	}
	st := statusOf(err)
	if len(st.Message()) > maxMessage {
		p := st.Proto()
		p.Message = strings.ToValidUTF8(p.Message[:maxMessage-len("…")], "") + "…"
		st = status.FromProto(p)
	}
	return st
}

func statusOf(err error) *status.Status {
	var f *fault.Error
	if errors.As(err, &f) {
		if f.Kind == fault.Internal {
			return status.New(codes.Internal, "internal error; the control plane's log has the details")
		}
		return status.New(codes.Code(f.Kind.Code()), f.Public())
	}
	switch {
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, "the call was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, "the call's deadline has passed")
	}
	var carrier interface{ GRPCStatus() *status.Status }
	if errors.As(err, &carrier) {
		if st := carrier.GRPCStatus(); st.Code() != codes.Unknown {
			return st
		}
	}
	return status.New(codes.Internal, "internal error; the control plane's log has the details")
}
