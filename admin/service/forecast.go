package service

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// The limits of forecasts and replays.
const (
	maxSketches   = 100
	maxOutcomes   = 1000
	defaultReplay = 100
	maxReplay     = 10_000
)

// WhatIf decides anew on a copy of the world, changed as asked.
func (p placementServer) WhatIf(ctx context.Context, req *skeinv1.WhatIfRequest) (*skeinv1.WhatIfResponse, error) {
	change, err := p.changeOf(ctx, req)
	if err != nil {
		return nil, err
	}
	forecast, err := p.s.deps.Forecaster.WhatIf(ctx, change)
	if err != nil {
		return nil, err
	}
	return toForecast(forecast), nil
}

func (p placementServer) changeOf(ctx context.Context, req *skeinv1.WhatIfRequest) (Change, error) {
	out := Change{Lose: req.GetLose(), Drain: req.GetDrain()}
	known := map[string]bool{}
	rows, err := p.s.deps.Clusters.ListClusters(ctx)
	if err != nil {
		return out, err
	}
	for _, row := range rows {
		known[row.Name] = true
	}
	for field, names := range map[string][]string{"lose": out.Lose, "drain": out.Drain} {
		for _, name := range names {
			if !known[name] {
				return out, fault.Field(field, "no cluster %s is registered; skein cluster list shows all", fault.Quote(name))
			}
		}
	}
	if len(req.GetAdd()) > maxSketches {
		return out, fault.Field("add", "holds %d clusters, at most %d are taken", len(req.GetAdd()), maxSketches)
	}
	for _, sketch := range req.GetAdd() {
		cluster, err := fromSketch(sketch)
		if err == nil && known[cluster.Name] {
			err = fault.Field("add", "cluster %s is registered already", cluster.Name)
		}
		if err != nil {
			return out, err
		}
		known[cluster.Name] = true
		if len(cluster.TaskTypes) == 0 {
			cluster.TaskTypes = usualTypes(rows)
		}
		out.Add = append(out.Add, cluster)
	}
	for _, document := range req.GetPolicies() {
		policy, err := p.s.deps.Language.Parse([]byte(document))
		if err != nil {
			return out, fault.Field("policies", "%s", public(err))
		}
		out.Policies = append(out.Policies, policy)
	}
	if len(out.Lose)+len(out.Drain)+len(out.Add)+len(out.Policies) == 0 {
		return out, fault.Field("lose", "nothing would differ: set lose, drain, add or policies")
	}
	return out, nil
}

func fromSketch(s *skeinv1.ClusterSketch) (flow.Cluster, error) {
	out := flow.Cluster{Name: s.GetName(), Labels: s.GetLabels(), TaskTypes: slices.Sorted(slices.Values(s.GetTaskTypes())), Store: s.GetStore(),
		Capacity: fromResources(s.GetCapacity()), LargestNode: fromResources(s.GetLargestNode())}
	if err := clusterName("add.name", out.Name); err != nil {
		return out, err
	}
	if err := checkLabels("add.labels", out.Labels); err != nil {
		return out, err
	}
	var list []*skeinv1.Taint
	for _, t := range s.GetTaints() {
		list = append(list, &skeinv1.Taint{Key: t.GetKey(), Value: t.GetValue(), Effect: t.GetEffect()})
	}
	var err error
	if out.Taints, err = taints("add.taints", list); err != nil {
		return out, err
	}
	for _, r := range []flow.Resources{out.Capacity, out.LargestNode} {
		if bound := (flow.Resources{MilliCPU: maxAmount, Memory: maxAmount, GPUs: maxAmount, Pods: maxAmount}); r != r.Max(flow.Resources{}) || !r.FitsIn(bound) {
			return out, fault.Field("add.capacity", "amounts must not be negative, nor above 2^50")
		}
	}
	if out.Capacity.MilliCPU == 0 || out.Capacity.Memory == 0 {
		return out, fault.Field("add.capacity", "must name cpu and memory: nothing would fit cluster %s", out.Name)
	}
	if out.Capacity.Pods == 0 {
		out.Capacity.Pods = maxAmount
	}
	if out.LargestNode.Zero() {
		out.LargestNode = out.Capacity
	}
	if out.LargestNode.Pods == 0 {
		out.LargestNode.Pods = 1
	}
	return out, nil
}

// usualTypes are the task types that most clusters run.
func usualTypes(rows []flow.Cluster) []string {
	counts := map[string]int{}
	for _, row := range rows {
		for _, t := range row.TaskTypes {
			counts[t]++
		}
	}
	var out []string
	for t, n := range counts {
		if 2*n > len(rows) {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return out
}

func toForecast(f Forecast) *skeinv1.WhatIfResponse {
	out := &skeinv1.WhatIfResponse{At: timestamp(f.At), Stranded: f.Stranded}
	slices.SortStableFunc(f.Outcomes, func(a, b Outcome) int { // those that have to wait first
		return cmp.Compare(min(len(a.To), 1), min(len(b.To), 1))
	})
	for _, o := range f.Outcomes {
		switch {
		case o.To == "":
			out.Waiting++
		case o.From == "":
			out.Placed++
		default:
			out.Moved++
		}
		if len(out.Outcomes) < maxOutcomes {
			out.Outcomes = append(out.Outcomes, &skeinv1.Outcome{Execution: toRef(o.Execution), From: o.From, To: o.To, How: o.How})
		}
	}
	for _, l := range f.Loads {
		out.Clusters = append(out.Clusters, &skeinv1.ClusterLoad{Cluster: l.Cluster, ExecutionsBefore: l.ExecutionsBefore, ExecutionsAfter: l.ExecutionsAfter,
			ReservedBefore: toResources(l.ReservedBefore), ReservedAfter: toResources(l.ReservedAfter), Capacity: toResources(l.Capacity)})
	}
	return out
}

// Replay takes stored decisions again and compares the answers.
func (p placementServer) Replay(ctx context.Context, req *skeinv1.ReplayRequest) (*skeinv1.ReplayResponse, error) {
	limit := int(req.GetLimit())
	if limit < 0 || limit > maxReplay {
		return nil, fault.Field("limit", "must lie between 0 (which means %d) and %d, is %d", defaultReplay, maxReplay, limit)
	}
	if limit == 0 {
		limit = defaultReplay
	}
	older, err := roundKey(req.GetBefore())
	if err != nil {
		return nil, err
	}
	r, err := p.s.deps.Forecaster.Replay(ctx, older, limit)
	return &skeinv1.ReplayResponse{Rounds: r.Rounds, Decisions: r.Decisions, Different: r.Different, Differences: r.Differences, Next: fromRoundKey(r.Next)}, err
}

// fromRoundKey writes a place in the order of rounds as callers give it back.
func fromRoundKey(k flow.RoundKey) string {
	if k == (flow.RoundKey{}) {
		return ""
	}
	return k.At.UTC().Format(time.RFC3339Nano) + "," + k.ID
}

func roundKey(text string) (flow.RoundKey, error) {
	if text == "" {
		return flow.RoundKey{}, nil
	}
	at, id, _ := strings.Cut(text, ",")
	moment, err := time.Parse(time.RFC3339Nano, at)
	if err != nil || id == "" || moment.IsZero() {
		return flow.RoundKey{}, fault.Field("before", "is not the next of an earlier answer: %s", fault.Quote(text))
	}
	return flow.RoundKey{At: moment, ID: id}, texts("before", id)
}

func fromResources(r *skeinv1.Resources) flow.Resources {
	return flow.Resources{MilliCPU: r.GetMilliCpu(), Memory: r.GetMemory(), GPUs: r.GetGpus(), Pods: r.GetPods()}
}
