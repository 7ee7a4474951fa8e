package act

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/propeller/workflow"
)

func packed(raw []byte) *core.Literal {
	return scalar(&core.Scalar{Value: &core.Scalar_Binary{Binary: &core.Binary{Value: raw, Tag: tagMsgpack}}})
}

// resolved takes an attribute of a value that a task left, or compares it.
func resolved(t *testing.T, raw []byte, at []*core.PromiseAttribute, compared bool) (*core.Literal, error) {
	t.Helper()
	data, err := proto.Marshal(&core.LiteralMap{Literals: map[string]*core.Literal{"o0": packed(raw)}})
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{blobs: memory{"out": data}}
	ref := &core.OutputReference{NodeId: "n0", Var: "o0", AttrPath: at}
	got, _, err := r.inputs(t.Context(), workflow.Inputs{Compared: compared, Sources: map[string]workflow.Source{"n0": {URI: "out"}},
		Bindings: []*core.Binding{{Var: "a", Binding: &core.BindingData{Value: &core.BindingData_Promise{Promise: ref}}}}})
	return got.GetLiterals()["a"], err
}

// TestHostileValuesEndNothingButTheirWorkflow: some of these, no larger than an
// output may be, overflowed the stack or the memory of the whole process.
func TestHostileValuesEndNothingButTheirWorkflow(t *testing.T) {
	const size = 10 << 20
	lists := bytes.Repeat([]byte{0x91}, size)
	ext32 := binary.BigEndian.AppendUint32([]byte{0xc9}, size+2)
	for _, c := range []struct {
		name     string
		raw      []byte
		path     []*core.PromiseAttribute
		compared bool
		why      string // in the failure
	}{
		{"lists, by attribute", lists, path(0), false, "nested deeper than 1000"},
		{"lists, compared", lists, nil, true, "nested deeper than 1000"},
		{"an attribute behind them", append([]byte{0x92}, lists...), path(1), false, "nested deeper than 1000"},
		{"maps", bytes.Repeat([]byte{0x81, 0xa1, 'k'}, size/3), path("k"), false, "nested deeper than 1000"},
		{"maps that are keys", bytes.Repeat([]byte{0x81}, size), path("k"), false, "nested deeper than 1000"},
		{"a key that is lists", append([]byte{0x81}, lists...), path("k"), false, "nested deeper than 1000"},
		{"lists of 16 bits", bytes.Repeat([]byte{0xdc, 0, 1}, size/3), path(0), false, "nested deeper than 1000"},
		{"lists of 32 bits", bytes.Repeat([]byte{0xdd, 0, 0, 0, 1}, size/5), path(0), false, "nested deeper than 1000"},
		{"maps of 16 bits", bytes.Repeat([]byte{0xde, 0, 1, 1}, size/4), path("k"), false, "nested deeper than 1000"},
		{"maps of 32 bits", bytes.Repeat([]byte{0xdf, 0, 0, 0, 1, 1}, size/6), path("k"), false, "nested deeper than 1000"},
		{"lists in an extension", slices.Concat(ext32, []byte{0, 0x81, 0xa1, 'k'}, lists), path("k"), false, "is not in the msgpack value"},
		{"a list that says it is huge", []byte{0xdd, 255, 255, 255, 255, 1}, nil, true, "ends too early"},
		{"a map that says it is huge", []byte{0xdf, 255, 255, 255, 255, 1, 1}, nil, true, "ends too early"},
		{"huge lists in each other", bytes.Repeat([]byte{0xdd, 255, 255, 255, 255}, 900), nil, true, "ends too early"},
		{"nothing", nil, nil, true, "ends too early"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := resolved(t, c.raw, c.path, c.compared)
			var f *workflow.Failure
			if !errors.As(err, &f) || f.Code != "PromiseAttributeResolveError" || f.Retryable || f.System {
				t.Fatalf("%v, want a failure of the user's", err)
			}
			if !strings.Contains(f.Message, c.why) || !strings.HasPrefix(f.Message, "resolve a: ") {
				t.Errorf("it says %q, want the input and %q", f.Message, c.why)
			}
		})
	}
}

func TestNestingUpToTheLimitIsRead(t *testing.T) {
	for deep, want := range map[int]bool{maxNesting: true, maxNesting + 1: false} {
		raw := append(bytes.Repeat([]byte{0x91}, deep), 7)
		got, err := resolved(t, raw, path(0), false)
		if (err == nil) != want || want && !bytes.Equal(got.GetScalar().GetBinary().GetValue(), raw[1:]) {
			t.Errorf("attribute of %d levels: %v", deep, err)
		}
		if got, err = resolved(t, raw, nil, true); (err == nil) != want || want && !proto.Equal(got, packed(raw)) {
			t.Errorf("comparison of %d levels: %v", deep, err)
		}
	}
	// A key that no attribute can have is passed over.
	got, err := resolved(t, []byte{0x82, 0x91, 1, 2, 0xa1, 'k', 3}, path("k"), false)
	if err != nil || !bytes.Equal(got.GetScalar().GetBinary().GetValue(), []byte{3}) {
		t.Errorf("beside a list that is a key: %v, %v", got, err)
	}
}

// one of each type byte that is followed by something, with what follows.
var each = [][]byte{
	{0x05}, {0xff}, {0x80}, {0x82, 1, 2, 3, 4}, {0x90}, {0x92, 1, 2}, {0xa0}, {0xa2, 'a', 'b'}, {0xc0}, {0xc2}, {0xc3},
	{0xc4, 1, 9}, {0xc5, 0, 1, 9}, {0xc6, 0, 0, 0, 1, 9}, {0xc7, 1, 5, 9}, {0xc8, 0, 1, 5, 9}, {0xc9, 0, 0, 0, 1, 5, 9},
	{0xca, 1, 2, 3, 4}, {0xcb, 1, 2, 3, 4, 5, 6, 7, 8}, {0xcc, 1}, {0xcd, 1, 2}, {0xce, 1, 2, 3, 4}, {0xcf, 1, 2, 3, 4, 5, 6, 7, 8},
	{0xd0, 1}, {0xd1, 1, 2}, {0xd2, 1, 2, 3, 4}, {0xd3, 1, 2, 3, 4, 5, 6, 7, 8}, {0xd4, 5, 1}, {0xd5, 5, 1, 2}, {0xd6, 5, 1, 2, 3, 4},
	append([]byte{0xd7, 5}, make([]byte, 8)...), append([]byte{0xd8, 5}, make([]byte, 16)...), {0xd9, 1, 'a'}, {0xda, 0, 1, 'a'},
	{0xdb, 0, 0, 0, 1, 'a'}, {0xdc, 0, 1, 9}, {0xdd, 0, 0, 0, 1, 9}, {0xde, 0, 1, 8, 9}, {0xdf, 0, 0, 0, 1, 8, 9},
}

func TestExtents(t *testing.T) {
	for _, raw := range each {
		if n, err := extent(append(slices.Clone(raw), 0xc1)); n != len(raw) || err != nil {
			t.Errorf("% x: %d, %v, want %d", raw, n, err, len(raw))
		}
		for short := range raw {
			if _, err := extent(raw[:short]); !errors.Is(err, errShort) {
				t.Errorf("% x of % x: %v", raw[:short], raw, err)
			}
		}
	}
	if _, err := extent([]byte{0xc1}); err == nil || !strings.Contains(err.Error(), "0xc1") {
		t.Errorf("the unused type byte: %v", err)
	}
}

// FuzzExtent: what the library reads, we read, and as far as it does.
func FuzzExtent(f *testing.F) {
	for _, raw := range each {
		f.Add(raw)
	}
	f.Add(slices.Concat([]byte{0xdc, 0, byte(len(each))}, slices.Concat(each...)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 1<<12 {
			t.Skip()
		}
		n, err := extent(raw)
		if errors.Is(err, errNested) {
			return
		}
		read, theirs := msgpack.NewDecoder(bytes.NewReader(raw)).DecodeRaw()
		if (err == nil) != (theirs == nil) || err == nil && !bytes.Equal(raw[:n], read) {
			t.Errorf("% x: %d, %v; the library has % x, %v", raw, n, err, read, theirs)
		}
	})
}
