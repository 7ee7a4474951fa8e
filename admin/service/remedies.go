package service

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/skein-project/skein/api/flow"
)

// remedy says what would have to change for the clusters that one filter
// refused; effort orders remedies, the easiest first.
type remedy struct {
	effort int
	text   func(clusters, message string, r flow.Requirement) string
}

var remedyOf = map[string]remedy{
	"capacity": {1, func(c, m string, r flow.Requirement) string {
		return fmt.Sprintf("Wait for room on %s, which comes as others end (%s); or give it more nodes.", c, m)
	}},
	"quota": {1, func(c, m string, _ flow.Requirement) string {
		return fmt.Sprintf("Wait until others of the project and domain end, or raise their quota: %s (skein policy).", m)
	}},
	"health": {2, func(c, m string, _ flow.Requirement) string {
		return fmt.Sprintf("Bring %s back: %s.", c, m)
	}},
	"cordon": {2, func(c, m string, _ flow.Requirement) string {
		return fmt.Sprintf("Let work onto %s again: skein cluster uncordon.", c)
	}},
	"taints": {3, func(c, m string, _ flow.Requirement) string {
		return fmt.Sprintf("Tolerate the taint of %s (annotation skein.dev/tolerations, or a policy), or take it off: %s.", c, m)
	}},
	"selector": {4, func(c, m string, r flow.Requirement) string {
		return fmt.Sprintf("Ask for other labels than %q, or label %s so that they match (skein cluster label).", r.Selector, c)
	}},
	"pool": {4, func(c, m string, r flow.Requirement) string {
		return fmt.Sprintf("Name another pool than %q, or let its selector match %s (skein policy).", r.Pool, c)
	}},
	"residency": {5, func(c, m string, _ flow.Requirement) string {
		return fmt.Sprintf("A policy keeps it off %s: %s; change the policy's requiredSelector.", c, m)
	}},
	"apart": {5, func(c, m string, _ flow.Requirement) string {
		return fmt.Sprintf("It is to be apart from what runs on %s: %s.", c, m)
	}},
	"version": {6, func(c, m string, _ flow.Requirement) string {
		return fmt.Sprintf("Upgrade the propeller of %s: %s.", c, m)
	}},
	"capability": {7, func(c, m string, _ flow.Requirement) string {
		return fmt.Sprintf("Give %s what it lacks: %s.", c, m)
	}},
	"fleet": {8, func(string, string, flow.Requirement) string {
		return "Register a cluster: skein cluster register NAME."
	}},
}

// maxNamed bounds the clusters that one sentence names.
const maxNamed = 5

// remedies are what would have to change for a waiting execution to be placed,
// one sentence for each filter that refused, the easiest first.
func remedies(r flow.Requirement, reasons []flow.Reason) []string {
	byFilter := map[string][]flow.Reason{}
	for _, reason := range reasons {
		if reason.Filter != "" {
			byFilter[reason.Filter] = append(byFilter[reason.Filter], reason)
		}
	}
	filters := slices.SortedFunc(maps.Keys(byFilter), func(a, b string) int {
		return cmp.Or(cmp.Compare(effort(a), effort(b)), cmp.Compare(a, b))
	})
	var out []string
	for _, filter := range filters {
		list := byFilter[filter]
		said, known := remedyOf[filter]
		if !known {
			said.text = func(c, m string, _ flow.Requirement) string {
				return fmt.Sprintf("Change what the filter %s said of %s: %s.", filter, c, m)
			}
		}
		out = append(out, said.text(named(list), list[0].Message, r))
	}
	return out
}

func effort(filter string) int {
	if said, known := remedyOf[filter]; known {
		return said.effort
	}
	return 9
}

func named(reasons []flow.Reason) string {
	var out string
	for i, r := range reasons {
		switch {
		case r.Cluster == "":
			continue
		case i == maxNamed:
			return fmt.Sprintf("%s and %d more", out, len(reasons)-i)
		case out != "":
			out += ", "
		}
		out += r.Cluster
	}
	return cmp.Or(out, "the clusters")
}
