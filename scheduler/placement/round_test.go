package placement

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// TestReplay: a stored view decides as the view itself did, whatever the order
// of its lists, and a decision that was stored otherwise is found.
func TestReplay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		v.Now = v.Now.In(time.FixedZone("elsewhere", 3600)).Add(time.Nanosecond)
		stored, err := Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(v.Pending)
		slices.Reverse(v.Clusters)
		slices.Reverse(v.Loads)
		if again, _ := Encode(v); !bytes.Equal(stored, again) {
			t.Fatal("another order, other bytes")
		}
		plan := Decide(v)
		round := flow.Round{ID: "1.1/1", View: stored, Plan: plan.Mark()}
		if list, err := Replay(round); err != nil || len(list) > 0 {
			t.Fatalf("a replay differs: %+v, %v", list, err)
		}
		back, err := Decode(stored)
		if err != nil {
			t.Fatal(err)
		}
		if d := plan.Digest(); d != Decide(back).Digest() {
			t.Fatal("the digests differ")
		}
		if len(round.Plan) > 0 {
			at := rapid.IntRange(0, len(round.Plan)-1).Draw(t, "at")
			round.Plan = bytes.Clone(round.Plan)
			round.Plan[at]++
			if list, _ := Replay(round); len(list) != 1 || list[0].Position != at/marks {
				t.Fatalf("a decision that was stored otherwise is not found: %+v", list)
			}
		}
	})
}

func TestADamagedRoundIsRefused(t *testing.T) {
	good, err := Encode(view([]ClusterView{cluster("a")}))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []flow.Round{{View: []byte("no")}, {View: good[:len(good)/2]}, {View: good, Plan: []byte("short")}} {
		if _, err := Replay(r); fault.Of(err) != fault.Invalid {
			t.Errorf("want Invalid, got %v", err)
		}
	}
	if list, err := Replay(flow.Round{View: good, Plan: make([]byte, marks)}); err != nil || len(list) != 1 || !strings.Contains(list[0].Message, "fewer") {
		t.Errorf("a decision that is not taken again: %+v, %v", list, err)
	}
}

// TestWhatIfLose: what a forecast says of losing a cluster is what is decided
// when it is lost.
func TestWhatIfLose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		v.Limits = Limits{Moves: 1000}
		if len(v.Clusters) == 0 {
			return
		}
		x := rapid.IntRange(0, len(v.Clusters)-1).Draw(t, "lost")
		var placed []flow.Placed
		for range rapid.IntRange(0, 5).Draw(t, "live") {
			p := live("live-"+rapid.StringMatching("[a-z]{8}").Draw(t, "name"), v.Clusters[x].Name, drawRequirement(t))
			p.Failover = flow.Failover{Mode: pick(t, "mode", "", flow.FailoverRestart, flow.FailoverNever)}
			p.Moves = pick(t, "moves", 0, 5)
			placed = append(placed, p)
		}
		v = holding(v, placed...)
		forecast := WhatIf(v, placed, Change{Lose: []string{v.Clusters[x].Name}})

		really := v
		really.Clusters = slices.Clone(v.Clusters)
		really.Clusters[x].Lost, really.Clusters[x].Health = true, flow.HealthLost
		stranded := 0
		for _, p := range placed {
			if p.Failover.Moves(p.Moves) {
				really.Pending = append(really.Pending, p.Pending)
			} else {
				stranded++
			}
		}
		var got, want []Outcome
		for _, o := range forecast.Outcomes {
			if o.To != "" {
				got = append(got, Outcome{Execution: o.Execution, From: o.From, To: o.To})
			}
		}
		for _, p := range Decide(really).Placements {
			want = append(want, Outcome{Execution: p.Execution, From: p.From, To: p.Cluster})
		}
		if d := diff.Diff(want, got); d != "" || forecast.Stranded != stranded {
			t.Fatalf("%d stranded, want %d; placements (-really +forecast):\n%s", forecast.Stranded, stranded, d)
		}
	})
}

func TestWhatIf(t *testing.T) {
	clusters := []ClusterView{cluster("a", cores(10)), cluster("b", cores(10))}
	x, y, z := live("x", "a", cpu(6)), live("y", "a", cpu(4), pinned), live("z", "b", cpu(3))
	v := holding(view(clusters, pending("p", time.Minute, cpu(8))), x, y, z)
	tell := func(f Forecast) string {
		var out []string
		for _, o := range f.Outcomes {
			out = append(out, o.Execution.Name+":"+o.From+">"+o.To)
		}
		slices.SortFunc(out, cmp.Compare[string])
		return strings.Join(out, " ")
	}
	for _, tt := range []struct {
		name   string
		change Change
		want   string
	}{
		{"as it is, the pending one waits", Change{}, "p:>"},
		{"a cluster that joins takes it", Change{Add: []flow.Cluster{{Name: "c", Capacity: flow.Resources{MilliCPU: 9000, Memory: 1 << 40}}}}, "p:>c"},
		{"a drained cluster loses what fits elsewhere, and keeps what is pinned", Change{Drain: []string{"a"}}, "p:> x:a>b y:a>"},
		{"a lost cluster loses the same, and strands what is pinned", Change{Lose: []string{"a"}}, "p:> x:a>b y:a>"},
		{"a policy may forbid what would be done", Change{Lose: []string{"a"}, Policies: []flow.Policy{{Scope: flow.PolicyScope{Level: flow.PolicySystem},
			Rules: flow.PolicyRules{RequiredSelector: "nowhere"}}}}, "p:> x:a> y:a>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := WhatIf(v, []flow.Placed{x, y, z}, tt.change)
			if got := tell(f); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for _, o := range f.Outcomes {
				if o.To == "" && o.How == "" || o.From != "" && o.To != "" && !strings.HasPrefix(o.How, "re") {
					t.Errorf("it does not say how, or why not: %+v", o)
				}
			}
		})
	}
	f := WhatIf(v, []flow.Placed{x, y, z}, Change{Lose: []string{"a"}})
	if b := f.Loads[1]; b.Cluster != "b" || b.Before.Executions != 1 || b.After.Executions != 2 || b.After.Reservation.MilliCPU != 9000 || f.Stranded != 1 {
		t.Errorf("loads and stranded: %+v, %d", b, f.Stranded)
	}
	if f := WhatIf(v, []flow.Placed{x}, Change{Drain: []string{"a"}}); f.Loads[0].After.Executions != 1 || f.Loads[0].After.Reservation.MilliCPU != 4000 {
		t.Errorf("a drained cluster holds less: %+v", f.Loads[0])
	}
	if len(v.Pending) != 1 || v.Clusters[0].Drain != nil || v.Clusters[0].Lost {
		t.Error("a forecast changed its view")
	}
}
