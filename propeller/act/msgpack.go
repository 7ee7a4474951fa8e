package act

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/skein-project/skein/api/flyteidl/core"
)

const (
	tagMsgpack = "msgpack"
	// maxNesting bounds how deep maps and lists of a msgpack value lie within
	// each other. The packer of Python ends at 511.
	maxNesting = 1000
)

// The library calls itself for each level and makes room for as many items as a
// value says it has, so it gets nothing here but values without items: a stack
// that overflows ends the process, with all that it drives, and does so again
// after each start.
var (
	errNested = fmt.Errorf("its maps and lists are nested deeper than %d: let the task give a flatter one", maxNesting)
	errShort  = errors.New("it ends too early")
)

// inMsgpack cuts the value out as it is encoded: the receiving task decodes it.
func inMsgpack(raw []byte, path []*core.PromiseAttribute) (*core.Literal, error) {
	if _, err := extent(raw); err != nil {
		return nil, unreachable("%s cannot be looked up in the msgpack value: %v", name(path[0]), err)
	}
	for _, step := range path {
		next, err := msgpackChild(raw, step)
		if err != nil {
			return nil, unreachable("%s cannot be looked up in the msgpack value: %v", name(step), err)
		}
		if next == nil {
			return nil, unreachable("%s is not in the msgpack value", name(step))
		}
		raw = next
	}
	return scalar(&core.Scalar{Value: &core.Scalar_Binary{Binary: &core.Binary{Value: raw, Tag: tagMsgpack}}}), nil
}

// simpleMsgpack decodes a value that is neither a map nor a list; those it gives
// back as they are.
func simpleMsgpack(raw []byte) (any, error) {
	if _, err := extent(raw); err != nil {
		return nil, err
	}
	if isMap(raw[0]) || isList(raw[0]) {
		return raw, nil
	}
	return msgpack.NewDecoder(bytes.NewReader(raw)).DecodeInterfaceLoose()
}

// msgpackChild is an element of a list or the value of a key; nil if there is none.
func msgpackChild(raw []byte, step *core.PromiseAttribute) ([]byte, error) {
	at, items, err := head(raw)
	switch {
	case err != nil:
		return nil, err
	case isList(raw[0]):
		return msgpackElement(raw[at:], items, int(step.GetIntValue()))
	case isMap(raw[0]):
		return msgpackValue(raw[at:], items/2, step)
	}
	return nil, nil
}

func msgpackElement(rest []byte, items, i int) ([]byte, error) {
	if i < 0 || i >= items {
		return nil, nil
	}
	for range i {
		_, after, err := cut(rest)
		if err != nil {
			return nil, err
		}
		rest = after
	}
	element, _, err := cut(rest)
	return element, err
}

func msgpackValue(rest []byte, pairs int, step *core.PromiseAttribute) ([]byte, error) {
	var src bytes.Reader
	d := msgpack.NewDecoder(&src)
	for range pairs {
		key, after, err := cut(rest)
		if err != nil {
			return nil, err
		}
		value, after, err := cut(after)
		if err != nil {
			return nil, err
		}
		rest = after
		if isMap(key[0]) || isList(key[0]) {
			continue
		}
		src.Reset(key)
		k, err := d.DecodeInterfaceLoose()
		if err != nil {
			return nil, err
		}
		if matches(k, step) {
			return value, nil
		}
	}
	return nil, nil
}

func matches(key any, step *core.PromiseAttribute) bool {
	if v, ok := step.GetValue().(*core.PromiseAttribute_IntValue); ok {
		n, isInt := key.(int64)
		return isInt && n == int64(v.IntValue)
	}
	s, isString := key.(string)
	return isString && s == step.GetStringValue()
}

// cut takes the first value off.
func cut(b []byte) (value, rest []byte, err error) {
	n, err := extent(b)
	if err != nil {
		return nil, nil, err
	}
	return b[:n:n], b[n:], nil
}

// extent is the length of the value that b begins with, all its items included.
// It counts instead of calling itself, and reads no further than b goes.
func extent(b []byte) (int, error) {
	at, left := 0, []int{1} // values still to come, by level
	for len(left) > 0 {
		level := len(left) - 1
		if left[level] == 0 {
			left = left[:level]
			continue
		}
		left[level]--
		n, items, err := head(b[at:])
		if err != nil {
			return 0, err
		}
		at += n
		if items == 0 {
			continue
		}
		if level == maxNesting {
			return 0, errNested
		}
		left = append(left, items)
	}
	return at, nil
}

func isMap(c byte) bool {
	return msgpcode.IsFixedMap(c) || c == msgpcode.Map16 || c == msgpcode.Map32
}

func isList(c byte) bool {
	return msgpcode.IsFixedArray(c) || c == msgpcode.Array16 || c == msgpcode.Array32
}

// shape says what follows a type byte.
type shape struct {
	count int // bytes of a number that says how many bytes, elements or pairs there are
	body  int // bytes besides
	items int // values for each that is counted; 0: bytes are counted
}

// shapes are those of the type bytes from 0xc0 to 0xdf.
var shapes = [...]shape{
	{}, {}, {}, {}, // nil, unused, false, true
	{count: 1}, {count: 2}, {count: 4}, // bin
	{count: 1, body: 1}, {count: 2, body: 1}, {count: 4, body: 1}, // ext, which has a type of its own
	{body: 4}, {body: 8}, // floats
	{body: 1}, {body: 2}, {body: 4}, {body: 8}, // unsigned
	{body: 1}, {body: 2}, {body: 4}, {body: 8}, // signed
	{body: 2}, {body: 3}, {body: 5}, {body: 9}, {body: 17}, // ext of fixed length
	{count: 1}, {count: 2}, {count: 4}, // str
	{count: 2, items: 1}, {count: 4, items: 1}, // array
	{count: 2, items: 2}, {count: 4, items: 2}, // map
}

const (
	firstShape = 0xc0
	unused     = 0xc1
)

// head gives how many bytes come before the first item of a value, and how many
// items follow: keys and values count one each. Without items, it is all of it.
func head(b []byte) (size, items int, err error) {
	if len(b) == 0 {
		return 0, 0, errShort
	}
	switch c := b[0]; {
	case msgpcode.IsFixedNum(c):
		return 1, 0, nil
	case msgpcode.IsFixedMap(c):
		return 1, 2 * int(c&msgpcode.FixedMapMask), nil
	case msgpcode.IsFixedArray(c):
		return 1, int(c & msgpcode.FixedArrayMask), nil
	case msgpcode.IsFixedString(c):
		size = 1 + int(c&msgpcode.FixedStrMask)
	case c == unused:
		return 0, 0, fmt.Errorf("it has the type byte %#x, which means nothing", c)
	default:
		s := shapes[c-firstShape]
		size = 1 + s.count + s.body
		if len(b) < size {
			return 0, 0, errShort
		}
		n := counted(b[1 : 1+s.count])
		if items = n * s.items; s.items == 0 {
			size += n
		}
	}
	if len(b) < size {
		return 0, 0, errShort
	}
	return size, items, nil
}

// counted reads a number of no bytes up to four.
func counted(b []byte) int {
	var wide [4]byte
	copy(wide[len(wide)-len(b):], b)
	return int(binary.BigEndian.Uint32(wide[:]))
}
