// Package middleware is what every RPC gets: a request id, a log line,
// metrics, span attributes, a recovered panic and a status made of a fault.
//
// It knows no noun of ours and decides nothing about requests: who may call
// what is federation/identity's. It builds no telemetry pipeline: spans come
// from otelgrpc's stats handler, where there is one.
//
// Invariant: no error leaves as code UNKNOWN. Flyte's clients take UNKNOWN for
// a missing login and begin one.
package middleware

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/prometheus/client_golang/prometheus"
)

// requestIDKey is the metadata key of a request's id, as clients send it and
// as it is sent back.
const requestIDKey = "x-request-id"

// maxRequestID bounds an id that a client chose; a longer one is replaced.
const maxRequestID = 128

// Config is what interceptors need. Zero fields switch a part off.
type Config struct {
	Log *slog.Logger // nil: slog.Default
	// Registerer takes the metrics; nil: none are shown.
	Registerer prometheus.Registerer
}

// Interceptors are the unary and the stream interceptor, of one make.
type Interceptors struct {
	log     *slog.Logger
	metrics *metrics
}

// New makes the interceptors and registers their metrics.
func New(cfg Config) *Interceptors {
	log := cfg.Log
	if log == nil {
		log = slog.Default()
	}
	return &Interceptors{log: log, metrics: newMetrics(cfg.Registerer)}
}

// ServerOptions installs the interceptors, and the codec that Registrar needs,
// in a gRPC server.
func (i *Interceptors) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ForceServerCodecV2(newCodec()), grpc.ChainUnaryInterceptor(i.Unary), grpc.ChainStreamInterceptor(i.Stream)}
}

// Unary is the interceptor of calls.
func (i *Interceptors) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	c := i.begin(ctx, info.FullMethod)
	_ = grpc.SetHeader(c.ctx, metadata.Pairs(requestIDKey, c.id)) // fails in tests without a stream only
	err = c.run(func() error {
		resp, err = handler(c.ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// Stream is the interceptor of streams.
func (i *Interceptors) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	c := i.begin(stream.Context(), info.FullMethod)
	_ = stream.SetHeader(metadata.Pairs(requestIDKey, c.id)) // fails once headers are gone only
	return c.run(func() error {
		return handler(srv, &serverStream{ServerStream: stream, ctx: c.ctx})
	})
}

// serverStream is a stream whose context knows the request id.
type serverStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a ServerStream has one
}

func (s *serverStream) Context() context.Context { return s.ctx }

// RecvMsg tells of a message that cannot be read as the caller's fault.
func (s *serverStream) RecvMsg(m any) error { return read(m, s.ServerStream.RecvMsg) }

// call is one RPC on its way through.
type call struct {
	*Interceptors
	ctx    context.Context //nolint:containedctx // lives as long as the call
	method string
	id     string
	start  time.Time
}

type requestID struct{}

// RequestID gives the id of the request that a context belongs to.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestID{}).(string)
	return id
}

func (i *Interceptors) begin(ctx context.Context, method string) *call {
	id := incomingID(ctx)
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("skein.request_id", id))
	return &call{Interceptors: i, ctx: context.WithValue(ctx, requestID{}, id), method: method, id: id, start: time.Now()}
}

func incomingID(ctx context.Context) string {
	if ids := metadata.ValueFromIncomingContext(ctx, requestIDKey); len(ids) > 0 {
		if id := ids[0]; id != "" && len(id) <= maxRequestID && printable(id) {
			return id
		}
	}
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	return "a-" + hex.EncodeToString(b[:])
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// run runs the handler between all that surrounds it. What it returns is nil
// or a status that is never UNKNOWN.
func (c *call) run(handler func() error) error {
	err := c.guarded(handler)
	st := Status(err)
	c.metrics.observe(c.method, st.Code(), time.Since(c.start))
	c.record(st, err)
	return st.Err()
}

// guarded turns a panic into an error with its stack, for the log only.
func (c *call) guarded(handler func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.ErrorContext(c.ctx, "panic in RPC", "method", c.method, "request", c.id, "panic", p, "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "internal error (request "+c.id+")")
		}
	}()
	return handler()
}

func (c *call) record(st *status.Status, err error) {
	level := slog.LevelDebug
	attrs := []any{"method", c.method, "request", c.id, "code", st.Code().String(), "took", time.Since(c.start)}
	if err != nil {
		attrs = append(attrs, "error", err)
		level = slog.LevelInfo
	}
	switch st.Code() {
	case codes.Internal, codes.DataLoss, codes.Unavailable:
		level = slog.LevelError
	}
	c.log.Log(c.ctx, level, "rpc", attrs...)
}
