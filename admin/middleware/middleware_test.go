package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/admin/middleware"
	"github.com/skein-project/skein/api/fault"
)

func TestStatus(t *testing.T) {
	detailed, _ := status.New(codes.AlreadyExists, "x").WithDetails()
	for _, c := range []struct {
		name    string
		err     error
		code    codes.Code
		message string
	}{
		{"nil", nil, codes.OK, ""},
		{"fault", fault.Field("id.name", "must be set"), codes.InvalidArgument, "id.name: must be set"},
		{"wrapped fault", fmt.Errorf("doing: %w", fault.E(fault.NotFound, "no x")), codes.NotFound, "no x"},
		{"fault hides what is beneath", fault.Wrap(fault.Unavailable, errors.New("dial 10.0.0.1"), "database"), codes.Unavailable, "database"},
		{"internal fault", fault.Wrap(fault.Internal, errors.New("secret"), "secret"), codes.Internal, "internal error; the control plane's log has the details"},
		{"plain", errors.New("secret"), codes.Internal, "internal error; the control plane's log has the details"},
		{"cancelled", fmt.Errorf("x: %w", context.Canceled), codes.Canceled, "the call was cancelled"},
		{"deadline", context.DeadlineExceeded, codes.DeadlineExceeded, "the call's deadline has passed"},
		{"status", detailed.Err(), codes.AlreadyExists, "x"},
		{"unknown status", status.Error(codes.Unknown, "secret"), codes.Internal, "internal error; the control plane's log has the details"},
	} {
		if got := middleware.Status(c.err); got.Code() != c.code || got.Message() != c.message {
			t.Errorf("%s: %v %q, want %v %q", c.name, got.Code(), got.Message(), c.code, c.message)
		}
	}
	long := middleware.Status(fault.E(fault.Invalid, "%s", strings.Repeat("ü", 40000)))
	if n := len(long.Message()); n > 32000 || n < 31000 {
		t.Errorf("a long message has %d bytes", n)
	}
}

func TestEveryFaultHasACode(t *testing.T) {
	for k := fault.Internal; k <= fault.Unsupported; k++ {
		if code := middleware.Status(fault.E(k, "x")).Code(); code == codes.Unknown || code == codes.OK {
			t.Errorf("%v: %v", k, code)
		}
	}
}

func call(t *testing.T, cfg middleware.Config, method, authorization string, handler grpc.UnaryHandler) error {
	t.Helper()
	cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", authorization))
	_, err := middleware.New(cfg).Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: method}, handler)
	return err
}

func TestPanicIsInternal(t *testing.T) {
	err := call(t, middleware.Config{Registerer: prometheus.NewRegistry()}, "/a/b", "", func(context.Context, any) (any, error) { panic("secret") })
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("panic gave %v", err)
	}
}

func TestRequestID(t *testing.T) {
	var id string
	if err := call(t, middleware.Config{}, "/a/b", "", func(ctx context.Context, _ any) (any, error) {
		id = middleware.RequestID(ctx)
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(id, "a-") || len(id) != 22 {
		t.Errorf("made the id %q", id)
	}
}
