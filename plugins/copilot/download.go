package copilot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// Download writes each input into a file of its name, and all of them into
// inputs.json, inputs.yaml or inputs.pb. What goes wrong is also written where
// the engine looks for it.
func Download(ctx context.Context, o DownloadOptions) error {
	err := download(ctx, o)
	if err == nil {
		return nil
	}
	e := &core.ContainerError{Code: "InputDownloadFailed", Message: err.Error(), Kind: core.ContainerError_RECOVERABLE, Origin: core.ExecutionError_SYSTEM}
	return errors.Join(err, writeError(ctx, o.Blobs, o.ToOutput, o.ErrorFile, e, o.Now))
}

func download(ctx context.Context, o DownloadOptions) error {
	data, err := o.Blobs.Read(ctx, o.FromRemote)
	if err != nil {
		return fmt.Errorf("read inputs: %w", err)
	}
	inputs := &core.LiteralMap{}
	if err := proto.Unmarshal(data, inputs); err != nil {
		return fmt.Errorf("read inputs: %w", err)
	}
	if err := os.MkdirAll(o.ToLocalDir, 0o755); err != nil {
		return fmt.Errorf("make the folder of inputs: %w", err)
	}
	all := map[string]any{}
	for name, l := range inputs.GetLiterals() {
		if !filepath.IsLocal(name) || strings.ContainsRune(name, filepath.Separator) {
			return fmt.Errorf("input %q cannot be a file", name)
		}
		if all[name], err = o.put(ctx, filepath.Join(o.ToLocalDir, name), l); err != nil {
			return fmt.Errorf("input %s: %w", name, err)
		}
	}
	return o.aggregate(all, data)
}

func (o DownloadOptions) aggregate(all map[string]any, raw []byte) error {
	name, data, err := "inputs.json", raw, error(nil)
	switch strings.ToUpper(o.Format) {
	case "PROTO":
		name = "inputs.pb"
	case "YAML":
		name = "inputs.yaml"
		data, err = yaml.Marshal(all)
	default:
		data, err = json.Marshal(all)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.WriteFile(filepath.Join(o.ToLocalDir, name), data, 0o644) //nolint:gosec // the task may run as anybody
}

// put writes one value to a path and gives what the aggregate says of it.
func (o DownloadOptions) put(ctx context.Context, path string, l *core.Literal) (any, error) {
	switch v := l.GetValue().(type) {
	case *core.Literal_Scalar:
		return o.putScalar(ctx, path, v.Scalar)
	case *core.Literal_Collection:
		list := make([]any, 0, len(v.Collection.GetLiterals()))
		for i, e := range v.Collection.GetLiterals() {
			one, err := o.put(ctx, filepath.Join(path, strconv.Itoa(i)), e)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		return list, nil
	case *core.Literal_Map:
		m := map[string]any{}
		for k, e := range v.Map.GetLiterals() {
			if !filepath.IsLocal(k) {
				return nil, fmt.Errorf("key %q cannot be a file", k)
			}
			one, err := o.put(ctx, filepath.Join(path, k), e)
			if err != nil {
				return nil, err
			}
			m[k] = one
		}
		return m, nil
	}
	return nil, fmt.Errorf("a value of this kind cannot be a file")
}

func (o DownloadOptions) putScalar(ctx context.Context, path string, s *core.Scalar) (any, error) {
	switch v := s.GetValue().(type) {
	case *core.Scalar_Primitive:
		return primitiveValue(v.Primitive), file(path, []byte(primitiveText(v.Primitive)))
	case *core.Scalar_Blob:
		return path, o.fetch(ctx, path, v.Blob.GetUri(), v.Blob.GetMetadata().GetType().GetDimensionality())
	case *core.Scalar_Schema:
		return path, o.fetch(ctx, path, v.Schema.GetUri(), core.BlobType_MULTIPART)
	case *core.Scalar_StructuredDataset:
		return path, o.fetch(ctx, path, v.StructuredDataset.GetUri(), core.BlobType_MULTIPART)
	case *core.Scalar_Generic:
		data, err := protojson.Marshal(v.Generic)
		if err != nil {
			return nil, err
		}
		return v.Generic.AsMap(), file(path, data)
	case *core.Scalar_Binary:
		return v.Binary.GetValue(), file(path, v.Binary.GetValue())
	case *core.Scalar_Union:
		return o.put(ctx, path, v.Union.GetValue())
	case *core.Scalar_NoneType:
		return nil, file(path, nil)
	}
	return nil, fmt.Errorf("a value of this kind cannot be a file")
}

func file(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644) //nolint:gosec // the task may run as anybody
}

func (o DownloadOptions) fetch(ctx context.Context, path, uri string, d core.BlobType_BlobDimensionality) error {
	if d == core.BlobType_SINGLE {
		return o.copy(ctx, path, uri)
	}
	parts, err := o.Blobs.List(ctx, uri)
	if err != nil {
		return fmt.Errorf("list %s: %w", uri, err)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	for _, part := range parts {
		rel := strings.TrimLeft(strings.TrimPrefix(part, uri), "/")
		if !filepath.IsLocal(rel) {
			continue
		}
		if err := o.copy(ctx, filepath.Join(path, rel), part); err != nil {
			return err
		}
	}
	return nil
}

func (o DownloadOptions) copy(ctx context.Context, path, uri string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	from, err := o.Blobs.Reader(ctx, uri)
	if err != nil {
		return fmt.Errorf("read %s: %w", uri, err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	_, err = io.Copy(to, from)
	return err
}
