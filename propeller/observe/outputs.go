package observe

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/propeller/workflow"
)

// settle lets the files of an ended attempt have the last word: a container
// that failed exits with 0 and leaves error.pb.
func (o *Observer) settle(ctx context.Context, prefix string, t *core.TaskTemplate, seen *workflow.Observation) error {
	if t.GetMetadata().GetGeneratesDeck() == nil || t.GetMetadata().GetGeneratesDeck().GetValue() {
		if there, err := o.Blobs.Exists(ctx, prefix+"/deck.html"); err != nil {
			return fmt.Errorf("look for a deck: %w", err)
		} else if there {
			seen.DeckURI = prefix + "/deck.html"
		}
	}
	failure, err := o.errorFile(ctx, prefix+"/error.pb")
	if err == nil && failure == nil && seen.Phase == flow.TaskSucceeded {
		seen.OutputURI, failure, err = o.outputs(ctx, prefix, t)
	}
	if err != nil {
		return err
	}
	if failure != nil {
		seen.Failure, seen.Phase = failure, flow.TaskFailed
		if failure.Retryable {
			seen.Phase = flow.TaskRetryableFailed
		}
	}
	return nil
}

func (o *Observer) errorFile(ctx context.Context, uri string) (*workflow.Failure, error) {
	data, err := o.Blobs.Read(ctx, uri)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, nil
	case fault.Is(err, fault.Exhausted):
		return &workflow.Failure{Code: "ErrorFileTooLarge", Message: "the task failed; its error.pb is too large to be read", URI: uri}, nil
	case err != nil:
		return nil, fmt.Errorf("read the error file: %w", err)
	}
	doc := &core.ErrorDocument{}
	if err := proto.Unmarshal(data, doc); err != nil || doc.GetError() == nil {
		return &workflow.Failure{Code: "ErrorFileBadFormat", Message: "the task failed; its error.pb cannot be read", URI: uri, System: true, Retryable: true}, nil
	}
	e := doc.GetError()
	return &workflow.Failure{Code: e.GetCode(), Message: e.GetMessage(), URI: uri,
		System:    e.GetOrigin() == core.ExecutionError_SYSTEM,
		Retryable: e.GetKind() == core.ContainerError_RECOVERABLE}, nil
}

func (o *Observer) outputs(ctx context.Context, prefix string, t *core.TaskTemplate) (string, *workflow.Failure, error) {
	uri := prefix + "/outputs.pb"
	_, err := o.Blobs.Read(ctx, uri)
	switch {
	case err == nil:
		return uri, nil, nil
	case fault.Is(err, fault.Exhausted):
		return "", &workflow.Failure{Code: "OutputSizeExceeded", Message: err.Error(), URI: uri}, nil
	case !fault.Is(err, fault.NotFound):
		return "", nil, fmt.Errorf("read outputs: %w", err)
	}
	dynamic, err := o.Blobs.Exists(ctx, prefix+"/futures.pb")
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("look for futures: %w", err)
	case dynamic:
		return "", &workflow.Failure{Code: "DynamicNotSupported", Message: "the task made a dynamic workflow, which this propeller does not run yet"}, nil
	case len(t.GetInterface().GetOutputs().GetVariables()) == 0:
		return "", nil, nil
	}
	return "", &workflow.Failure{Code: "OutputsNotFound", Message: "the task ended well, but left no outputs.pb", URI: uri, Retryable: true}, nil
}

// maxClosure bounds what a compressed closure may unpack to: the digest can only
// be checked once it is unpacked. It is as much as came in one assignment; the
// member has the same bound.
const maxClosure = 20 << 20

func invalid(format string, args ...any) *workflow.Failure {
	return &workflow.Failure{Code: "InvalidWorkflow", Message: fmt.Sprintf(format, args...), System: true}
}

// readClosure reads the compiled workflow, compressed or not.
func readClosure(ctx context.Context, blobs Blobs, wf *v1alpha1.FlyteWorkflow) (*core.CompiledWorkflowClosure, error) {
	data := wf.Spec.Closure
	if wf.Spec.ClosureURI != "" {
		var err error
		if data, err = blobs.Read(ctx, wf.Spec.ClosureURI); err != nil {
			return nil, fmt.Errorf("read the compiled workflow: %w", err)
		}
	}
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) { // no protobuf begins so
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, invalid("the compiled workflow cannot be decompressed: %v", err)
		}
		if data, err = io.ReadAll(io.LimitReader(r, maxClosure+1)); err != nil {
			return nil, invalid("the compiled workflow cannot be decompressed: %v", err)
		}
		if len(data) > maxClosure {
			return nil, invalid("the compiled workflow unpacks to more than %d bytes: split it into smaller workflows", maxClosure)
		}
	}
	if sum := sha256.Sum256(data); wf.Spec.ClosureURI != "" && len(wf.Spec.ClosureDigest) > 0 && !bytes.Equal(sum[:], wf.Spec.ClosureDigest) {
		return nil, invalid("the compiled workflow in the object store is another one than was assigned")
	}
	c := &core.CompiledWorkflowClosure{}
	if err := proto.Unmarshal(data, c); err != nil {
		return nil, invalid("the compiled workflow cannot be read: %v", err)
	}
	return c, nil
}
