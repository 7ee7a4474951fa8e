package compile

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// Budgets of comparisons. Types come from requests, and comparing two nested
// unions takes as many steps as the product of their sizes.
const (
	castBudget    = 1 << 20
	compileBudget = 1 << 23
)

// Castable reports whether a value of type up may be given where down is
// expected. Types without content are castable to nothing.
func Castable(up, down *core.LiteralType) bool {
	c := caster{left: castBudget}
	return c.castable(up, down)
}

// caster compares types within a budget; a spent one finds nothing castable.
type caster struct{ left int }

func (c *caster) spend() bool {
	c.left--
	return c.left > 0
}

// charge spends what a step of linear cost is worth.
func (c *caster) charge(n int) { c.left -= n }

func (c *caster) castable(up, down *core.LiteralType) bool {
	if !c.spend() || up.GetType() == nil || down.GetType() == nil {
		return false
	}
	if up.GetUnionType() != nil {
		return c.everyVariant(up.GetUnionType().GetVariants(), down)
	}
	return c.plain(up, down)
}

// plain compares a type that is no union with any other.
func (c *caster) plain(up, down *core.LiteralType) bool {
	switch d := down.GetType().(type) {
	case *core.LiteralType_UnionType:
		return c.variant(up, d.UnionType.GetVariants()) == oneVariant
	case *core.LiteralType_Simple:
		return c.toSimple(up, down)
	case *core.LiteralType_CollectionType:
		return c.elements(up.GetCollectionType(), d.CollectionType)
	case *core.LiteralType_MapValueType:
		return c.elements(up.GetMapValueType(), d.MapValueType)
	case *core.LiteralType_EnumType:
		return c.toEnum(up, d.EnumType)
	case *core.LiteralType_Blob:
		return toBlob(up, d.Blob)
	case *core.LiteralType_Schema:
		return c.toSchema(up, d.Schema)
	case *core.LiteralType_StructuredDatasetType:
		return c.toDataset(up, d.StructuredDatasetType)
	}
	return false
}

// elements compares what two collections or two maps hold. One whose elements
// are NONE is empty and fits any.
func (c *caster) elements(up, down *core.LiteralType) bool {
	if up == nil || down == nil {
		return false
	}
	return isNone(up) || c.castable(up, down)
}

// everyVariant: a union may be given where each of its variants may. Against a
// union it is enough that each fits some variant, so that a union of types
// that fit one another still fits itself.
func (c *caster) everyVariant(up []*core.LiteralType, down *core.LiteralType) bool {
	for _, u := range up {
		if down.GetUnionType() == nil || u.GetUnionType() != nil {
			if !c.castable(u, down) {
				return false
			}
			continue
		}
		if !c.some(u, down.GetUnionType().GetVariants()) {
			return false
		}
	}
	return len(up) > 0
}

// some reports whether a plain type fits any variant, however deep.
func (c *caster) some(up *core.LiteralType, variants []*core.LiteralType) bool {
	for _, v := range variants {
		if v.GetUnionType() != nil && c.spend() && c.some(up, v.GetUnionType().GetVariants()) || c.castable(up, v) {
			return true
		}
	}
	return false
}

// match says how many variants of a union a plain type fits.
type match int

const (
	noVariant match = iota
	oneVariant
	manyVariants
)

// variant: NONE fits a union that has NONE, whatever else accepts it. Another
// type fits if it fits exactly one variant; its tag decides among several.
func (c *caster) variant(up *core.LiteralType, variants []*core.LiteralType) match {
	fits, tagged := 0, 0
	for _, v := range variants {
		if isNone(up) && isNone(v) {
			return oneVariant
		}
		if !c.castable(up, v) {
			continue
		}
		fits++
		if tag := up.GetStructure().GetTag(); tag != "" && tag == v.GetStructure().GetTag() {
			tagged++
		}
	}
	switch {
	case fits == 0:
		return noVariant
	case fits == 1 || tagged == 1:
		return oneVariant
	}
	return manyVariants
}

func (c *caster) toSimple(up, down *core.LiteralType) bool {
	if up.GetEnumType() != nil {
		return down.GetSimple() == core.SimpleType_STRING
	}
	if _, ok := up.GetType().(*core.LiteralType_Simple); !ok || up.GetSimple() != down.GetSimple() {
		return false
	}
	a, b := up.GetStructure().GetTag(), down.GetStructure().GetTag()
	if a != "" && b != "" && a != b {
		return false
	}
	if up.GetSimple() != core.SimpleType_STRUCT || up.GetMetadata() == nil || down.GetMetadata() == nil {
		return true
	}
	return proto.Equal(up.GetMetadata(), down.GetMetadata()) || c.schemaFits(up.GetMetadata(), down.GetMetadata())
}

func (c *caster) toEnum(up *core.LiteralType, down *core.EnumType) bool {
	if up.GetEnumType() == nil {
		return up.GetSimple() == core.SimpleType_STRING
	}
	c.charge(len(down.GetValues()))
	known := make(map[string]bool, len(down.GetValues()))
	for _, v := range down.GetValues() {
		known[v] = true
	}
	for _, v := range up.GetEnumType().GetValues() {
		if !known[v] {
			return false
		}
	}
	return true
}

func toBlob(up *core.LiteralType, down *core.BlobType) bool {
	_, ok := up.GetType().(*core.LiteralType_Blob)
	return ok && sameFormat(up.GetBlob().GetFormat(), down.GetFormat(), strings.Compare)
}

// sameFormat: an unstated format fits any.
func sameFormat(up, down string, compare func(a, b string) int) bool {
	return up == "" || down == "" || compare(up, down) == 0
}

func foldCompare(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }

// parquet is the format of every schema.
const parquet = "parquet"

func (c *caster) toSchema(up *core.LiteralType, down *core.SchemaType) bool {
	if s := up.GetStructuredDatasetType(); s != nil && !sameFormat(s.GetFormat(), parquet, foldCompare) {
		return false
	}
	have, ok := columns(up)
	want, _ := columns(&core.LiteralType{Type: &core.LiteralType_Schema{Schema: down}})
	return ok && c.columnsFit(have, want)
}

func (c *caster) toDataset(up *core.LiteralType, down *core.StructuredDatasetType) bool {
	if isNone(up) {
		return true
	}
	format := parquet
	if s := up.GetStructuredDatasetType(); s != nil {
		format = s.GetFormat()
	}
	have, ok := columns(up)
	want, _ := columns(&core.LiteralType{Type: &core.LiteralType_StructuredDatasetType{StructuredDatasetType: down}})
	return ok && sameFormat(format, down.GetFormat(), foldCompare) && c.columnsFit(have, want)
}

// columnsFit: what is wanted must be a subset of what there is. Unstated
// columns, on either side, say nothing.
func (c *caster) columnsFit(have, want map[string]*core.LiteralType) bool {
	c.charge(len(have))
	if len(have) == 0 {
		return true
	}
	for name, t := range want {
		if have[name] == nil || !c.castable(have[name], t) {
			return false
		}
	}
	return true
}

var columnTypes = map[core.SchemaType_SchemaColumn_SchemaColumnType]core.SimpleType{
	core.SchemaType_SchemaColumn_INTEGER:  core.SimpleType_INTEGER,
	core.SchemaType_SchemaColumn_FLOAT:    core.SimpleType_FLOAT,
	core.SchemaType_SchemaColumn_STRING:   core.SimpleType_STRING,
	core.SchemaType_SchemaColumn_BOOLEAN:  core.SimpleType_BOOLEAN,
	core.SchemaType_SchemaColumn_DATETIME: core.SimpleType_DATETIME,
	core.SchemaType_SchemaColumn_DURATION: core.SimpleType_DURATION,
}

// columns lists the columns of a schema or a structured dataset; false for any
// other type.
func columns(t *core.LiteralType) (map[string]*core.LiteralType, bool) {
	out := map[string]*core.LiteralType{}
	switch v := t.GetType().(type) {
	case *core.LiteralType_Schema:
		for _, column := range v.Schema.GetColumns() {
			out[column.GetName()] = simple(columnTypes[column.GetType()])
		}
	case *core.LiteralType_StructuredDatasetType:
		for _, column := range v.StructuredDatasetType.GetColumns() {
			out[column.GetName()] = column.GetLiteralType()
		}
	default:
		return nil, false
	}
	return out, true
}

func simple(s core.SimpleType) *core.LiteralType {
	return &core.LiteralType{Type: &core.LiteralType_Simple{Simple: s}}
}

func isNone(t *core.LiteralType) bool {
	s, ok := t.GetType().(*core.LiteralType_Simple)
	return ok && s.Simple == core.SimpleType_NONE
}

// optional reports whether nothing may be given: a union that has NONE.
func optional(t *core.LiteralType) bool {
	for _, v := range t.GetUnionType().GetVariants() {
		if isNone(v) {
			return true
		}
	}
	return false
}
