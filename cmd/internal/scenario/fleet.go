package scenario

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/chaos/script"
)

// fleet is script.Fleet.
type fleet struct{ *World }

const pageSize = 500

// asked is how many executions are explained at once.
const asked = 8

// Statuses lists what exists.
func (f fleet) Statuses(ctx context.Context, prefix string) ([]script.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var out []script.Status
	for token := ""; ; {
		page, err := f.admin.ListExecutions(ctx, &admin.ResourceListRequest{Limit: pageSize, Token: token,
			Id: &admin.NamedEntityIdentifier{Project: project, Domain: domain}, Filters: "contains(name," + prefix + ")"})
		if err != nil {
			return nil, err
		}
		for _, e := range page.GetExecutions() {
			if name := e.GetId().GetName(); strings.HasPrefix(name, prefix) {
				out = append(out, script.Status{Name: name, Phase: flow.ExecutionPhase(e.GetClosure().GetPhase()),
					Cluster: e.GetSpec().GetMetadata().GetSystemMetadata().GetExecutionCluster(), Changed: e.GetClosure().GetUpdatedAt().AsTime()})
			}
		}
		if token = page.GetToken(); token == "" {
			return out, nil
		}
	}
}

// Executions lists what exists, with where it was.
func (f fleet) Executions(ctx context.Context, prefix string) ([]script.Seen, error) {
	list, err := f.Statuses(ctx, prefix)
	if err != nil {
		return nil, err
	}
	out := make([]script.Seen, len(list))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(asked)
	for i, status := range list {
		group.Go(func() (err error) {
			out[i], err = f.explain(ctx, status)
			return err
		})
	}
	return out, group.Wait()
}

func (f fleet) explain(ctx context.Context, status script.Status) (script.Seen, error) {
	var answer *skeinv1.ExplainResponse
	err := again(ctx, func(ctx context.Context) (err error) { // hundreds of calls: one may meet a busy database
		answer, err = f.placements.Explain(ctx, &skeinv1.ExplainRequest{
			Execution: &skeinv1.ExecutionRef{Project: project, Domain: domain, Name: status.Name}})
		return err
	})
	if err != nil {
		return script.Seen{}, err
	}
	seen := script.Seen{Status: status, Epoch: flow.Epoch{Era: answer.GetEpoch().GetEra(), N: answer.GetEpoch().GetN()}}
	seen.Cluster = answer.GetCluster()
	for _, m := range answer.GetMoves() {
		seen.Moves = append(seen.Moves, flow.Move{From: m.GetFrom(), Kind: flow.MoveKind(m.GetKind()), At: m.GetAt().AsTime(),
			Epoch: flow.Epoch{Era: m.GetEpoch().GetEra(), N: m.GetEpoch().GetN()}})
	}
	for _, d := range answer.GetDecisions() {
		if d.GetCluster() != "" {
			seen.Stays = append(seen.Stays, script.Stay{Cluster: d.GetCluster(), Begin: d.GetAt().AsTime()})
		}
	}
	slices.SortFunc(seen.Stays, func(a, b script.Stay) int { return a.Begin.Compare(b.Begin) })
	for i := range seen.Stays {
		seen.Stays[i].End = until(seen, i)
		seen.Placed = append(seen.Placed, seen.Stays[i].Begin)
	}
	return seen, nil
}

// until is when a stay ended: at the next move from there, at the next
// placement, when the execution ended, or now.
func until(seen script.Seen, stay int) time.Time {
	s := seen.Stays[stay]
	end := time.Now()
	if seen.Phase.Terminal() {
		end = seen.Changed
	}
	if stay+1 < len(seen.Stays) {
		end = seen.Stays[stay+1].Begin
	}
	for _, m := range seen.Moves {
		if m.From == s.Cluster && m.At.After(s.Begin) && m.At.Before(end) {
			end = m.At
		}
	}
	return end
}

// Health is what operators are told.
func (f fleet) Health(ctx context.Context, cluster string) (flow.Health, error) {
	answer, err := f.clusters.GetCluster(ctx, &skeinv1.GetClusterRequest{Name: cluster})
	return flow.Health(answer.GetCluster().GetHealth()), err
}

// Doubt is why no work is moved.
func (f fleet) Doubt(ctx context.Context) (string, error) {
	answer, err := f.control.GetControlPlane(ctx, &skeinv1.GetControlPlaneRequest{})
	if status.Code(err) == codes.Unimplemented {
		return "", fmt.Errorf("this control plane cannot be asked: %w", err)
	}
	return answer.GetDoubt(), err
}

// recorded is the replica's log line of one event.
type recorded struct {
	Time      time.Time `json:"time"`
	Message   string    `json:"msg"`
	Execution string    `json:"execution"`
	Cluster   string    `json:"cluster"`
	Epoch     string    `json:"epoch"`
	Node      string    `json:"node"`
	Attempt   uint32    `json:"attempt"`
	Kind      int32     `json:"kind"`
	Phase     int32     `json:"phase"`
}

// Accepted reads the logs of all replicas. A line that a kill has cut is left
// out: at most one event of a replica, which was committed and not told.
func (f fleet) Accepted(context.Context) ([]script.Accepted, error) {
	var out []script.Accepted
	for _, r := range f.federation.Replicas {
		raw, err := os.ReadFile(r.LogPath())
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(bytes.NewReader(raw))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line recorded
			if !bytes.Contains(lines.Bytes(), []byte(`"event recorded"`)) || json.Unmarshal(lines.Bytes(), &line) != nil {
				continue
			}
			a := script.Accepted{At: line.Time, Execution: line.Execution[strings.LastIndexByte(line.Execution, ':')+1:], Cluster: line.Cluster,
				Node: line.Node, Attempt: line.Attempt, Kind: flow.EventKind(line.Kind), Phase: line.Phase}
			if _, err := fmt.Sscanf(line.Epoch, "%d.%d", &a.Epoch.Era, &a.Epoch.N); err != nil {
				return nil, fmt.Errorf("epoch %q in %s: %w", line.Epoch, r.LogPath(), err)
			}
			out = append(out, a)
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b script.Accepted) int { return a.At.Compare(b.At) })
	return out, nil
}
