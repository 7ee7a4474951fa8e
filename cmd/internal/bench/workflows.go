package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/watch"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/cmd/internal/local"
)

const (
	batch = 200 // workflows of one round, all launched at once
	alone = 40  // launches of one round whose way to the cluster is timed
)

// workflows measures whole runs on one cluster, and what its API server could do
// at most with the same objects. The raw limit is taken with propeller and node
// stopped, so that nobody takes its objects up.
func (b *bench) workflows(ctx context.Context) error {
	return b.with(ctx, local.Options{Clusters: local.ThreeRegions()[:1]}, func(r *rig) error {
		if _, err := r.many(ctx, batch/4); err != nil { // namespace, account and caches are made
			return err
		}
		if err := b.visible(ctx, r); err != nil {
			return err
		}
		var ours, limits []float64
		for range b.rounds {
			n, err := r.many(ctx, batch)
			if err != nil {
				return err
			}
			ours = append(ours, n)
		}
		if err := b.memory(r, "", "admin", "propeller", "node", "kube_apiserver", "etcd"); err != nil {
			return err
		}
		objects, err := r.objects(ctx)
		if err != nil {
			return err
		}
		for range b.rounds {
			n, err := rate(ctx, clients, b.length, objects.cycle)
			if err != nil {
				return err
			}
			limits = append(limits, n)
		}
		limit := of("raw_object_cycles_per_s", "cycles/s", limits)
		return print(b.out, of("one_node_workflows_per_s", "workflows/s", ours).against(limit), limit)
	})
}

// many launches so many and gives how many a second went from launch to
// SUCCEEDED, the last one included.
func (r *rig) many(ctx context.Context, n int) (float64, error) {
	begin := time.Now()
	err := times(ctx, clients, n, func(ctx context.Context, as int) error {
		_, err := r.launch(ctx, as)
		return err
	})
	if err == nil {
		err = r.allSucceeded(ctx)
	}
	return float64(n) / time.Since(begin).Seconds(), err
}

// visible times single launches, one after the other, from before the call until
// a watch of the cluster shows the custom resource.
func (b *bench) visible(ctx context.Context, r *rig) error {
	api, err := r.cluster()
	if err != nil {
		return err
	}
	events, err := api.Watch(ctx, &v1alpha1.FlyteWorkflowList{})
	if err != nil {
		return err
	}
	defer events.Stop()
	var p50, p99 []float64
	for range b.rounds {
		var ms []float64
		for range alone {
			begin := time.Now()
			name, err := r.launch(ctx, 0)
			if err != nil {
				return err
			}
			if err := shown(ctx, events, name); err != nil {
				return err
			}
			ms = append(ms, float64(time.Since(begin).Microseconds())/1000)
			if err := r.allSucceeded(ctx); err != nil {
				return err
			}
		}
		p50, p99 = append(p50, percentile(ms, 0.5)), append(p99, percentile(ms, 0.99))
	}
	return print(b.out, of("launch_to_cr_visible_p50_ms", "ms", p50), of("launch_to_cr_visible_p99_ms", "ms", p99))
}

func shown(ctx context.Context, events watch.Interface, name string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	kinds := []watch.EventType{watch.Added, watch.Modified}
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("execution %s was not seen in the cluster: %w", name, context.Cause(ctx))
		case e, ok := <-events.ResultChan():
			if !ok {
				return fmt.Errorf("the watch ended")
			}
			if w, is := e.Object.(*v1alpha1.FlyteWorkflow); is && slices.Contains(kinds, e.Type) && w.Spec.Execution.Name == name {
				return nil
			}
		}
	}
}
