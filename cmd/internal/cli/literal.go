package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// literals prints a literal map, one name a line.
func literals(w io.Writer, heading string, m *core.LiteralMap) {
	for i, name := range slices.Sorted(maps.Keys(m.GetLiterals())) {
		if i > 0 {
			heading = ""
		}
		fmt.Fprintf(w, "%-10s %s = %s\n", heading, name, literal(m.Literals[name]))
	}
}

// literal prints one literal as a person would write it.
func literal(l *core.Literal) string {
	switch v := l.GetValue().(type) {
	case *core.Literal_Collection:
		var parts []string
		for _, e := range v.Collection.GetLiterals() {
			parts = append(parts, literal(e))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case *core.Literal_Map:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v.Map.GetLiterals())) {
			parts = append(parts, k+": "+literal(v.Map.Literals[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case *core.Literal_Scalar:
		return scalar(v.Scalar)
	case *core.Literal_OffloadedMetadata:
		return "at " + v.OffloadedMetadata.GetUri()
	}
	return "-"
}

func scalar(s *core.Scalar) string {
	switch v := s.GetValue().(type) {
	case *core.Scalar_Primitive:
		return primitive(v.Primitive)
	case *core.Scalar_Blob:
		return v.Blob.GetUri()
	case *core.Scalar_Schema:
		return v.Schema.GetUri()
	case *core.Scalar_StructuredDataset:
		return v.StructuredDataset.GetUri()
	case *core.Scalar_Union:
		return literal(v.Union.GetValue())
	case *core.Scalar_Generic:
		return v.Generic.String()
	case *core.Scalar_Binary:
		return fmt.Sprintf("%d bytes of %s", len(v.Binary.GetValue()), orDash(v.Binary.GetTag()))
	case *core.Scalar_Error:
		return v.Error.GetMessage()
	}
	return "none"
}

func primitive(p *core.Primitive) string {
	switch v := p.GetValue().(type) {
	case *core.Primitive_Integer:
		return strconv.FormatInt(v.Integer, 10)
	case *core.Primitive_FloatValue:
		return strconv.FormatFloat(v.FloatValue, 'g', -1, 64)
	case *core.Primitive_StringValue:
		return strconv.Quote(v.StringValue)
	case *core.Primitive_Boolean:
		return strconv.FormatBool(v.Boolean)
	case *core.Primitive_Datetime:
		return v.Datetime.AsTime().Format(time.RFC3339Nano)
	case *core.Primitive_Duration:
		return v.Duration.AsDuration().String()
	}
	return "none"
}
