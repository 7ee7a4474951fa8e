package copilot

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins/blob"
)

func store(t *testing.T) *blob.Store {
	t.Helper()
	s, err := blob.Open(t.Context(), blob.Config{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func simpleType(s core.SimpleType) *core.LiteralType {
	return &core.LiteralType{Type: &core.LiteralType_Simple{Simple: s}}
}

func flag(t *testing.T, types map[string]*core.LiteralType) string {
	t.Helper()
	m := &core.VariableMap{Variables: map[string]*core.Variable{}}
	for k, v := range types {
		m.Variables[k] = &core.Variable{Type: v}
	}
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(data)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestInputsBecomeFiles(t *testing.T) {
	s, dir := store(t), t.TempDir()
	if err := s.Write(t.Context(), s.Root()+"/file", []byte("content")); err != nil {
		t.Fatal(err)
	}
	list := &core.LiteralCollection{Literals: []*core.Literal{primitive(&core.Primitive{Value: &core.Primitive_Integer{Integer: 1}})}}
	data, _ := proto.Marshal(&core.LiteralMap{Literals: map[string]*core.Literal{
		"n":    primitive(&core.Primitive{Value: &core.Primitive_Integer{Integer: 7}}),
		"s":    primitive(&core.Primitive{Value: &core.Primitive_StringValue{StringValue: "text"}}),
		"f":    primitive(&core.Primitive{Value: &core.Primitive_FloatValue{FloatValue: 0.5}}),
		"blob": scalar(&core.Scalar{Value: &core.Scalar_Blob{Blob: &core.Blob{Uri: s.Root() + "/file"}}}),
		"l":    {Value: &core.Literal_Collection{Collection: list}},
	}})
	if err := s.Write(t.Context(), s.Root()+"/inputs.pb", data); err != nil {
		t.Fatal(err)
	}
	if err := Download(t.Context(), DownloadOptions{Blobs: s, FromRemote: s.Root() + "/inputs.pb", ToLocalDir: dir, ToOutput: s.Root() + "/out", Format: "JSON"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"n": "7", "s": "text", "f": "0.5", "blob": "content", "l/0": "1"} {
		if got := read(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	var all map[string]any
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "inputs.json"))), &all); err != nil || all["s"] != "text" || all["n"] != 7.0 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestAFailedDownloadIsTold(t *testing.T) {
	s := store(t)
	if err := Download(t.Context(), DownloadOptions{Blobs: s, FromRemote: s.Root() + "/absent", ToLocalDir: t.TempDir(), ToOutput: s.Root() + "/out"}); err == nil {
		t.Fatal("no error")
	}
	doc := errorOf(t, s)
	if doc.GetOrigin() != core.ExecutionError_SYSTEM || doc.GetKind() != core.ContainerError_RECOVERABLE {
		t.Errorf("%v", doc)
	}
}

func errorOf(t *testing.T, s *blob.Store) *core.ContainerError {
	t.Helper()
	data, err := s.Read(t.Context(), s.Root()+"/out/error.pb")
	if err != nil {
		t.Fatal(err)
	}
	doc := &core.ErrorDocument{}
	if err := proto.Unmarshal(data, doc); err != nil {
		t.Fatal(err)
	}
	return doc.GetError()
}

// sidecar runs a side-car that is told to end after the files are there.
func sidecar(t *testing.T, s *blob.Store, types map[string]*core.LiteralType, files map[string]string) error {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Sidecar(ctx, SidecarOptions{Blobs: s, FromLocalDir: dir, ToRaw: s.Root() + "/raw", ToOutput: s.Root() + "/out", Interface: flag(t, types)})
	}()
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	return <-done
}

func TestFilesBecomeOutputs(t *testing.T) {
	s := store(t)
	types := map[string]*core.LiteralType{"n": simpleType(core.SimpleType_INTEGER), "s": simpleType(core.SimpleType_STRING), "b": simpleType(core.SimpleType_BOOLEAN),
		"l":    {Type: &core.LiteralType_CollectionType{CollectionType: simpleType(core.SimpleType_STRING)}},
		"blob": {Type: &core.LiteralType_Blob{Blob: &core.BlobType{}}},
		"o": {Type: &core.LiteralType_UnionType{UnionType: &core.UnionType{Variants: []*core.LiteralType{
			simpleType(core.SimpleType_INTEGER), simpleType(core.SimpleType_NONE)}}}}}
	if err := sidecar(t, s, types, map[string]string{"n": " 7\n", "s": "a b\n", "b": "True", "l": `["x","y"]`, "blob": "bytes", "o": "3"}); err != nil {
		t.Fatal(err)
	}
	data, err := s.Read(t.Context(), s.Root()+"/out/outputs.pb")
	if err != nil {
		t.Fatal(err)
	}
	m := &core.LiteralMap{}
	if err := proto.Unmarshal(data, m); err != nil {
		t.Fatal(err)
	}
	l := m.GetLiterals()
	if l["n"].GetScalar().GetPrimitive().GetInteger() != 7 || l["s"].GetScalar().GetPrimitive().GetStringValue() != "a b" ||
		!l["b"].GetScalar().GetPrimitive().GetBoolean() || len(l["l"].GetCollection().GetLiterals()) != 2 ||
		l["o"].GetScalar().GetUnion().GetValue().GetScalar().GetPrimitive().GetInteger() != 3 {
		t.Errorf("%v", l)
	}
	if got, err := s.Read(t.Context(), l["blob"].GetScalar().GetBlob().GetUri()); err != nil || string(got) != "bytes" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWhatGoesWrongIsTold(t *testing.T) {
	types := map[string]*core.LiteralType{"n": simpleType(core.SimpleType_INTEGER)}
	s := store(t)
	if err := sidecar(t, s, types, map[string]string{"n": "seven"}); err != nil {
		t.Fatal(err)
	}
	if e := errorOf(t, s); e.GetCode() != "BadOutput" || e.GetOrigin() != core.ExecutionError_USER {
		t.Errorf("%v", e)
	}
	s = store(t)
	if err := sidecar(t, s, types, map[string]string{"n": "7", "_ERROR": "it broke\n"}); err != nil {
		t.Fatal(err)
	}
	if e := errorOf(t, s); e.GetMessage() != "it broke" {
		t.Errorf("%v", e)
	}
	// What is missing is for the engine to find: the task may have failed.
	s = store(t)
	if err := sidecar(t, s, types, nil); err == nil {
		t.Error("no error")
	}
	if _, err := s.Read(t.Context(), s.Root()+"/out/error.pb"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an error file: %v", err)
	}
}

// TestAPlaceThatCannotBeWritten is the author's to mend, and told in error.pb.
func TestAPlaceThatCannotBeWritten(t *testing.T) {
	s, dir := store(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "copy"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	outputs := flag(t, map[string]*core.LiteralType{"copy": {Type: &core.LiteralType_Blob{Blob: &core.BlobType{}}}})
	if err := Sidecar(ended, SidecarOptions{Blobs: s, FromLocalDir: dir, ToRaw: "s3://elsewhere/x", ToOutput: s.Root() + "/out", Interface: outputs}); err != nil {
		t.Fatal(err)
	}
	data, err := s.Read(t.Context(), s.Root()+"/out/error.pb")
	if err != nil {
		t.Fatal(err)
	}
	doc := &core.ErrorDocument{}
	if err := proto.Unmarshal(data, doc); err != nil {
		t.Fatal(err)
	}
	if e := doc.GetError(); e.GetCode() != "RawOutputNotWritable" || e.GetKind() != core.ContainerError_NON_RECOVERABLE || e.GetOrigin() != core.ExecutionError_USER {
		t.Errorf("error = %v", e)
	}
}
