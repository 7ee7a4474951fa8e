package copilot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// readyFile lies in the folder of outputs once the side-car would hear that the
// task has ended. Without it, a task that ends at once would be over before.
const readyFile = ".copilot-ready"

// Ready reports whether the side-car of that folder has started: it is what
// the side-car's start-up probe asks.
func Ready(dir string) error {
	_, err := os.Stat(filepath.Join(dir, readyFile))
	return err
}

// Sidecar waits until the context ends, which is when the task has ended (the
// caller ends it on SIGTERM), and then uploads within the grace.
func Sidecar(ctx context.Context, o SidecarOptions) error {
	outputs, err := ParseInterface(o.Interface)
	if err != nil {
		return err
	}
	// Whoever made ctx listens for SIGTERM by now: the task may begin.
	if err := os.WriteFile(filepath.Join(o.FromLocalDir, readyFile), nil, 0o644); err != nil {
		return fmt.Errorf("say that the side-car is ready: %w", err)
	}
	<-ctx.Done()
	if o.Grace == 0 {
		o.Grace = 25 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Grace)
	defer cancel()
	err = usersToMend(o.upload(ctx, outputs))
	var wrong *userError
	if errors.As(err, &wrong) {
		e := &core.ContainerError{Code: wrong.code, Message: wrong.message, Kind: core.ContainerError_NON_RECOVERABLE, Origin: core.ExecutionError_USER}
		return writeError(ctx, o.Blobs, o.ToOutput, o.ErrorFile, e, o.Now)
	}
	return err
}

// usersToMend tells places that can never be written, which users chose, from
// faults that pass.
func usersToMend(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Invalid && f.Kind != fault.Precondition && f.Kind != fault.Forbidden {
		return err
	}
	return &userError{"RawOutputNotWritable", f.Public() + "; choose another raw-output prefix, or let the task's role write there"}
}

func (o SidecarOptions) upload(ctx context.Context, outputs map[string]*core.Variable) error {
	text, err := os.ReadFile(filepath.Join(o.FromLocalDir, "_ERROR"))
	if err == nil {
		return &userError{"UserError", strings.TrimSpace(string(text))}
	}
	m := &core.LiteralMap{Literals: map[string]*core.Literal{}}
	for name, v := range outputs {
		if !filepath.IsLocal(name) {
			return &userError{"BadOutputName", fmt.Sprintf("output %q cannot be a file", name)}
		}
		l, err := o.output(ctx, name, v.GetType())
		if errors.Is(err, fs.ErrNotExist) {
			// The engine finds no outputs.pb, or the pod says how the task failed.
			return fmt.Errorf("the task has left no file %s: %w", name, err)
		}
		if err != nil {
			return err
		}
		m.Literals[name] = l
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return err
	}
	return o.Blobs.Write(ctx, o.ToOutput+"/outputs.pb", data)
}

func (o SidecarOptions) output(ctx context.Context, name string, t *core.LiteralType) (*core.Literal, error) {
	path := filepath.Join(o.FromLocalDir, name)
	switch v := t.GetType().(type) {
	case *core.LiteralType_Blob:
		uri := o.ToRaw + "/" + name
		b := &core.Blob{Uri: uri, Metadata: &core.BlobMetadata{Type: v.Blob}}
		return scalar(&core.Scalar{Value: &core.Scalar_Blob{Blob: b}}), o.send(ctx, path, uri)
	case *core.LiteralType_Schema:
		uri := o.ToRaw + "/" + name
		s := &core.Schema{Uri: uri, Type: v.Schema}
		return scalar(&core.Scalar{Value: &core.Scalar_Schema{Schema: s}}), o.send(ctx, path, uri)
	case *core.LiteralType_StructuredDatasetType:
		uri := o.ToRaw + "/" + name
		d := &core.StructuredDataset{Uri: uri, Metadata: &core.StructuredDatasetMetadata{StructuredDatasetType: v.StructuredDatasetType}}
		return scalar(&core.Scalar{Value: &core.Scalar_StructuredDataset{StructuredDataset: d}}), o.send(ctx, path, uri)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	l, err := parse(string(text), t)
	if err != nil {
		return nil, &userError{"BadOutput", fmt.Sprintf("output %s: %v", name, err)}
	}
	return l, nil
}

// send uploads a file, or all files of a folder.
func (o SidecarOptions) send(ctx context.Context, path, uri string) error {
	return filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(path, p)
		if err != nil {
			return err
		}
		to := uri
		if rel != "." {
			to += "/" + filepath.ToSlash(rel)
		}
		return o.sendFile(ctx, p, to)
	})
}

func (o SidecarOptions) sendFile(ctx context.Context, path, uri string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // read only
	to, err := o.Blobs.Create(ctx, uri, false)
	if err != nil {
		return fmt.Errorf("write %s: %w", uri, err)
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}
