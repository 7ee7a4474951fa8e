package flyteidl

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "github.com/skein-project/skein/api/flyteidl/admin"
	_ "github.com/skein-project/skein/api/flyteidl/cacheservice"
	_ "github.com/skein-project/skein/api/flyteidl/core"
	_ "github.com/skein-project/skein/api/flyteidl/datacatalog"
	_ "github.com/skein-project/skein/api/flyteidl/event"
	_ "github.com/skein-project/skein/api/flyteidl/plugins"
	_ "github.com/skein-project/skein/api/flyteidl/plugins/kubeflow"
	_ "github.com/skein-project/skein/api/flyteidl/service"
	"github.com/skein-project/skein/deploy/local/venv"
)

func TestContractIsThatOfThePythonPackage(t *testing.T) {
	want := pythonFiles(t)
	got := linkedFiles()

	if len(want.GetFile()) == 0 {
		t.Fatal("the Python package holds no descriptors")
	}

	for _, diff := range compare(want, got) {
		t.Error(diff)
	}
}

func TestCompareFindsPlantedDifferences(t *testing.T) {
	for _, tc := range []struct {
		name  string
		plant func(*descriptorpb.FileDescriptorSet)
		want  []string
		why   string
	}{
		{
			name:  "nothing planted",
			plant: func(*descriptorpb.FileDescriptorSet) {},
			why:   "a set is equal to its copy",
		},
		{
			name: "a field is renamed",
			plant: func(set *descriptorpb.FileDescriptorSet) {
				field(set, "flyteidl.core.Blob", "uri").Name = proto.String("url")
			},
			want: []string{"missing: field flyteidl.core.Blob.uri ", "extra: field flyteidl.core.Blob.url "},
			why:  "the name is the key in JSON",
		},
		{
			name: "a field gets another number",
			plant: func(set *descriptorpb.FileDescriptorSet) {
				field(set, "flyteidl.core.Blob", "uri").Number = proto.Int32(2)
			},
			want: []string{"differs: field flyteidl.core.Blob.uri: want number 3"},
			why:  "the number is the key in binary",
		},
		{
			name: "a field gets another type",
			plant: func(set *descriptorpb.FileDescriptorSet) {
				field(set, "flyteidl.core.RetryStrategy", "retries").Type = descriptorpb.FieldDescriptorProto_TYPE_INT32.Enum()
			},
			want: []string{"differs: field flyteidl.core.RetryStrategy.retries: want number 5, optional uint32"},
			why:  "types of one width still read differently",
		},
		{
			name: "a field holds another message",
			plant: func(set *descriptorpb.FileDescriptorSet) {
				field(set, "flyteidl.core.Literal", "collection").TypeName = proto.String(".flyteidl.core.LiteralMap")
			},
			want: []string{"differs: field flyteidl.core.Literal.collection: want"},
			why:  "two messages of one shape today may part tomorrow",
		},
		{
			name: "a field stops repeating",
			plant: func(set *descriptorpb.FileDescriptorSet) {
				field(set, "flyteidl.core.LiteralCollection", "literals").Label =
					descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
			},
			want: []string{"differs: field flyteidl.core.LiteralCollection.literals: want number 1, repeated"},
			why:  "all but the last element would be lost",
		},
		{
			name: "a map becomes a list of pairs",
			plant: func(set *descriptorpb.FileDescriptorSet) {
				message(set, "flyteidl.core.LiteralMap.LiteralsEntry").Options = nil
			},
			want: []string{"differs: message flyteidl.core.LiteralMap.LiteralsEntry: want map entry true"},
			why:  "binary is the same, JSON is not",
		},
		{
			name: "a field leaves its oneof",
			plant: func(set *descriptorpb.FileDescriptorSet) {
				field(set, "flyteidl.core.Literal", "map").OneofIndex = nil
			},
			want: []string{"differs: field flyteidl.core.Literal.map: want"},
			why:  "setting it would no longer clear the others",
		},
		{
			name: "an enum loses a value",
			plant: func(set *descriptorpb.FileDescriptorSet) {
				enum := file(set, "flyteidl/core/catalog.proto").GetEnumType()[0]
				enum.Value = enum.GetValue()[:7]
			},
			want: []string{"missing: enum value flyteidl.core.CatalogCacheStatus.CACHE_EVICTED "},
			why:  "JSON with that value would be refused",
		},
		{
			name: "an rpc is renamed",
			plant: func(set *descriptorpb.FileDescriptorSet) {
				file(set, "flyteidl/service/identity.proto").GetService()[0].GetMethod()[0].Name = proto.String("WhoAmI")
			},
			want: []string{
				"missing: rpc /flyteidl.service.IdentityService/UserInfo ",
				"extra: rpc /flyteidl.service.IdentityService/WhoAmI ",
			},
			why: "the name is the path that a client calls",
		},
		{
			name: "an rpc stops streaming",
			plant: func(set *descriptorpb.FileDescriptorSet) {
				file(set, "flyteidl/service/agent.proto").GetService()[0].GetMethod()[0].ServerStreaming = nil
			},
			want: []string{"differs: rpc /flyteidl.service.SyncAgentService/ExecuteTaskSync: want stream"},
			why:  "a client waits for a stream",
		},
		{
			name: "a reserved number is freed",
			plant: func(set *descriptorpb.FileDescriptorSet) {
				message(set, "flyteidl.core.ArtifactBindingData").GetReservedRange()[0].Start = proto.Int32(2)
			},
			want: []string{"missing: reserved flyteidl.core.ArtifactBindingData 1 "},
			why:  "old data holds another type under that number",
		},
		{
			name: "a file is missing",
			plant: func(set *descriptorpb.FileDescriptorSet) {
				gone := file(set, "flyteidl/plugins/waitable.proto")
				set.File = slices.DeleteFunc(set.GetFile(), func(f *descriptorpb.FileDescriptorProto) bool { return f == gone })
			},
			want: []string{
				"missing: field flyteidl.plugins.Waitable.phase ",
				"missing: field flyteidl.plugins.Waitable.wf_exec_id ",
				"missing: field flyteidl.plugins.Waitable.workflow_id ",
				"missing: file flyteidl/plugins/waitable.proto ",
				"missing: message flyteidl.plugins.Waitable ",
			},
			why: "the path is part of the registry",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := linkedFiles()
			got := proto.CloneOf(want)
			tc.plant(got)

			diffs := compare(want, got)
			if len(diffs) != len(tc.want) {
				t.Fatalf("%d differences, want %d: %s\n%s", len(diffs), len(tc.want), tc.why, strings.Join(diffs, "\n"))
			}

			for i, want := range tc.want {
				if !strings.HasPrefix(diffs[i], want) {
					t.Errorf("difference %q does not start with %q: %s", diffs[i], want, tc.why)
				}
			}
		})
	}
}

// pythonFiles returns the descriptors that the Python package holds, or skips where it cannot be had.
func pythonFiles(t *testing.T) *descriptorpb.FileDescriptorSet {
	t.Helper()

	dir, err := venv.Ensure(t.Context(), func(line string) { t.Log(line) })
	if errors.Is(err, venv.ErrUnavailable) {
		fmt.Fprintln(os.Stdout, venv.SkipLine)
		t.SkipNow()
	}

	if err != nil {
		t.Fatal(err)
	}

	var stderr bytes.Buffer

	dump := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", "python"), "-I", filepath.Join("testdata", "dump.py"))
	dump.Stderr = &stderr

	out, err := dump.Output()
	if err != nil {
		t.Fatalf("dump descriptors: %v\n%s", err, &stderr)
	}

	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(out, set); err != nil {
		t.Fatalf("read descriptors: %v", err)
	}

	return set
}

// linkedFiles returns the descriptors of the generated packages.
func linkedFiles() *descriptorpb.FileDescriptorSet {
	set := &descriptorpb.FileDescriptorSet{}

	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(file.Path(), "flyteidl/") {
			set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
		}

		return true
	})

	return set
}

func file(set *descriptorpb.FileDescriptorSet, path string) *descriptorpb.FileDescriptorProto {
	for _, file := range set.GetFile() {
		if file.GetName() == path {
			return file
		}
	}

	panic("no file " + path)
}

// message finds a message by its full name.
func message(set *descriptorpb.FileDescriptorSet, name string) *descriptorpb.DescriptorProto {
	for _, file := range set.GetFile() {
		if found := within(file.GetPackage(), file.GetMessageType(), name); found != nil {
			return found
		}
	}

	panic("no message " + name)
}

func within(scope string, messages []*descriptorpb.DescriptorProto, name string) *descriptorpb.DescriptorProto {
	for _, message := range messages {
		full := scope + "." + message.GetName()
		if full == name {
			return message
		}

		if found := within(full, message.GetNestedType(), name); found != nil {
			return found
		}
	}

	return nil
}

func field(set *descriptorpb.FileDescriptorSet, owner, name string) *descriptorpb.FieldDescriptorProto {
	for _, field := range message(set, owner).GetField() {
		if field.GetName() == name {
			return field
		}
	}

	panic("no field " + name + " in " + owner)
}
