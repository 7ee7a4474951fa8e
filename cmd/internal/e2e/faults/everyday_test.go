package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/cmd/internal/local"
)

const (
	everydayLaunches = 200
	everydayPace     = 400 * time.Millisecond
	everydayLeaders  = 20
	everydayRivals   = 8 // every so many names are created by two users at once
)

// TestEverydayKills: 200 launches while leaders, propellers, hubs and the
// database are killed, with a lease that nothing outlasts; every execution
// succeeds at its first epoch, and no call said anything of its outcome that
// was not so. (Invariants I1, I7, I10, I14, I28.)
func TestEverydayKills(t *testing.T) {
	r := newRig(t, local.Options{Lease: 30 * time.Second})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	day := &everyday{rig: r, callers: newCallers(t, r.client.Flyte, 8, seed), killed: map[string]int{}}
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return day.launches(ctx) })
	group.Go(func() error { return day.kills(ctx) })
	must(t, group.Wait())
	underLoad := time.Since(begin)

	day.settle(t)
	day.checkCalls(t)
	eventually(t, 2*time.Minute, r.allIn(day.names(), core.WorkflowExecution_SUCCEEDED))
	took := time.Since(begin)
	r.checkOneOwner(t, day.names())
	day.checkAttempts(t)
	slices.Sort(day.recovered)
	t.Logf("EVERYDAY %d of %d SUCCEEDED at epoch 1.1 in %s (%s of kills); killed %v; %d calls, cut %d: %v; unknown to their users at the end %d, of those made %d; next leader after p50 %s, max %s; database back after %s",
		everydayLaunches, everydayLaunches, took.Round(100*time.Millisecond), underLoad.Round(100*time.Millisecond), day.killed,
		len(day.callers.outcomes), day.cuts(), day.callers.byCode(), day.unknown, day.made,
		day.recovered[len(day.recovered)/2].Round(10*time.Millisecond), day.recovered[len(day.recovered)-1].Round(10*time.Millisecond),
		day.database.Round(10*time.Millisecond))
}

// everyday is the state of that test.
type everyday struct {
	*rig
	callers   *callers
	launched  atomic.Int64
	done      atomic.Int64 // kills
	killed    map[string]int
	recovered []time.Duration // from a leader's kill to the next leader
	database  time.Duration

	mu            sync.Mutex
	last          map[string]codes.Code // what each name's own user heard last
	unknown, made int
}

func everydayName(i int) string { return fmt.Sprintf("everyday%03d", i) }

func (d *everyday) names() []string {
	var names []string
	for i := range everydayLaunches {
		names = append(names, everydayName(i))
	}
	return names
}

// launches keeps a steady pace, unless the kills fall behind: they are to fall
// among the launches.
func (d *everyday) launches(ctx context.Context) error {
	d.last = map[string]codes.Code{}
	var calls errgroup.Group
	tick := time.NewTicker(everydayPace)
	defer tick.Stop()
	for i := range everydayLaunches {
		for int64(i)*everydayLeaders > (d.done.Load()+2)*everydayLaunches {
			if err := pause(ctx, every); err != nil {
				return err
			}
		}
		calls.Go(func() error {
			code := d.callers.create(ctx, i, launchRequest("faults.chain", everydayName(i), 0))
			d.mu.Lock()
			defer d.mu.Unlock()
			d.last[everydayName(i)] = code
			return nil
		})
		if i%everydayRivals == 0 {
			calls.Go(func() error {
				d.callers.create(ctx, 1000+i+1, launchRequest("faults.chain", everydayName(i), 0))
				return nil
			})
			calls.Go(func() error { // refused, whatever dies meanwhile
				d.callers.create(ctx, 2000+i+2, launchRequest("faults.nowhere", fmt.Sprintf("everybad%03d", i), 0))
				return nil
			})
		}
		d.launched.Add(1)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return calls.Wait()
}

// kills goes through the leaders, and kills something else between some.
func (d *everyday) kills(ctx context.Context) error {
	between := map[int]func(context.Context) error{9: d.killDatabase}
	for i, p := range d.Planes {
		between[3+5*i] = func(ctx context.Context) error {
			d.killed["propeller"]++
			return errors.Join(p.Propeller.Kill9(), p.Propeller.Restart(ctx))
		}
	}
	for k := range everydayLeaders {
		for d.launched.Load()*everydayLeaders < int64(k)*everydayLaunches {
			if err := pause(ctx, every); err != nil {
				return err
			}
		}
		if err := d.killLeader(ctx); err != nil {
			return fmt.Errorf("kill %d: %w", k+1, err)
		}
		if other := between[k]; other != nil {
			if err := other(ctx); err != nil {
				return err
			}
		}
		d.done.Add(1)
	}
	for _, hub := range d.Replicas { // each holds sessions too
		if d.killed[hub.Name] == 0 {
			d.killed[hub.Name]++
			if err := errors.Join(hub.Kill9(), hub.Restart(ctx)); err != nil {
				return err
			}
		}
	}
	return nil
}

// killLeader notes how long nobody led, and brings the dead one back then.
func (d *everyday) killLeader(ctx context.Context) error {
	leader, err := d.awaitLeader(ctx)
	if err != nil {
		return err
	}
	at := time.Now()
	d.killed["leader"]++
	d.killed[leader.Name]++
	if err := leader.Kill9(); err != nil {
		return err
	}
	if _, err := d.awaitLeader(ctx); err != nil {
		return err
	}
	d.recovered = append(d.recovered, time.Since(at))
	return leader.Restart(ctx)
}

func (r *rig) awaitLeader(ctx context.Context) (*local.Replica, error) {
	for {
		if leader := r.Leader(ctx); leader != nil {
			return leader, nil
		}
		if err := pause(ctx, every); err != nil {
			return nil, fmt.Errorf("nobody leads: %w", err)
		}
	}
}

// killDatabase kills the server with all its sessions, as a crash does.
func (d *everyday) killDatabase(ctx context.Context) error {
	at := time.Now()
	d.killed["database"]++
	if err := errors.Join(d.Database.Process.Kill9(), d.Database.Restart(ctx)); err != nil {
		return err
	}
	err := retry(ctx, func(ctx context.Context) error {
		_, err := d.admin.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: executionID(everydayName(0))})
		if status.Code(err) == codes.NotFound {
			return nil
		}
		return err
	})
	d.database = time.Since(at)
	return err
}

// settle asks for what users could not know, and repeats their creates by name.
func (d *everyday) settle(t *testing.T) {
	for _, name := range d.names() {
		if code := d.last[name]; !ambiguous(code) {
			continue
		}
		d.unknown++
		_, err := d.admin.GetExecution(t.Context(), &admin.WorkflowExecutionGetRequest{Id: executionID(name)})
		there := err == nil
		if !there && status.Code(err) != codes.NotFound {
			t.Errorf("to somebody who does not know whether %s was made, GetExecution says %v", name, err)
		}
		if there {
			d.made++
		}
		for try := 1; try <= 2; try++ {
			q := launchRequest("faults.chain", name, 0)
			q.Spec.Annotations = &admin.Annotations{Values: map[string]string{callMark: fmt.Sprintf("settle-%d", try)}}
			_, err := d.admin.CreateExecution(t.Context(), q)
			want := codes.AlreadyExists
			if !there && try == 1 {
				want = codes.OK
			}
			if status.Code(err) != want {
				t.Errorf("create %s again, which is there: %t, answered %v, want %s", name, there, err, want)
			}
			d.callers.outcomes = append(d.callers.outcomes, outcome{name, fmt.Sprintf("settle-%d", try), status.Code(err)})
		}
	}
}

// checkCalls: the call that made an execution was told so, or was not told.
func (d *everyday) checkCalls(t *testing.T) {
	said := map[string][]outcome{}
	for _, o := range d.callers.outcomes {
		said[o.name] = append(said[o.name], o)
	}
	for name, calls := range said {
		x, err := d.admin.GetExecution(t.Context(), &admin.WorkflowExecutionGetRequest{Id: executionID(name)})
		if strings.HasPrefix(name, "everybad") {
			if status.Code(err) != codes.NotFound {
				t.Errorf("%s, which was refused, is there: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s is not there: %v; its calls: %v", name, err, calls)
			continue
		}
		by := x.GetSpec().GetAnnotations().GetValues()[callMark]
		for _, c := range calls {
			switch {
			case c.call == by && c.code != codes.OK && !ambiguous(c.code):
				t.Errorf("%s was made by %s, which was told %s; its calls: %v", name, by, c.code, calls)
			case c.call != by && c.code == codes.OK:
				t.Errorf("%s was made by %s, and %s was told that it had; its calls: %v", name, by, c.call, calls)
			}
		}
	}
	codesSeen := d.callers.byCode()
	for _, code := range []codes.Code{codes.OK, codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.AlreadyExists, codes.NotFound} {
		if codesSeen[code] == 0 {
			t.Errorf("no call was answered %s: the test shows less than it should; %v", code, codesSeen)
		}
	}
}

// checkAttempts: both nodes were tried once, by one pod where the execution is.
func (d *everyday) checkAttempts(t *testing.T) {
	for _, name := range query[string](t, d.rig, `SELECT name FROM tasks GROUP BY name HAVING count(*) <> 2`) {
		t.Errorf("%s has not one attempt of each of its two nodes", name)
	}
	if n := query[int64](t, d.rig, `SELECT count(DISTINCT name) FROM tasks`)[0]; n != everydayLaunches {
		t.Errorf("%d executions have attempts, want %d", n, everydayLaunches)
	}
	objects, err := d.objects(t.Context())
	must(t, err)
	pods := map[string][]string{}
	for _, o := range objects {
		if o.kind == "Pod" {
			pods[o.execution] = append(pods[o.execution], o.cluster+"/"+o.name)
			if o.phase != "Succeeded" {
				t.Errorf("pod %s on %s is %s", o.name, o.cluster, o.phase)
			}
		}
	}
	for name, of := range pods {
		cluster := d.placement(t, name).Cluster
		if len(of) > 2 || slices.ContainsFunc(of, func(pod string) bool { return !strings.HasPrefix(pod, cluster+"/") }) {
			t.Errorf("%s on %s has the pods %v", name, cluster, of)
		}
	}
}

func (d *everyday) cuts() int64 {
	var n int64
	for _, u := range d.callers.users {
		n += u.cutter.cuts.Load()
	}
	return n
}
