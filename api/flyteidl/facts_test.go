package flyteidl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/descriptorpb"
)

// compare returns every difference between two sets of descriptors, in the order of the names: what only want has, what
// only got has, and what both have but differently. It looks at what travels on the wire or as JSON. Options, comments,
// order and HTTP mappings are not part of it.
func compare(want, got *descriptorpb.FileDescriptorSet) []string {
	wants, gots := collect(want), collect(got)

	var diffs []string

	for _, name := range slices.Sorted(maps.Keys(wants)) {
		switch got, ok := gots[name]; {
		case !ok:
			diffs = append(diffs, fmt.Sprintf("missing: %s (%s)", name, wants[name]))
		case got != wants[name]:
			diffs = append(diffs, fmt.Sprintf("differs: %s: want %s, got %s", name, wants[name], got))
		}
	}

	for _, name := range slices.Sorted(maps.Keys(gots)) {
		if _, ok := wants[name]; !ok {
			diffs = append(diffs, fmt.Sprintf("extra: %s (%s)", name, gots[name]))
		}
	}

	return diffs
}

// facts says of each named thing, such as "field flyteidl.core.Blob.uri", what it is.
type facts map[string]string

func collect(set *descriptorpb.FileDescriptorSet) facts {
	all := facts{}

	for _, file := range set.GetFile() {
		pkg := file.GetPackage()
		all["file "+file.GetName()] = "package " + pkg

		for _, message := range file.GetMessageType() {
			all.message(pkg, message)
		}

		for _, enum := range file.GetEnumType() {
			all.enum(pkg, enum)
		}

		for _, service := range file.GetService() {
			all.service(pkg, service)
		}
	}

	return all
}

func (all facts) message(scope string, message *descriptorpb.DescriptorProto) {
	name := scope + "." + message.GetName()
	all["message "+name] = fmt.Sprintf("map entry %v", message.GetOptions().GetMapEntry())

	for _, field := range message.GetField() {
		oneof := "none"
		if field.OneofIndex != nil {
			oneof = message.GetOneofDecl()[field.GetOneofIndex()].GetName()
		}

		all["field "+name+"."+field.GetName()] = fmt.Sprintf("number %d, %s %s%s, oneof %s, proto3 optional %v",
			field.GetNumber(), label(field), kind(field), strings.TrimPrefix(field.GetTypeName(), "."), oneof,
			field.GetProto3Optional())
	}

	for _, oneof := range message.GetOneofDecl() {
		all["oneof "+name+"."+oneof.GetName()] = "declared"
	}

	for _, taken := range message.GetReservedRange() {
		for number := taken.GetStart(); number < taken.GetEnd(); number++ {
			all[fmt.Sprintf("reserved %s %d", name, number)] = "declared"
		}
	}

	for _, nested := range message.GetNestedType() {
		all.message(name, nested)
	}

	for _, enum := range message.GetEnumType() {
		all.enum(name, enum)
	}
}

func (all facts) enum(scope string, enum *descriptorpb.EnumDescriptorProto) {
	name := scope + "." + enum.GetName()
	all["enum "+name] = "declared"

	for _, value := range enum.GetValue() {
		all["enum value "+name+"."+value.GetName()] = fmt.Sprintf("number %d", value.GetNumber())
	}
}

func (all facts) service(scope string, service *descriptorpb.ServiceDescriptorProto) {
	name := scope + "." + service.GetName()
	all["service "+name] = "declared"

	for _, method := range service.GetMethod() {
		all["rpc /"+name+"/"+method.GetName()] = fmt.Sprintf("%s%s to %s%s",
			streamed(method.GetClientStreaming()), strings.TrimPrefix(method.GetInputType(), "."),
			streamed(method.GetServerStreaming()), strings.TrimPrefix(method.GetOutputType(), "."))
	}
}

func label(field *descriptorpb.FieldDescriptorProto) string {
	return strings.ToLower(strings.TrimPrefix(field.GetLabel().String(), "LABEL_"))
}

// kind is the type of a field; messages and enums are followed by their name.
func kind(field *descriptorpb.FieldDescriptorProto) string {
	kind := strings.ToLower(strings.TrimPrefix(field.GetType().String(), "TYPE_"))
	if field.GetTypeName() != "" {
		kind += " "
	}

	return kind
}

func streamed(stream bool) string {
	if stream {
		return "stream "
	}

	return ""
}
