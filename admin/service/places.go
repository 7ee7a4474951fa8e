package service

import (
	"slices"
	"strings"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// maxPlaces bounds the places of one execution's data; what is more tells
// little about where it should run.
const maxPlaces = 16

// places lists where an execution's inputs and its raw output lie: scheme and
// bucket of a URI, the object store's root, or the first two folders of another
// path. Sorted; at most maxPlaces.
func (s *Service) places(inputs *core.LiteralMap, rawPrefix string) []string {
	found := map[string]bool{}
	root := s.deps.Objects.Root()
	if rawPrefix == "" {
		rawPrefix = s.cfg.RawPrefix
	}
	if rawPrefix == "" {
		rawPrefix = root
	}
	found[place(rawPrefix, root)] = true
	for _, l := range inputs.GetLiterals() {
		eachURI(l, func(uri string) bool {
			found[place(uri, root)] = true
			return len(found) <= maxPlaces
		})
	}
	delete(found, "")
	out := make([]string, 0, len(found))
	for p := range found {
		out = append(out, p)
	}
	slices.Sort(out)
	return out[:min(len(out), maxPlaces)]
}

func place(uri, root string) string {
	if within, ok := strings.CutPrefix(uri, root); root != "" && ok && (within == "" || within[0] == '/' || strings.HasSuffix(root, "/")) {
		return root
	}
	if scheme, rest, isURI := strings.Cut(uri, "://"); isURI {
		bucket, _, _ := strings.Cut(rest, "/")
		if bucket == "" {
			return "" // file:///…: a place on whatever machine reads it
		}
		return scheme + "://" + bucket
	}
	if !strings.HasPrefix(uri, "/") {
		return ""
	}
	folders := strings.Split(strings.Trim(uri, "/"), "/")
	return "/" + strings.Join(folders[:min(len(folders), 2)], "/")
}

// eachURI calls yield with each place that a literal names, until it gives false.
func eachURI(l *core.Literal, yield func(uri string) bool) bool {
	for _, inner := range l.GetCollection().GetLiterals() {
		if !eachURI(inner, yield) {
			return false
		}
	}
	for _, inner := range l.GetMap().GetLiterals() {
		if !eachURI(inner, yield) {
			return false
		}
	}
	scalar := l.GetScalar()
	for _, uri := range []string{scalar.GetBlob().GetUri(), scalar.GetSchema().GetUri(), scalar.GetStructuredDataset().GetUri(), l.GetOffloadedMetadata().GetUri()} {
		if uri != "" && !yield(uri) {
			return false
		}
	}
	if union := scalar.GetUnion().GetValue(); union != nil {
		return eachURI(union, yield)
	}
	return true
}
