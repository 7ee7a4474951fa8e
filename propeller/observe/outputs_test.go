package observe

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/propeller/workflow"
)

// files is an object store; one whose content is nil is too large to be read.
type files map[string][]byte

func (f files) Read(_ context.Context, uri string) ([]byte, error) {
	data, ok := f[uri]
	switch {
	case !ok:
		return nil, fault.E(fault.NotFound, "no %s", uri)
	case data == nil:
		return nil, fault.E(fault.Exhausted, "%s is too large", uri)
	}
	return data, nil
}

func (f files) Exists(_ context.Context, uri string) (bool, error) { _, ok := f[uri]; return ok, nil }

func errorFile(kind core.ContainerError_Kind, origin core.ExecutionError_ErrorKind) []byte {
	data, _ := proto.Marshal(&core.ErrorDocument{Error: &core.ContainerError{Code: "C", Message: "m", Kind: kind, Origin: origin}})
	return data
}

// TestFilesHaveTheLastWord is contract 18.4.
func TestFilesHaveTheLastWord(t *testing.T) {
	out := &core.VariableMap{Variables: map[string]*core.Variable{"o0": {}}}
	exit := &workflow.Failure{Code: "Error", Retryable: true}
	for _, c := range []struct {
		name    string
		files   files
		phase   flow.TaskPhase
		failure *workflow.Failure
		void    bool
		want    flow.TaskPhase
		code    string
		system  bool
	}{
		{name: "outputs", files: files{"p/outputs.pb": {}}, phase: flow.TaskSucceeded, want: flow.TaskSucceeded},
		{name: "none declared", phase: flow.TaskSucceeded, void: true, want: flow.TaskSucceeded},
		{name: "none left", phase: flow.TaskSucceeded, want: flow.TaskRetryableFailed, code: "OutputsNotFound"},
		{name: "too large", files: files{"p/outputs.pb": nil}, phase: flow.TaskSucceeded, want: flow.TaskFailed, code: "OutputSizeExceeded"},
		{name: "dynamic", files: files{"p/futures.pb": {}}, phase: flow.TaskSucceeded, want: flow.TaskFailed, code: "DynamicNotSupported"},
		{name: "error beats outputs", files: files{"p/outputs.pb": {}, "p/error.pb": errorFile(0, core.ExecutionError_USER)}, phase: flow.TaskSucceeded, want: flow.TaskFailed, code: "C"},
		{name: "recoverable", files: files{"p/error.pb": errorFile(1, core.ExecutionError_SYSTEM)}, phase: flow.TaskSucceeded, want: flow.TaskRetryableFailed, code: "C", system: true},
		{name: "error beats the exit code", files: files{"p/error.pb": errorFile(0, 0)}, phase: flow.TaskRetryableFailed, failure: exit, want: flow.TaskFailed, code: "C"},
		{name: "exit code", phase: flow.TaskRetryableFailed, failure: exit, want: flow.TaskRetryableFailed, code: "Error"},
		{name: "unreadable error", files: files{"p/error.pb": []byte("x")}, phase: flow.TaskSucceeded, want: flow.TaskRetryableFailed, code: "ErrorFileBadFormat", system: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			task := &core.TaskTemplate{Interface: &core.TypedInterface{Outputs: out}}
			if c.void {
				task.Interface = nil
			}
			o := workflow.Observation{Phase: c.phase, Failure: c.failure}
			if err := New(Options{Blobs: c.files}).settle(t.Context(), "p", task, &o); err != nil {
				t.Fatal(err)
			}
			if o.Phase != c.want || (o.Failure != nil) != (c.code != "") {
				t.Fatalf("%s %+v", o.Phase, o.Failure)
			}
			if f := o.Failure; f != nil && (f.Code != c.code || f.System != c.system || f.Retryable != (c.want == flow.TaskRetryableFailed)) {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestDecksAreFound(t *testing.T) {
	o := workflow.Observation{Phase: flow.TaskSucceeded}
	if err := New(Options{Blobs: files{"p/deck.html": {}}}).settle(t.Context(), "p", nil, &o); err != nil || o.DeckURI != "p/deck.html" {
		t.Errorf("%q, %v", o.DeckURI, err)
	}
}
