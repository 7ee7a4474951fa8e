package compile

import (
	"strings"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// Bounds of a description, since types come from a request.
const (
	describeDepth = 8
	describeWidth = 12
)

// Describe prints a type for people: "collection of integer",
// "union[integer | none]", "blob(csv)". A nil type is "nothing".
func Describe(t *core.LiteralType) string { return describe(t, describeDepth) }

func describe(t *core.LiteralType, depth int) string {
	if depth == 0 {
		return "…"
	}
	switch v := t.GetType().(type) {
	case *core.LiteralType_Simple:
		return strings.ToLower(v.Simple.String())
	case *core.LiteralType_CollectionType:
		return "collection of " + describe(v.CollectionType, depth-1)
	case *core.LiteralType_MapValueType:
		return "map of " + describe(v.MapValueType, depth-1)
	case *core.LiteralType_UnionType:
		variants := v.UnionType.GetVariants()
		names := make([]string, 0, min(len(variants), describeWidth+1))
		for _, variant := range head(variants) {
			names = append(names, describe(variant, depth-1))
		}
		return "union[" + joined(names, len(variants), " | ") + "]"
	case *core.LiteralType_EnumType:
		values := v.EnumType.GetValues()
		return "enum[" + joined(append([]string(nil), head(values)...), len(values), ", ") + "]"
	case *core.LiteralType_Blob:
		return withFormat("blob", v.Blob.GetFormat())
	case *core.LiteralType_StructuredDatasetType:
		return withFormat("structured dataset", v.StructuredDatasetType.GetFormat())
	case *core.LiteralType_Schema:
		return "schema"
	}
	return "nothing"
}

func head[T any](s []T) []T { return s[:min(len(s), describeWidth)] }

func joined(names []string, total int, separator string) string {
	if total > len(names) {
		names = append(names, "…")
	}
	return strings.Join(names, separator)
}

func withFormat(name, format string) string {
	if format == "" {
		return name
	}
	return name + "(" + format + ")"
}
