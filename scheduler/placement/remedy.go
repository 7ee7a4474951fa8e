package placement

import (
	"fmt"
	"slices"
	"strings"

	"github.com/skein-project/skein/api/flow"
)

// Why sums up a wait's reasons in one sentence: how many clusters each filter
// refuses, or the one reason that concerns no cluster.
func Why(reasons []flow.Reason) string {
	if len(reasons) == 1 && reasons[0].Cluster == "" {
		return reasons[0].Message
	}
	var names []string
	count := map[string]int{}
	for _, r := range reasons {
		if r.Filter == "" {
			continue
		}
		if count[r.Filter]++; count[r.Filter] == 1 {
			names = append(names, r.Filter)
		}
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%d by %s", count[name], name)
	}
	return "no cluster fits: refused " + strings.Join(names, ", ")
}

// remedies say, for each filter, what somebody could do about its refusal of
// the clusters named: the easiest first.
var remedies = []struct{ filter, says string }{
	{"backoff", "Wait: REASON."},
	{"moves", "Wait: REASON."},
	{capacityFull, "Wait until work on CLUSTERS ends, or add nodes there."},
	{"cordon", "Open CLUSTERS to new work again: uncordon it, or stop its drain."},
	{"quota", "Wait until other work of the tenant ends, or raise its quota by a policy (REASON)."},
	{"selector", "Launch with a selector that matches CLUSTERS, or label them so (REASON)."},
	{"pool", "Name another pool, or let a policy put CLUSTERS into this one (REASON)."},
	{"taints", "Tolerate the taint at launch or by a policy, or remove it from CLUSTERS (REASON)."},
	{"residency", "Change the policy that keeps the work off CLUSTERS (REASON)."},
	{"version", "Upgrade the propeller of CLUSTERS (REASON)."},
	{"health", "Bring CLUSTERS back (REASON)."},
	{"capability", "Give CLUSTERS what the work needs: REASON."},
	{capacitySize, "Ask for less in one pod, or add larger nodes to CLUSTERS (REASON)."},
	{"fleet", "Register a cluster."},
}

// What the capacity filter refuses has two remedies.
const (
	capacityFull = "capacity: full"
	capacitySize = "capacity: size"
)

// Remedies say what would have to change for an execution that waits with these
// reasons, one sentence each, the easiest first. Each of them alone may do: a
// cluster has the first filter's reason only, so another may refuse after it.
func Remedies(reasons []flow.Reason) []string {
	clusters, message := map[string][]string{}, map[string]string{}
	for _, r := range reasons {
		filter := r.Filter
		if filter == "capacity" {
			filter = capacityFull
			if strings.HasPrefix(r.Message, tooLarge) {
				filter = capacitySize
			}
		}
		if message[filter] == "" {
			message[filter] = strings.TrimSuffix(r.Message, ".")
		}
		clusters[filter] = append(clusters[filter], r.Cluster)
	}
	var out []string
	for _, r := range remedies {
		if list := clusters[r.filter]; list != nil {
			out = append(out, strings.NewReplacer("CLUSTERS", listed(list), "REASON", message[r.filter]).Replace(r.says))
		}
	}
	return out
}

// listed names clusters, the first three of many.
func listed(names []string) string {
	names = slices.Sorted(slices.Values(names))
	if len(names) <= 3 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
}
