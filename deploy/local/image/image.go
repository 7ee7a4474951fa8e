// Package image packs container images out of this machine's files: no registry, no image builder, no C compiler.
//
// An image here is for this machine only: it holds the same programs, libraries and Python environment that the machine
// has, at the same paths. It is handed to a container runtime as an OCI archive (WriteTo), under any names; nothing is
// ever pushed or pulled. deploy/local/kubelet imports what this package packs; the processes of deploy/local/processnode
// need none of it.
//
// Invariant: what is in the cache under a layer's name is whole and has exactly the files, sizes, modes and times that
// the name was made from; files keep their times, by which Python knows that its compiled code is current.
package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"time"
)

// Image is something that containers can be started from.
type Image struct {
	// Names are the full references that it is imported under, with registry and tag.
	Names []string
	// Layers are unpacked in this order.
	Layers []Layer
	// Env is its environment, Entrypoint what it runs, and Dir where; all may be empty.
	Env        []string
	Entrypoint []string
	Dir        string
}

// Layer is a tar archive on disk.
type Layer struct {
	Path   string `json:"-"`
	Digest string `json:"digest"` // of the archive, as it is not compressed
	Size   int64  `json:"size"`
}

// Size is what unpacking writes, about.
func (im *Image) Size() int64 {
	var n int64
	for _, l := range im.Layers {
		n += l.Size
	}
	return n
}

const (
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar"
	// nameAnnotation is where containerd looks for the name of an image in an archive.
	nameAnnotation = "io.containerd.image.name"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func describe(mediaType string, data []byte) descriptor {
	sum := sha256.Sum256(data)
	return descriptor{MediaType: mediaType, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

// Write writes the image as an OCI archive.
func (im *Image) Write(w io.Writer) error {
	config, manifest, index, err := im.documents()
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	for _, file := range []struct {
		name string
		data []byte
	}{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{blob(describe(typeConfig, config).Digest), config},
		{blob(describe(typeManifest, manifest).Digest), manifest},
		{"index.json", index},
	} {
		if err := archive.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.data))}); err != nil {
			return err
		}
		if _, err := archive.Write(file.data); err != nil {
			return err
		}
	}
	for _, l := range im.Layers {
		if err := l.copy(archive); err != nil {
			return fmt.Errorf("layer %s: %w", l.Path, err)
		}
	}
	return archive.Close()
}

// documents are the three JSON documents of an image.
func (im *Image) documents() (config, manifest, index []byte, err error) {
	var layers []descriptor
	var diffs []string
	for _, l := range im.Layers {
		layers = append(layers, descriptor{MediaType: typeLayer, Digest: l.Digest, Size: l.Size})
		diffs = append(diffs, l.Digest)
	}
	config, err = json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": time.Unix(0, 0).UTC(),
		"config": map[string]any{"Env": im.Env, "Entrypoint": im.Entrypoint, "WorkingDir": im.Dir},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	})
	if err != nil {
		return nil, nil, nil, err
	}
	manifest, err = json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": typeManifest, "config": describe(typeConfig, config), "layers": layers,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	var named []descriptor
	for _, name := range im.Names {
		d := describe(typeManifest, manifest)
		d.Annotations = map[string]string{nameAnnotation: name}
		named = append(named, d)
	}
	index, err = json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": named})
	return config, manifest, index, err
}

func blob(digest string) string { return path.Join("blobs", "sha256", digest[len("sha256:"):]) }

func (l Layer) copy(archive *tar.Writer) error {
	file, err := os.Open(l.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := archive.WriteHeader(&tar.Header{Name: blob(l.Digest), Mode: 0o644, Size: l.Size}); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}
