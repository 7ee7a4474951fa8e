package script

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// joining are the verbs of clusters that come and go, and of who may not.
var joining = map[string]verb{
	"join":    {1, []string{"tasks", "within"}, join},
	"intrude": {2, nil, intrude},
	"revoke":  {1, nil, revoke},
	"silent":  {1, []string{"for"}, silent},
	"shut":    {2, []string{"within"}, shut},
	"rotated": {1, []string{"within"}, rotated},
	"told":    {1, nil, told},
}

// Gates are how clusters get in and are kept out.
type Gates interface {
	// Join makes a cluster beside those that are there, registers it by the command
	// line, and starts its propeller by the line which that printed. It tells when
	// that began.
	Join(ctx context.Context, cluster string) (time.Time, error)
	// Intrude tries to get in as who may not, in one of the ways that refusals
	// lists. The error is what the intruder was told; nil: it was let in.
	Intrude(ctx context.Context, way, cluster string) error
	// Revoke revokes all members of a cluster; it tells when that returned.
	Revoke(ctx context.Context, cluster string) (time.Time, error)
	// Renew asks a replica, as a cluster's member, for a new certificate.
	Renew(ctx context.Context, cluster, replica string) error
	// Sessions lists the sessions that were opened since the federation began.
	Sessions(ctx context.Context) ([]Opened, error)
}

// Opened is one session that a hub has opened.
type Opened struct {
	At      time.Time
	Cluster string
	Serial  string // of the certificate that was shown
}

// refusal is what the audit says of an intruder.
type refusal struct{ action, subject, says string }

// refusals are the ways to intrude, and what becomes of them.
var refusals = map[string]refusal{
	"used-token":    {"token.use.refused", "cluster/", "was used with another key"},
	"expired-token": {"token.use.refused", "cluster/", "has expired"},
	"wrong-ca":      {"handshake.refused", "control-plane", "unknown authority"},
	"revoked":       {"member.renew.refused", "cluster/", "is revoked"},
}

// auditTime bounds how long a refusal takes to be in the audit.
const auditTime = 15 * time.Second

// join lets a cluster in, for which an execution waits already, and measures how
// long after the propeller's start that is placed.
func join(ctx context.Context, r *run, s Step) error {
	cluster := s.Args[0]
	name, err := r.launchOne(ctx, s, "name="+cluster)
	if err != nil {
		return err
	}
	begun, err := r.Gates.Join(ctx, cluster)
	if err != nil {
		return err
	}
	within := s.duration("within", patience)
	err = until(ctx, within, func() (bool, error) {
		h, err := r.Fleet.Health(ctx, cluster)
		return h == flow.HealthHealthy, err
	})
	if err != nil {
		return fmt.Errorf("%s did not become Healthy: %w", cluster, err)
	}
	healthy := time.Now()
	err = r.await(ctx, within, func(seen []Status) bool {
		return slices.ContainsFunc(seen, func(x Status) bool { return x.Name == name && x.Cluster == cluster })
	})
	if err != nil {
		return fmt.Errorf("%s was not placed on %s: %w", name, cluster, err)
	}
	seen, err := r.Fleet.Executions(ctx, name)
	if err != nil || len(seen) != 1 || len(seen[0].Placed) == 0 {
		return errors.Join(fmt.Errorf("%s has no placement", name), err)
	}
	r.measure("join_to_healthy_ms", milliseconds(healthy.Sub(begun)))
	r.measure("join_to_schedulable_ms", milliseconds(seen[0].Placed[0].Sub(begun)))
	return nil
}

// launchOne makes one execution for a label, of the tasks that the step says.
func (r *run) launchOne(ctx context.Context, s Step, label string) (string, error) {
	tasks := 3
	if s.Set["tasks"] == "1" {
		tasks = 1
	}
	l := Launch{Name: fmt.Sprintf("%s%04d", r.prefix(), r.launched), Tasks: tasks, Label: label}
	r.launched++
	if err := r.Users.Launch(ctx, l); err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.promised = append(r.promised, l.Name)
	return l.Name, nil
}

// intrude demands that an intruder is turned away, and that operators see it.
func intrude(ctx context.Context, r *run, s Step) error {
	way, cluster := s.Args[0], s.Args[1]
	want, known := refusals[way]
	if !known {
		return fault.E(fault.Invalid, "nobody intrudes by %q", way)
	}
	told := r.Gates.Intrude(ctx, way, cluster)
	if told == nil {
		return errors.New("it was let in")
	}
	r.Progress(fmt.Sprintf("%s %s was told: %v", way, cluster, told))
	subject := want.subject
	if strings.HasSuffix(subject, "/") {
		subject += cluster
	}
	return until(ctx, auditTime, func() (bool, error) {
		out, err := r.Skein(ctx, "audit", subject, "--limit", "1000")
		if err != nil {
			return false, fmt.Errorf("%w: %s", err, out)
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, want.action) && strings.Contains(line, want.says) {
				return true, nil
			}
		}
		return false, fmt.Errorf("the audit of %s has no %s that says %q", subject, want.action, want.says)
	})
}

func revoke(ctx context.Context, r *run, s Step) error {
	at, err := r.Gates.Revoke(ctx, s.Args[0])
	if err == nil {
		r.revoked[s.Args[0]] = at
	}
	return err
}

// busyBefore is how long before its revocation a cluster must have been heard,
// for its silence to mean anything.
const busyBefore = 3 * time.Second

// silent measures how long after its revocation an event of a cluster was still
// accepted.
func silent(ctx context.Context, r *run, s Step) error {
	cluster := s.Args[0]
	at, known := r.revoked[cluster]
	if !known {
		return fault.E(fault.Invalid, "%s was not revoked", cluster)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(at.Add(s.duration("for", 5*time.Second)))):
	}
	accepted, err := r.Fleet.Accepted(ctx)
	if err != nil {
		return err
	}
	busy, late := 0, time.Duration(0)
	for _, e := range accepted {
		switch {
		case e.Cluster != cluster:
		case e.At.After(at):
			late = max(late, e.At.Sub(at))
		case e.At.After(at.Add(-busyBefore)):
			busy++
		}
	}
	if busy == 0 {
		return fmt.Errorf("nothing was heard of %s in the %s before it was revoked: its silence says nothing", cluster, busyBefore)
	}
	r.measure("revoked_accepted_ms", milliseconds(late))
	return nil
}

// shut measures how long after its revocation a member still gets a certificate
// from a replica which cannot know: one that the database is cut off from.
func shut(ctx context.Context, r *run, s Step) error {
	cluster, replica := s.Args[0], s.Args[1]
	at, known := r.revoked[cluster]
	if !known {
		return fault.E(fault.Invalid, "%s was not revoked", cluster)
	}
	late := time.Duration(0)
	for end := time.Now().Add(s.duration("within", 15*time.Second)); time.Now().Before(end) && ctx.Err() == nil; {
		if err := r.Gates.Renew(ctx, cluster, replica); err == nil {
			late = time.Since(at)
		}
		time.Sleep(lookEvery)
	}
	r.measure("revoked_renewed_ms", milliseconds(late))
	return ctx.Err()
}

// rotated waits until each cluster has opened so many sessions since the
// scenario began, each by a certificate that was not seen before.
func rotated(ctx context.Context, r *run, s Step) error {
	want, err := s.count(0)
	if err != nil {
		return err
	}
	return until(ctx, s.duration("within", patience), func() (bool, error) {
		sessions, err := r.Gates.Sessions(ctx)
		if err != nil {
			return false, err
		}
		for cluster, n := range turns(sessions, r.began) {
			if _, out := r.revoked[cluster]; n < want && !out {
				return false, fmt.Errorf("%s has turned %d times", cluster, n)
			}
		}
		return true, nil
	})
}

// turns counts, by cluster, the certificates that sessions were first opened by
// since a time.
func turns(sessions []Opened, since time.Time) map[string]int {
	out, seen := map[string]int{}, map[string]bool{}
	slices.SortStableFunc(sessions, func(a, b Opened) int { return a.At.Compare(b.At) })
	for _, o := range sessions {
		n := out[o.Cluster]
		if !seen[o.Serial] && o.At.After(since) {
			n++
		}
		seen[o.Serial] = true
		out[o.Cluster] = n
	}
	return out
}

// told demands that of each execution that has succeeded everything was told:
// the ends of so many nodes, of an attempt of each, and its own.
func told(ctx context.Context, r *run, s Step) error {
	nodes, err := s.count(0)
	if err != nil {
		return err
	}
	seen, err := r.Fleet.Statuses(ctx, r.prefix())
	if err != nil {
		return err
	}
	accepted, err := r.Fleet.Accepted(ctx)
	if err != nil {
		return err
	}
	untold := missing(seen, accepted, nodes)
	if len(untold) > 0 { // nobody tells of a COMMIT whose answer was lost: its rows do
		var rows []Accepted
		for _, x := range seen {
			if len(missing([]Status{x}, accepted, nodes)) == 0 {
				continue
			}
			more, err := r.Market.Recorded(ctx, x.Name)
			if err != nil {
				return err
			}
			rows = append(rows, more...)
		}
		r.measure("ends_known_by_rows_only", float64(len(untold)))
		untold = missing(seen, slices.Concat(accepted, rows), nodes)
	}
	r.measure("events_lost", float64(len(untold)))
	if len(untold) > 0 {
		return fmt.Errorf("%d ends were not told, such as %s", len(untold), untold[0])
	}
	return nil
}

// ends are those of one execution that were told.
type ends struct {
	workflow     bool
	nodes, tasks map[string]bool
}

func (x *ends) note(e Accepted) {
	switch {
	case e.Kind == flow.EventWorkflow && flow.ExecutionPhase(e.Phase) == flow.ExecutionSucceeded:
		x.workflow = true
	case e.Kind == flow.EventNode && flow.NodePhase(e.Phase) == flow.NodeSucceeded:
		x.nodes[e.Node] = true
	case e.Kind == flow.EventTask && flow.TaskPhase(e.Phase) == flow.TaskSucceeded:
		x.tasks[e.Node] = true
	}
}

// lacks lists what was not told of so many nodes.
func (x *ends) lacks(name string, nodes int) (out []string) {
	if !x.workflow {
		out = append(out, name+"'s own")
	}
	if n := len(x.tasks); n != nodes {
		out = append(out, fmt.Sprintf("%s: attempts of %d nodes of %d", name, n, nodes))
	}
	for node := range x.tasks {
		if !x.nodes[node] {
			out = append(out, name+": node "+node)
		}
	}
	return out
}

// missing lists what is not in the accepted events of those that succeeded.
func missing(seen []Status, accepted []Accepted, nodes int) (out []string) {
	of := map[string]*ends{}
	for _, x := range seen {
		if x.Phase == flow.ExecutionSucceeded {
			of[x.Name] = &ends{nodes: map[string]bool{}, tasks: map[string]bool{}}
		}
	}
	for _, e := range accepted {
		if x := of[e.Execution]; x != nil {
			x.note(e)
		}
	}
	for name, x := range of {
		out = append(out, x.lacks(name, nodes)...)
	}
	slices.Sort(out)
	return out
}
