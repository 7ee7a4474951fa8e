package spans

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

func attribute(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

func TestReceivedSpansAreKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "spans.jsonl")
	r, err := Listen("127.0.0.1:0", file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = r.Export(context.Background(), &collector.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{attribute("service.name", "skein-propeller"), attribute("cluster", "eu-1")}},
		ScopeSpans: []*trace.ScopeSpans{{Spans: []*trace.Span{{TraceId: []byte{1}, SpanId: []byte{2}, Name: "propeller.node",
			Attributes: []*common.KeyValue{attribute("node", "n0")}}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	got := r.Trace("01")
	if len(got) != 1 || got[0].Attrs["cluster"] != "eu-1" || got[0].Attrs["node"] != "n0" || got[0].Service != "skein-propeller" {
		t.Fatalf("kept %+v", got)
	}
	raw, err := os.ReadFile(file)
	if err != nil || strings.Count(string(raw), "\n") != 1 {
		t.Fatalf("the file holds %q, %v", raw, err)
	}
}

func TestTree(t *testing.T) {
	zero := time.Unix(0, 0)
	at := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	var out bytes.Buffer
	Tree(&out, []Span{
		{ID: "c", Parent: "a", Name: "member.apply", Start: at(20), End: at(25), Attrs: map[string]string{"cluster": "us-1"}},
		{ID: "a", Name: "CreateExecution", Start: at(0), End: at(4), Attrs: map[string]string{"replica": "admin-1"}},
		{ID: "b", Parent: "a", Name: "scheduler.place", Start: at(10), End: at(12), Attrs: map[string]string{"cluster": "us-1", "epoch": "1.1"}},
		{ID: "d", Parent: "c", Name: "child", Start: at(21), End: at(22), Service: "skein-propeller"},
		{ID: "e", Parent: "gone", Name: "orphan", Start: at(30), End: at(31)},
	})
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	for i, want := range [][]string{
		{"├─ CreateExecution", "admin-1", "4ms"},
		{"│  ├─ scheduler.place", "us-1", "+10ms", "epoch=1.1"},
		{"│  └─ member.apply", "us-1", "5ms"},
		{"│     └─ child", "skein-propeller"},
		{"└─ orphan"},
	} {
		if len(lines) != 5 {
			t.Fatalf("printed %d lines:\n%s", len(lines), out.String())
		}
		for _, part := range want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d is %q, want %q in it", i, lines[i], part)
			}
		}
	}
}
