// Package copilot carries the inputs and outputs of raw containers, which know
// nothing of Flyte: it makes files of inputs before the task runs, and outputs
// of the files that it left (contract section 20).
//
// Download is an init container; Sidecar is a native side-car, which is told by
// SIGTERM that the task has ended. Neither knows how it ended: what the pod
// says of that stands, unless the task left a file named "_ERROR".
//
// Invariant: outputs.pb is written last and whole, so that it is there only if
// everything that it names is.
package copilot

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// Blobs is the object store as copilot uses it.
type Blobs interface {
	Read(ctx context.Context, uri string) ([]byte, error)
	Write(ctx context.Context, uri string, data []byte) error
	Reader(ctx context.Context, uri string) (io.ReadCloser, error)
	Create(ctx context.Context, uri string, once bool) (io.WriteCloser, error)
	List(ctx context.Context, prefix string) ([]string, error)
}

// DownloadOptions are the flags of `copilot download`.
type DownloadOptions struct {
	Blobs      Blobs
	FromRemote string // URI of inputs.pb
	ToLocalDir string
	ToOutput   string // attempt's output folder, for the error file
	Format     string // of the file with all inputs: JSON, YAML or PROTO
	Interface  string // base64 of a VariableMap
	ErrorFile  string // its name; empty: error.pb
	Now        func() time.Time
}

// SidecarOptions are the flags of `copilot sidecar`.
type SidecarOptions struct {
	Blobs        Blobs
	FromLocalDir string
	ToRaw        string // where files are put that outputs name
	ToOutput     string // attempt's output folder
	Interface    string // base64 of a VariableMap
	ErrorFile    string // its name; empty: error.pb
	Grace        time.Duration
	Now          func() time.Time
}

// ParseInterface reads a VariableMap as the flags carry it.
func ParseInterface(s string) (map[string]*core.Variable, error) {
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("the interface is not base64: %w", err)
	}
	m := &core.VariableMap{}
	if err := proto.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("the interface cannot be read: %w", err)
	}
	return m.GetVariables(), nil
}

// userError is what the task's author has to mend.
type userError struct{ code, message string }

func (e *userError) Error() string { return e.code + ": " + e.message }

func writeError(ctx context.Context, b Blobs, folder, name string, e *core.ContainerError, now func() time.Time) error {
	if name == "" {
		name = "error.pb"
	}
	if now == nil {
		now = time.Now
	}
	e.Timestamp = timestamppb.New(now())
	data, err := proto.Marshal(&core.ErrorDocument{Error: e})
	if err != nil {
		return err
	}
	return b.Write(ctx, folder+"/"+name, data)
}
