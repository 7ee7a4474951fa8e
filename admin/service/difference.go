package service

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// maxDifferences bounds what a message about a clash tells.
const maxDifferences = 8

// difference lists where two messages of one type differ, one path a line.
func difference(old, now proto.Message) string {
	d := &differ{}
	d.compare("", tree(old), tree(now))
	if d.left > 0 {
		d.lines = append(d.lines, fmt.Sprintf("… and %d more", d.left))
	}
	return strings.Join(d.lines, "\n")
}

func tree(m proto.Message) any {
	var v any
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil || json.Unmarshal(data, &v) != nil {
		return nil
	}
	return v
}

type differ struct {
	lines []string
	left  int
}

func (d *differ) compare(path string, old, now any) {
	if reflect.DeepEqual(old, now) {
		return
	}
	switch o := old.(type) {
	case map[string]any:
		if n, ok := now.(map[string]any); ok {
			keys := maps.Clone(o)
			maps.Copy(keys, n)
			for _, k := range slices.Sorted(maps.Keys(keys)) {
				d.compare(path+"/"+k, o[k], n[k])
			}
			return
		}
	case []any:
		if n, ok := now.([]any); ok && len(n) == len(o) {
			for i := range o {
				d.compare(fmt.Sprintf("%s/%d", path, i), o[i], n[i])
			}
			return
		}
	}
	d.add(path, old, now)
}

func (d *differ) add(path string, old, now any) {
	if len(d.lines) == maxDifferences {
		d.left++
		return
	}
	d.lines = append(d.lines, fmt.Sprintf("%s: %s -> %s", path, brief(old), brief(now)))
}

func brief(v any) string {
	if v == nil {
		return "nothing"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	if len(data) > 80 {
		return strings.ToValidUTF8(string(data[:80]), "") + "…"
	}
	return string(data)
}

// joinURI appends segments to a URI prefix.
func joinURI(base string, segments ...string) string {
	return strings.TrimRight(base, "/") + "/" + strings.Join(segments, "/")
}

// segment makes a free-form name one path segment that cannot climb.
func segment(name string) string {
	escaped := url.PathEscape(name)
	if strings.Trim(escaped, ".") == "" {
		escaped = strings.ReplaceAll(escaped, ".", "%2E")
	}
	return escaped
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
