package main

import (
	"context"
	"fmt"
	"time"

	"github.com/skein-project/skein/cmd/internal/local"
)

// create measures acceptance: from the call to the durable row, with no cluster
// attached. Rounds of the raw limit and of ours take turns.
func (b *bench) create(ctx context.Context) error {
	counts := []int{1, 8, clients}
	return b.with(ctx, local.Options{Clusters: []local.Cluster{}}, func(r *rig) error {
		sample, err := r.launch(ctx, 0)
		if err != nil {
			return err
		}
		raw, err := openRaw(ctx, r.Database.URL, sample)
		if err != nil {
			return err
		}
		defer raw.close()
		used := &usage{}
		ours, limits := map[int][]float64{}, map[int][]float64{}
		for range b.rounds {
			for _, c := range counts {
				n, err := rate(ctx, c, b.length, raw.commit)
				if err != nil {
					return err
				}
				limits[c] = append(limits[c], n)
				before, begin := r.cpu(), time.Now()
				n, err = rate(ctx, c, b.length, func(ctx context.Context, as int) error {
					_, err := r.launch(ctx, as)
					return err
				})
				if err != nil {
					return err
				}
				ours[c] = append(ours[c], n)
				if c == clients {
					used.add("cpu_ms_per_create_", r.cpu(), before, int(n*time.Since(begin).Seconds()))
				}
			}
		}
		for _, c := range counts {
			limit := of(fmt.Sprintf("raw_commits_per_s_c%d", c), "commits/s", limits[c])
			figure := of(fmt.Sprintf("create_execution_per_s_c%d", c), "executions/s", ours[c])
			if err := print(b.out, figure.against(limit), limit); err != nil {
				return err
			}
		}
		if err := print(b.out, used.figures()...); err != nil {
			return err
		}
		return b.memory(r, "create_")
	})
}
