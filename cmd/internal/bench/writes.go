package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/cmd/internal/local"
)

const (
	audited   = 20 // workflows whose writes are counted
	policy    = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
	flyteUses = 12 // writes of Flyte 1.16.8 for a one-node workflow, pod status and clean-up not counted
)

// write is what is counted of one line of the audit log.
type write struct {
	Verb      string `json:"verb"`
	User      struct{ Username string }
	ObjectRef struct{ Resource, Subresource, Name string }
}

// writes counts, in a run of its own, what the API server was asked to write for
// one workflow, until admin has its end.
func (b *bench) writes(ctx context.Context) error {
	state, err := stateFolder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	rules, log := filepath.Join(state, "audit-policy.yaml"), filepath.Join(state, "audit.log")
	if err := os.WriteFile(rules, []byte(policy), 0o600); err != nil {
		return err
	}
	o := local.Options{State: state, Clusters: local.ThreeRegions()[:1],
		APIServerArgs: []string{"--audit-policy-file=" + rules, "--audit-log-path=" + log, "--audit-log-mode=blocking"}}
	return b.with(ctx, o, func(r *rig) error {
		if err := r.many(ctx, 1); err != nil { // namespace and account are made
			return err
		}
		if err := r.quiet(ctx, log); err != nil {
			return err
		}
		info, err := os.Stat(log)
		if err != nil {
			return err
		}
		for range audited {
			if err := r.many(ctx, 1); err != nil {
				return err
			}
		}
		if err := r.quiet(ctx, log); err != nil {
			return err
		}
		return b.count(log, info.Size())
	})
}

// quiet waits until every workflow has its end in the cluster too and the log has
// not grown for a moment.
func (r *rig) quiet(ctx context.Context, log string) error {
	api, err := r.cluster()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	last := -1
	return until(ctx, 500*time.Millisecond, func(ctx context.Context) (bool, error) {
		var list v1alpha1.FlyteWorkflowList
		if err := api.List(ctx, &list); err != nil {
			return false, err
		}
		for _, w := range list.Items {
			if w.Status.Phase != "SUCCEEDED" {
				return false, nil
			}
		}
		found, err := read(log, 0)
		n := 0
		for _, count := range found {
			n += count
		}
		still := n == last
		last = n
		return still, err
	})
}

// count prints the writes of the propeller, and apart from it the node's, for
// one workflow.
func (b *bench) count(log string, offset int64) error {
	found, err := read(log, offset)
	if err != nil {
		return err
	}
	var propeller, node, cleanUp int
	for _, w := range slices.SortedFunc(maps.Keys(found), func(a, b write) int { return found[b] - found[a] }) {
		n := found[w]
		switch {
		case w.Verb == "delete" || w.Verb == "deletecollection":
			cleanUp += n
		case w.User.Username == "propeller":
			propeller += n
		default:
			node += n
		}
		say("%4d × %s %s %s/%s", n, w.User.Username, w.Verb, w.ObjectRef.Resource, w.ObjectRef.Subresource)
	}
	each := func(name string, n int) figure {
		return of(name, "writes", []float64{float64(n) / audited})
	}
	return print(b.out, each("api_writes_per_one_node_workflow", propeller).over("Flyte 1.16.8", flyteUses),
		each("api_writes_of_node_per_pod", node), each("api_clean_up_writes_per_one_node_workflow", cleanUp))
}

// read counts the writes in the log after the offset; Kubernetes Events and
// leases belong to no workflow.
func read(log string, offset int64) (map[write]int, error) {
	file, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Seek(offset, 0); err != nil {
		return nil, err
	}
	found := map[write]int{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var w write
		if err := json.Unmarshal(lines.Bytes(), &w); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		w.ObjectRef.Name = ""
		if slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, w.Verb) &&
			!slices.Contains([]string{"events", "leases", "nodes"}, w.ObjectRef.Resource) {
			found[w]++
		}
	}
	return found, lines.Err()
}
