package observe

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/propeller/workflow"
)

// away is an object store that does not answer.
type away struct{ files }

func (away) Read(context.Context, string) ([]byte, error) {
	return nil, fault.E(fault.Unavailable, "no answer")
}

// What cannot be read must not keep an execution waiting for ever, nor end one
// that has begun.
func TestAWorkflowThatCannotBeRead(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name  string
		blobs Blobs
		age   time.Duration
		abort bool
		phase string
		ends  flow.ExecutionPhase // undefined: it is tried again
	}{
		{"missing for a moment", files{}, time.Minute, false, "", 0},
		{"missing for long", files{}, time.Hour, false, "", flow.ExecutionFailed},
		{"too large", files{"c": nil}, 0, false, "", flow.ExecutionFailed},
		{"the store is away", away{}, time.Hour, false, "", 0},
		{"the store is away, and it is to be aborted", away{}, 0, true, "", flow.ExecutionAborted},
		{"missing after it began", files{}, time.Hour, false, "RUNNING", 0},
		{"missing after it began, and it is to be aborted", files{}, time.Hour, true, "RUNNING", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			wf := &v1alpha1.FlyteWorkflow{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-c.age))}}
			wf.Spec.ClosureURI, wf.Status.Phase = "c", c.phase
			if c.abort {
				wf.Spec.Desired, wf.Spec.Cause = v1alpha1.DesiredAbort, "enough"
			}
			w, err := New(Options{Blobs: c.blobs}).World(t.Context(), wf, true, now)
			var never *workflow.Failure
			if err == nil || errors.As(err, &never) != (c.ends != flow.ExecutionUndefined) {
				t.Fatalf("got %v", err)
			}
			if never == nil {
				return
			}
			s := workflow.Fail(w.View, never)
			if s.Status.Phase != c.ends.String() || s.Status.Error == nil || c.abort && s.Status.Error.Message != "enough" {
				t.Errorf("it ends as %s with %+v", s.Status.Phase, s.Status.Error)
			}
		})
	}
}

// A small object may unpack to more than a cluster has memory for.
func TestACompressedWorkflowIsUnpackedUpToItsBound(t *testing.T) {
	whole := func(size int) []byte { // a closure of so many bytes: a field that nobody knows
		return protowire.AppendBytes(protowire.AppendTag(nil, 1000, protowire.BytesType), make([]byte, size-2-4))
	}
	for _, c := range []struct {
		name string
		size int
		why  string
	}{
		{"as large as it may be", maxClosure, ""},
		{"a byte more", maxClosure + 1, "unpacks to more than 20971520 bytes"},
	} {
		raw := whole(c.size)
		if len(raw) != c.size {
			t.Fatalf("%s: made %d bytes, want %d", c.name, len(raw), c.size)
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(raw)
		_ = w.Close()
		wf := &v1alpha1.FlyteWorkflow{Spec: v1alpha1.FlyteWorkflowSpec{ClosureURI: "c", ClosureDigest: []byte("another")}}
		if c.why == "" {
			sum := sha256.Sum256(raw)
			wf.Spec.ClosureDigest = sum[:]
		}
		_, err := readClosure(t.Context(), files{"c": packed.Bytes()}, wf)
		var f *workflow.Failure
		if (err == nil) != (c.why == "") || err != nil && (!errors.As(err, &f) || f.Code != "InvalidWorkflow" || !strings.Contains(f.Message, c.why)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.why)
		}
	}
}
