package health

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flow"
)

var (
	now    = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	policy = Policy{Suspect: 5 * time.Second, Margin: 2 * time.Second}
)

func ago(s int) time.Time { return now.Add(-time.Duration(s) * time.Second) }
func in(s int) time.Time  { return ago(-s) }

func TestJudge(t *testing.T) {
	live := Member{SeenAt: ago(1), LeaseUntil: in(20), HoldsUntil: in(20)}
	for _, tt := range []struct {
		name string
		why  string
		h    History
		want flow.Health
	}{
		{"a beat and a live lease are healthy", "both clocks run", History{flow.HealthUnknown, ago(60), []Member{live}, false}, flow.HealthHealthy},
		{"one good member is enough", "the others stand by", History{flow.HealthSuspect, ago(60), []Member{{HoldsUntil: ago(90)}, live}, false}, flow.HealthHealthy},
		{"a beat and a lease of two members are not one", "who beats may not work, who may work is silent",
			History{flow.HealthHealthy, ago(60), []Member{{SeenAt: ago(1)}, {LeaseUntil: in(9), HoldsUntil: in(9)}}, false}, flow.HealthSuspect},
		{"six seconds of silence are suspect", "the suspect time is five", History{flow.HealthHealthy, ago(60), []Member{{SeenAt: ago(6), LeaseUntil: in(9), HoldsUntil: in(9)}}, false}, flow.HealthSuspect},
		{"a lease that ended within the margin is suspect, not lapsed", "clocks drift", History{flow.HealthSuspect, ago(60), []Member{{HoldsUntil: ago(1)}}, false}, flow.HealthSuspect},
		{"a lease that ended before the margin has lapsed", "nobody there may start work", History{flow.HealthSuspect, ago(60), []Member{{HoldsUntil: ago(3)}}, false}, flow.HealthLapsed},
		{"one lease that may be out holds the lapse off", "that member may start work", History{flow.HealthSuspect, ago(60), []Member{{HoldsUntil: ago(90)}, {HoldsUntil: in(1)}}, false}, flow.HealthSuspect},
		{"a new leader believes the record at first", "it has heard nobody yet", History{flow.HealthHealthy, ago(4), []Member{{HoldsUntil: ago(90)}}, false}, flow.HealthHealthy},
		{"a new leader believes its ears at once", "a heartbeat is no hearsay", History{flow.HealthLapsed, ago(1), []Member{live}, false}, flow.HealthHealthy},
		{"who never had a lease is unknown", "registered, and nothing more", History{flow.HealthUnknown, ago(60), []Member{{SeenAt: ago(1)}}, false}, flow.HealthUnknown},
		{"a cluster without members is unknown", "nobody ever came", History{flow.HealthUnknown, ago(60), nil, false}, flow.HealthUnknown},
		{"what was declared lost is lost, whatever it says", "an operator's word is above all", History{flow.HealthHealthy, ago(60), []Member{live}, true}, flow.HealthLost},
		{"what was declared found has lapsed until it renews", "it owns nothing", History{flow.HealthLost, ago(1), []Member{{HoldsUntil: ago(90)}}, false}, flow.HealthLapsed},
		{"what was declared found and renews is healthy", "a heartbeat under a lease", History{flow.HealthLost, ago(1), []Member{live}, false}, flow.HealthHealthy},
		{"a new leader does not unsay a lapse", "it takes old leases to last, but another knew better", History{flow.HealthLapsed, ago(10), []Member{{HoldsUntil: in(20)}}, false}, flow.HealthLapsed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Judge(tt.h, now, policy); got != tt.want {
				t.Errorf("got %s, want %s; why: %s", got, tt.want, tt.why)
			}
		})
	}
}

func TestRecall(t *testing.T) {
	row := flow.MemberState{Generation: 4, LeaseGeneration: 4, LeaseExpiresAt: in(10), LeaseDuration: 30 * time.Second}
	old := row
	old.LeaseGeneration = 3
	for _, tt := range []struct {
		name  string
		why   string
		row   flow.MemberState
		live  Liveness
		since time.Time
		want  Member
		long  time.Duration
	}{
		{"an old leader's lease lasts its whole duration from now on", "its clock may have been slow", row, Liveness{}, ago(1), Member{LeaseUntil: in(10), HoldsUntil: in(29)}, 0},
		{"a lease granted in this term ends when it ends", "we hold that clock", row, Liveness{Generation: 4, SeenAt: ago(1), LeaseEnds: in(11)}, ago(20), Member{SeenAt: ago(1), LeaseUntil: in(10), HoldsUntil: in(11)}, 0},
		{"an earlier lease that was longer may be out", "the new one may not have arrived", row, Liveness{Generation: 4, SeenAt: ago(1), LeaseEnds: in(11)}, ago(20), Member{SeenAt: ago(1), LeaseUntil: in(10), HoldsUntil: in(40)}, time.Minute},
		{"another leader's clock says nothing", "it may be minutes ahead", row, Liveness{}, ago(40), Member{LeaseUntil: in(10), HoldsUntil: ago(10)}, 0},
		{"an old session's heartbeat does not count", "members obey the newest session", row, Liveness{Generation: 3, SeenAt: ago(1)}, ago(20), Member{LeaseUntil: in(10), HoldsUntil: in(10)}, 0},
		{"an old session's lease holds, but does not let place", "the new session owns nothing yet", old, Liveness{Generation: 4, SeenAt: ago(1)}, ago(20), Member{SeenAt: ago(1), HoldsUntil: in(10)}, 0},
		{"a lease that is being recorded may be out", "its answer may have been lost", row, Liveness{Generation: 4, SeenAt: ago(1), LeaseEnds: in(11), Asked: in(30)}, ago(90), Member{SeenAt: ago(1), LeaseUntil: in(10), HoldsUntil: in(30)}, 0},
		{"a first lease that is being recorded may be out", "its row may not show it yet", flow.MemberState{Generation: 4}, Liveness{Generation: 4, SeenAt: ago(1), Asked: in(30)}, ago(90), Member{SeenAt: ago(1), HoldsUntil: in(30)}, 0},
		{"who never had a lease holds none", "there is no row", flow.MemberState{Generation: 1}, Liveness{Generation: 1, SeenAt: ago(1)}, ago(1), Member{SeenAt: ago(1)}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Recall(tt.row, tt.live, tt.since, tt.long); got != tt.want {
				t.Errorf("got %+v, want %+v; why: %s", got, tt.want, tt.why)
			}
		})
	}
}

// TestNeverLapsedTooEarly: no lapse is said for the first time while any member
// may hold a lease, nor health without a beat under a live lease.
func TestNeverLapsedTooEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		second := rapid.IntRange(-40, 40)
		h := History{Recorded: rapid.SampledFrom([]flow.Health{flow.HealthUnknown, flow.HealthHealthy, flow.HealthSuspect}).Draw(t, "recorded"),
			Since: ago(rapid.IntRange(6, 40).Draw(t, "since"))}
		held, good := false, false
		for range rapid.IntRange(0, 3).Draw(t, "members") {
			m := Member{HoldsUntil: in(second.Draw(t, "holds"))}
			if rapid.Bool().Draw(t, "seen") {
				m.SeenAt = ago(rapid.IntRange(0, 40).Draw(t, "age"))
			}
			if rapid.Bool().Draw(t, "current") {
				m.LeaseUntil = m.HoldsUntil
			}
			h.Members = append(h.Members, m)
			held = held || m.HoldsUntil.Add(policy.Margin).After(now)
			good = good || m.Heard(now, policy) && m.Leased(now)
		}
		got := Judge(h, now, policy)
		if got == flow.HealthLapsed && held {
			t.Fatalf("lapsed while a lease may be out: %+v", h)
		}
		if (got == flow.HealthHealthy) != good {
			t.Fatalf("%s, but a member beats under a live lease: %v", got, good)
		}
	})
}

func TestProblems(t *testing.T) {
	if list := policy.Problems(30 * time.Second); len(list) != 0 {
		t.Fatalf("the default policy has problems: %q", list)
	}
	list := Policy{Suspect: 40 * time.Second}.Problems(30 * time.Second)
	if got := strings.Join(list, "; "); !strings.Contains(got, "suspect time 40s < lease 30s does not hold") || !strings.Contains(got, "margin 0s >= lease/100") {
		t.Errorf("each failing inequality must be named: %s", got)
	}
}
