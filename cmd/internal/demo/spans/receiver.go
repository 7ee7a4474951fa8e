// Package spans receives OpenTelemetry spans on loopback, keeps them in a
// file, and prints one trace as a tree.
//
// It is the demo's trace backend and no more: it samples nothing, indexes by
// trace only, and forgets with the process what the file keeps. Invariant: a
// span is in the file before its batch is answered.
package spans

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
)

// Span is one received span.
type Span struct {
	Trace   string            `json:"trace"`
	ID      string            `json:"id"`
	Parent  string            `json:"parent,omitempty"`
	Name    string            `json:"name"`
	Service string            `json:"service"`
	Start   time.Time         `json:"start"`
	End     time.Time         `json:"end"`
	Attrs   map[string]string `json:"attrs,omitempty"` // of the span, over those of its process
}

// Receiver takes spans by OTLP over gRPC. It is safe for concurrent use.
type Receiver struct {
	collector.UnimplementedTraceServiceServer
	server *grpc.Server
	path   string

	mu      sync.Mutex
	file    *os.File // opened for the first batch: whoever sends one owns the folder
	byTrace map[string][]Span
}

// Listen starts a receiver on a loopback address, writing to file.
func Listen(address, file string) (*Receiver, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("receive traces: %w", err)
	}
	r := &Receiver{server: grpc.NewServer(), path: file, byTrace: map[string][]Span{}}
	collector.RegisterTraceServiceServer(r.server, r)
	go r.server.Serve(listener) //nolint:errcheck // it ends with Close, which has nobody to tell
	return r, nil
}

// Close stops the receiver.
func (r *Receiver) Close() {
	r.server.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil {
		r.file.Close()
	}
}

// Export takes a batch of spans.
func (r *Receiver) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		f, err := os.OpenFile(r.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("keep traces: %w", err)
		}
		r.file = f
	}
	encoder := json.NewEncoder(r.file)
	for _, rs := range request.GetResourceSpans() {
		resource := attributes(nil, rs.GetResource().GetAttributes())
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				span := Span{
					Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()),
					Parent: hex.EncodeToString(s.GetParentSpanId()), Name: s.GetName(), Service: resource["service.name"],
					Start: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
					Attrs: attributes(resource, s.GetAttributes()),
				}
				if err := encoder.Encode(span); err != nil {
					return nil, fmt.Errorf("keep a span: %w", err)
				}
				r.byTrace[span.Trace] = append(r.byTrace[span.Trace], span)
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// Trace gives what has come in of one trace.
func (r *Receiver) Trace(id string) []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Span(nil), r.byTrace[id]...)
}

func attributes(base map[string]string, list []*common.KeyValue) map[string]string {
	out := make(map[string]string, len(base)+len(list))
	for k, v := range base {
		out[k] = v
	}
	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[kv.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			out[kv.GetKey()] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_BoolValue:
			out[kv.GetKey()] = fmt.Sprint(v.BoolValue)
		}
	}
	return out
}
