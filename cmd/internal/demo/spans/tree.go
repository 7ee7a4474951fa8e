package spans

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"time"
)

// Tree prints spans of one trace as a tree, children by their start. A span
// whose parent is not among them hangs below the root, marked as such.
func Tree(w io.Writer, spans []Span) {
	sort.Slice(spans, func(i, j int) bool { return spans[i].Start.Before(spans[j].Start) })
	known := map[string]bool{}
	for _, s := range spans {
		known[s.ID] = true
	}
	children := map[string][]Span{}
	var roots []Span
	for _, s := range spans {
		if s.Parent != "" && known[s.Parent] {
			children[s.Parent] = append(children[s.Parent], s)
			continue
		}
		roots = append(roots, s)
	}
	for i, s := range roots {
		printSpan(w, s, "", i == len(roots)-1, spans[0].Start, children)
	}
}

func printSpan(w io.Writer, s Span, indent string, last bool, zero time.Time, children map[string][]Span) {
	branch, next := "├─ ", "│  "
	if last {
		branch, next = "└─ ", "   "
	}
	label := fmt.Sprintf("%s%s%s", indent, branch, s.Name)
	fmt.Fprintf(w, "%-58s %-16s %-9s +%-9s %s\n", label, where(s), s.End.Sub(s.Start).Round(100*time.Microsecond),
		s.Start.Sub(zero).Round(time.Millisecond), details(s))
	list := children[s.ID]
	for i, c := range list {
		printSpan(w, c, indent+next, i == len(list)-1, zero, children)
	}
}

// where is the cluster that a span is about, or the replica that made it.
func where(s Span) string {
	for _, key := range []string{"cluster", "replica"} {
		if v := s.Attrs[key]; v != "" {
			return v
		}
	}
	return s.Service
}

func details(s Span) string {
	var parts []string
	for _, key := range []string{"epoch", "node", "attempt"} {
		if v := s.Attrs[key]; v != "" {
			parts = append(parts, key+"="+v)
		}
	}
	return strings.Join(parts, " ")
}
