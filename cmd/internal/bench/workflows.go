package main

import (
	"context"
	"errors"
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
	first = 40  // workflows before a round, which fill caches and connections
)

// workflows measures whole runs on one cluster, and what its API server could do
// at most with the same objects, in turns: the raw limit with propeller and node
// stopped, so that nobody takes its objects up, and bare pods with the propeller
// stopped.
func (b *bench) workflows(ctx context.Context) error {
	return b.with(ctx, local.Options{Clusters: local.ThreeRegions()[:1]}, func(r *rig) error {
		if err := r.many(ctx, first); err != nil { // namespace and account are made
			return err
		}
		if err := b.visible(ctx, r); err != nil {
			return err
		}
		objects, err := r.objects(ctx)
		if err != nil {
			return err
		}
		var ours, limits, bare []float64
		used := &usage{}
		for range b.rounds {
			if err := r.limit(ctx, b.length, objects, &bare, &limits, used); err != nil {
				return err
			}
			before, begin := r.cpu(), time.Now()
			if err := r.many(ctx, batch); err != nil {
				return err
			}
			ours = append(ours, batch/time.Since(begin).Seconds())
			used.add("cpu_ms_per_one_node_workflow_", r.cpu(), before, batch)
		}
		if err := b.memory(r, ""); err != nil {
			return err
		}
		limit := of("raw_object_cycles_per_s", "cycles/s", limits)
		figures := []figure{of("one_node_workflows_per_s", "workflows/s", ours).against(limit), limit, of("simulated_pods_per_s", "pods/s", bare)}
		return print(b.out, append(figures, used.figures()...)...)
	})
}

// limit measures one round of bare pods and one of object cycles, and leaves
// propeller and node as they were.
func (r *rig) limit(ctx context.Context, length time.Duration, o *objects, bare, limits *[]float64, used *usage) error {
	p := r.Planes[0]
	if err := p.Propeller.Stop(ctx); err != nil {
		return err
	}
	before := r.cpu()
	n, err := o.pods(ctx, batch)
	if err != nil {
		return err
	}
	*bare = append(*bare, n)
	used.add("cpu_ms_per_simulated_pod_", only(r.cpu(), "node"), before, batch)
	if err := p.Node.Stop(ctx); err != nil {
		return err
	}
	before, begin := r.cpu(), time.Now()
	if n, err = rate(ctx, clients, length, o.cycle); err != nil {
		return err
	}
	used.add("cpu_ms_per_raw_object_cycle_", only(r.cpu(), "kube_apiserver", "etcd", "bench"), before, int(n*time.Since(begin).Seconds()))
	*limits = append(*limits, n)
	if err := errors.Join(p.Node.Restart(ctx), p.Propeller.Restart(ctx)); err != nil {
		return err
	}
	return r.many(ctx, first)
}

// many launches so many and waits until the last one has SUCCEEDED.
func (r *rig) many(ctx context.Context, n int) error {
	err := times(ctx, clients, n, func(ctx context.Context, as int) error {
		_, err := r.launch(ctx, as)
		return err
	})
	if err == nil {
		err = r.allSucceeded(ctx)
	}
	return err
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
				return errors.New("the watch ended")
			}
			if w, is := e.Object.(*v1alpha1.FlyteWorkflow); is && slices.Contains(kinds, e.Type) && w.Spec.Execution.Name == name {
				return nil
			}
		}
	}
}
