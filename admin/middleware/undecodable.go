package middleware

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/fault"
)

// A request that is no message of its type is the caller's fault. gRPC answers
// INTERNAL, as soon as its codec fails and before any interceptor sees the
// call. So the codec of our servers notes the failure in the attempt that it
// was given, and whoever asked for the message tells it.

// attempt is a message that is being read.
type attempt struct {
	into any
	err  error
}

// codec is protobuf's, but for attempts.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(protocodec.Name)} }

// Unmarshal reads a message; a failed attempt is no failure of gRPC's.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	a, ours := v.(*attempt)
	if !ours {
		return c.CodecV2.Unmarshal(data, v)
	}
	if err := c.CodecV2.Unmarshal(data, a.into); err != nil {
		a.err = undecodable(a.into, err)
	}
	return nil
}

// read receives one message by way of an attempt.
func read(into any, receive func(any) error) error {
	a := &attempt{into: into}
	if err := receive(a); err != nil {
		return err
	}
	return a.err
}

func undecodable(into any, err error) error {
	what := fmt.Sprintf("%T", into)
	if m, ok := into.(proto.Message); ok {
		what = string(m.ProtoReflect().Descriptor().FullName())
	}
	// protobuf's texts vary their spaces on purpose.
	why := strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "proto: ")
	return Status(fault.E(fault.Invalid, "the request cannot be read as %s: %s; texts must be UTF-8, and nesting has a limit", what, why)).Err()
}

// Registrar registers services so that requests which cannot be read are told
// as INVALID_ARGUMENT. The server must have ServerOptions.
func Registrar(r grpc.ServiceRegistrar) grpc.ServiceRegistrar { return registrar{r} }

type registrar struct{ grpc.ServiceRegistrar }

// RegisterService registers a copy of the description whose unary methods read
// by way of attempts. Streams do so in serverStream.
func (r registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	reading := *desc
	reading.Methods = make([]grpc.MethodDesc, len(desc.Methods))
	for i, m := range desc.Methods {
		handle := m.Handler
		m.Handler = func(srv any, ctx context.Context, receive func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			return handle(srv, ctx, func(into any) error { return read(into, receive) }, intercept)
		}
		reading.Methods[i] = m
	}
	r.ServiceRegistrar.RegisterService(&reading, impl)
}
