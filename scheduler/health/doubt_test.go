package health

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flow"
)

const lease = 30 * time.Second

// fleet reads "HHSL" as the clusters a, b, c, d: healthy, suspect, lapsed, lost,
// unknown (U), or not there (-).
func fleet(s string) map[string]flow.Health {
	out := map[string]flow.Health{}
	for i, r := range s {
		if h, ok := letters[r]; ok {
			out[string(rune('a'+i))] = h
		}
	}
	return out
}

var letters = map[rune]flow.Health{'H': flow.HealthHealthy, 'S': flow.HealthSuspect, 'L': flow.HealthLapsed,
	'X': flow.HealthLost, 'U': flow.HealthUnknown}

func standing(s string, since time.Time) (out []Standing) {
	for name, h := range fleet(s) {
		out = append(out, Standing{name, h, since})
	}
	return out
}

type look struct {
	at     int // seconds since the term began
	fleet  string
	doubts bool
}

func TestDoubt(t *testing.T) {
	for _, tt := range []struct {
		name    string
		why     string
		begun   []Standing
		trouble int // second at which a replica or the database was lost; 0: never
		looks   []look
	}{
		{"all lapse within a lease", "it is our outage", standing("HHHHHH", now), 0,
			[]look{{1, "HHHHHH", false}, {60, "HHHHHH", false}, {66, "SSSSSS", false}, {92, "LSSSSS", true}, {95, "LLLLLL", true}, {360, "LLLLLL", true}}},
		{"one of six lapses", "it is that cluster's outage", standing("HHHHHH", now), 0,
			[]look{{60, "HHHHHH", false}, {66, "SHHHHH", false}, {92, "LHHHHH", false}, {500, "LHHHHH", false}}},
		{"four of six lapse within a lease", "more than half", standing("HHHHHH", now), 0,
			[]look{{60, "HHHHHH", false}, {66, "SSSSHH", false}, {92, "LLLLHH", true}, {400, "LLLLHH", true}}},
		{"three of six lapse within a lease", "half is not more than half", standing("HHHHHH", now), 0,
			[]look{{60, "HHHHHH", false}, {92, "LLLHHH", false}}},
		{"four of six lapse, one after the other", "each in a window of its own", standing("HHHHHH", now), 0,
			[]look{{60, "HHHHHH", false}, {90, "LHHHHH", false}, {130, "LLHHHH", false}, {170, "LLLHHH", false}, {210, "LLLLHH", false}}},
		{"the first of many to lapse is not moved", "leases that were cut off at once end one after the other", standing("HHHHH", now), 0,
			[]look{{60, "HHHHH", false}, {87, "LSSHH", true}}},
		{"a blip beside a dead cluster is borne out", "it ends when a majority is back", standing("HHH", now), 0,
			[]look{{60, "HHH", false}, {92, "LSH", true}, {94, "LHH", false}}},
		{"a majority comes back", "then what is still away is theirs", standing("HHHHHH", now), 0,
			[]look{{60, "HHHHHH", false}, {92, "LLLLLL", true}, {300, "HLLLLL", true}, {301, "HHHLLL", true}, {302, "HHHHLL", true}, {331, "HHHHLL", true}, {332, "HHHHLL", false}, {333, "HHHHLL", false}}},
		{"all come back", "then there is nothing to wait for", standing("HHH", now), 0,
			[]look{{60, "HHH", false}, {92, "LLL", true}, {300, "HHL", true}, {301, "HHH", false}}},
		{"a majority comes back and goes again", "it was not over", standing("HHHHH", now), 0,
			[]look{{60, "HHHHH", false}, {92, "LLLLL", true}, {300, "HHHLL", true}, {310, "HHSLL", true}, {330, "HHHLL", true}, {359, "HHHLL", true}, {360, "HHHLL", false}}},
		{"two clusters lapse", "with two it may well be theirs", standing("HH", now), 0,
			[]look{{60, "HH", false}, {92, "LL", false}}},
		{"two clusters lapse, and a replica was lost", "then it is ours", standing("HH", now), 80,
			[]look{{60, "HH", false}, {92, "LL", true}, {300, "LL", true}, {310, "HL", true}, {320, "HH", false}}},
		{"two clusters lapse, long after a replica was lost", "that was another outage", standing("HH", now), 30,
			[]look{{60, "HH", false}, {92, "LL", false}}},
		{"one of two lapses, and the database was lost", "one is not more than half", standing("HH", now), 80,
			[]look{{60, "HH", false}, {92, "LH", false}}},
		{"one cluster lapses, and the database was lost", "one is more than half of one", standing("H", now), 80,
			[]look{{60, "H", false}, {92, "L", true}}},
		{"clusters that never came do not count", "they did not stand", standing("HHHUUU", now), 0,
			[]look{{60, "HHHUUU", false}, {92, "LLHUUU", true}}},
		{"a cluster that joined inside the window does not count", "it did not stand when the window began", standing("HHHH", now), 0,
			[]look{{60, "HHHH", false}, {91, "HHHHHH", false}, {92, "LLLHHH", true}}},
		{"clusters that were declared lost are not waited for", "that is an operator's word", standing("HHHHH", now), 0,
			[]look{{60, "HHHHH", false}, {92, "LLLHH", true}, {100, "XLLHH", true}, {101, "XXLHH", true}, {132, "XXLHH", false}}},
		{"clusters that were removed are not waited for", "they cannot come back", standing("HHH", now), 0,
			[]look{{60, "HHH", false}, {92, "LLH", true}, {100, "--H", false}}},
		{"a new leader in the middle of an outage, before the lapses", "who is suspect stood", standing("SSSSSS", ago(3)), 0,
			[]look{{6, "SSSSSS", false}, {33, "LLLLLL", true}}},
		{"a new leader in the middle of an outage, after the lapses", "that they lapsed at once is recorded", standing("LLLLLL", ago(300)), 0,
			[]look{{1, "LLLLLL", true}, {40, "HLLLLL", true}, {400, "HHHHLL", true}, {430, "HHHHLL", false}}},
		{"a new leader finds clusters that lapsed one after the other", "those were no outage of ours",
			[]Standing{{"a", flow.HealthLapsed, ago(300)}, {"b", flow.HealthLapsed, ago(200)}, {"c", flow.HealthLapsed, ago(100)}, {"d", flow.HealthHealthy, ago(900)}, {"e", flow.HealthHealthy, ago(900)}}, 0,
			[]look{{1, "LLLHH", false}, {90, "LLLHH", false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := Begin(now, lease, tt.begun)
			for _, l := range tt.looks {
				s := Sight{Now: in(l.at), Health: fleet(l.fleet)}
				if tt.trouble > 0 {
					s.Trouble = in(tt.trouble)
				}
				if why := w.See(s); (why != "") != l.doubts {
					t.Errorf("after %d s %s: doubt %q, want %v; why: %s", l.at, l.fleet, why, l.doubts, tt.why)
				}
			}
		})
	}
}

func TestADoubtSaysWhatItRestsOn(t *testing.T) {
	w := Begin(now, lease, standing("HHHH", now))
	w.See(Sight{Now: in(60), Health: fleet("HHHH")})
	why := w.See(Sight{Now: in(90), Health: fleet("LLSH")})
	for _, want := range []string{"3 of the 4 clusters", "(a, b, c)", "2 of them have lapsed", "more than half of the 4"} {
		if !strings.Contains(why, want) {
			t.Errorf("want %q in %q", want, why)
		}
	}
}

func TestAnOverruledDoubtComesBackAfterTheNextOutageOnly(t *testing.T) {
	w := Begin(now, lease, standing("HHHH", now))
	for _, l := range []struct {
		look
		overrule bool
	}{
		{look{60, "HHHH", false}, false}, {look{90, "LLLH", true}, true}, {look{91, "LLLH", false}, false},
		{look{200, "LLLL", false}, false}, {look{300, "HHHL", false}, false}, {look{400, "HHHL", false}, false},
		{look{430, "LLLL", true}, false},
	} {
		if why := w.See(Sight{Now: in(l.at), Health: fleet(l.fleet)}); (why != "") != l.doubts {
			t.Errorf("after %d s %s: doubt %q, want %v", l.at, l.fleet, why, l.doubts)
		}
		if l.overrule {
			w.Overrule()
		}
	}
}

// TestDoubtNeverMissesAnOutageOfOurs: whatever happened before, if all clusters
// that stood fall silent together, there is a doubt as soon as the first one
// lapses, and until a majority is healthy.
func TestDoubtNeverMissesAnOutageOfOurs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 9).Draw(t, "clusters")
		state := make([]flow.Health, n)
		for i := range state {
			state[i] = flow.HealthHealthy
		}
		all := func() map[string]flow.Health {
			out := map[string]flow.Health{}
			for i, h := range state {
				out[fmt.Sprint(i)] = h
			}
			return out
		}
		w, at := Begin(now, lease, nil), 0
		see := func(seconds int) string {
			at += seconds
			return w.See(Sight{Now: in(at), Health: all()})
		}
		for range rapid.IntRange(0, 20).Draw(t, "before") { // whatever
			i := rapid.IntRange(0, n-1).Draw(t, "who")
			state[i] = rapid.SampledFrom([]flow.Health{flow.HealthHealthy, flow.HealthSuspect, flow.HealthLapsed}).Draw(t, "is")
			see(rapid.IntRange(0, 20).Draw(t, "for"))
		}
		for i := range state {
			state[i] = flow.HealthHealthy
		}
		see(1)
		see(31)
		for i := range state {
			state[i] = flow.HealthSuspect
		}
		see(6)
		for _, i := range rapid.Permutation(indices(n)).Draw(t, "lapse") {
			state[i] = flow.HealthLapsed
			if see(rapid.IntRange(0, 2).Draw(t, "pause")) == "" {
				t.Fatalf("no doubt though all fell silent: %v", state)
			}
		}
		half := 0 // when a majority was back
		for k, i := range rapid.Permutation(indices(n)).Draw(t, "return") {
			state[i] = flow.HealthHealthy
			why := see(rapid.IntRange(0, 60).Draw(t, "later"))
			if 2*k <= n && 2*(k+1) > n {
				half = at
			}
			if (why == "") != (k == n-1 || 2*(k+1) > n && at-half >= 30) {
				t.Fatalf("%d of %d are back: doubt %q", k+1, n, why)
			}
		}
	})
}

func indices(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}
