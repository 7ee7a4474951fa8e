package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/demo/spans"
)

const (
	traceTime  = 15 * time.Second // for the spans of an ended execution to come in
	leaderTime = 20 * time.Second // for another replica to lead
)

// stations are the spans by which one trace is known to have gone all the way.
var stations = []string{"CreateExecution", "scheduler.place", "hub.deliver", "member.apply", "propeller.node", "propeller.workflow"}

func (d *demo) trace(ctx context.Context, name string) error {
	conn, err := d.config.DialSkein()
	if err != nil {
		return err
	}
	defer conn.Close()
	why, err := skeinv1.NewPlacementServiceClient(conn).Explain(ctx, &skeinv1.ExplainRequest{
		Execution: &skeinv1.ExecutionRef{Project: d.config.Project, Domain: d.config.Domain, Name: name}})
	if err != nil {
		return err
	}
	parts := strings.Split(why.GetTrace(), "-")
	if len(parts) != 4 {
		return fmt.Errorf("execution %s has no trace context: %q", name, why.GetTrace())
	}
	list, err := d.awaitTrace(ctx, parts[1])
	if err != nil {
		return err
	}
	spans.Tree(d.out, list)
	fmt.Fprintf(d.out, "trace %s: %d spans from %s\n", parts[1], len(list), strings.Join(processes(list), ", "))
	return nil
}

func processes(list []spans.Span) []string {
	names := map[string]bool{}
	for _, s := range list {
		names[s.Service] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func (d *demo) awaitTrace(ctx context.Context, trace string) ([]spans.Span, error) {
	ctx, cancel := context.WithTimeout(ctx, traceTime)
	defer cancel()
	for {
		list := d.spans.Trace(trace)
		missing := missingStations(list)
		if len(missing) == 0 {
			return list, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("trace %s has %d spans and lacks %s", trace, len(list), strings.Join(missing, ", "))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func missingStations(list []spans.Span) []string {
	var missing []string
	for _, station := range stations {
		if !slices.ContainsFunc(list, func(s spans.Span) bool { return strings.Contains(s.Name, station) }) {
			missing = append(missing, station)
		}
	}
	return missing
}

// leaderKill launches a run of some seconds, kills the leader when it is
// under way, and follows it to its end.
func (d *demo) leaderKill(ctx context.Context, name string) error {
	if _, err := d.skein(ctx, "launch", "demo.wordcount", "--name", name, "--input", "seconds=4"); err != nil {
		return err
	}
	if err := d.awaitNode(ctx, name, "count-a"); err != nil {
		return err
	}
	leader := d.fed.Leader(ctx)
	if leader == nil {
		return fmt.Errorf("no replica leads")
	}
	fmt.Fprintf(d.out, "$ kill -9 %d   # %s, which leads\n", leader.PID(), leader.Name)
	if err := leader.Kill9(); err != nil {
		return err
	}
	killed := time.Now()
	if _, err := d.skein(ctx, "get", name, "--watch"); err != nil {
		return err
	}
	if err := d.checkTotal(ctx, name); err != nil {
		return err
	}
	next, err := d.awaitLeader(ctx, leader.Name)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "%s leads now; the run finished %s after the kill\n", next, time.Since(killed).Round(10*time.Millisecond))
	fmt.Fprintf(d.out, "starting %s again\n", leader.Name)
	return leader.Restart(ctx)
}

// awaitNode waits until a node of the execution runs.
func (d *demo) awaitNode(ctx context.Context, name, node string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		running, err := d.nodeRuns(ctx, name, node)
		if running || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("node %s of %s did not start in time", node, name), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *demo) awaitLeader(ctx context.Context, not string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderTime)
	defer cancel()
	for {
		if r := d.fed.Leader(ctx); r != nil && r.Name != not {
			return r.Name, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("no other replica led within %s", leaderTime)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
