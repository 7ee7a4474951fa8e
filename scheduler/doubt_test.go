package scheduler

import (
	"errors"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/snapshot"
)

var seenNothing snapshot.Sight

// TestOurOwnOutageMovesNothing: all clusters but one fall silent at once, for
// ten leases, over a change of leader; then they return one by one. (I34.)
func TestOurOwnOutageMovesNothing(t *testing.T) {
	for _, tt := range []struct {
		name      string
		overtaken int // seconds into the outage; 0: never
		left      []string
	}{
		{"all are cut", 0, nil},
		{"all but one are cut", 0, []string{"f"}},
		{"a leader takes over before the lapses", 10, []string{"f"}},
		{"a leader takes over after the lapses", 200, []string{"f"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, "a", "b", "c", "d", "e", "f")
			for _, name := range []string{"a", "b", "c", "d", "e"} {
				s.holds(name, 4)
			}
			s.pass(40, "a", "b", "c", "d", "e", "f")
			for second := range 300 {
				if second == tt.overtaken && second > 0 {
					s.takeOver()
				}
				s.pass(1, tt.left...)
			}
			s.is("all have lapsed", s.world.health("a") == flow.HealthLapsed && s.world.health("e") == flow.HealthLapsed)
			s.is("the leader doubts itself", s.Doubt() != "")
			back := append([]string{}, tt.left...)
			for _, name := range []string{"a", "b", "c", "d", "e"} {
				back = append(back, name)
				s.pass(1, back...)
			}
			s.pass(40, back...)
			s.is("the doubt is over", s.Doubt() == "")
			if len(s.kinds) > 0 {
				t.Errorf("%d executions were moved by our own outage", len(s.kinds))
			}
		})
	}
}

func TestADoubtIsOverruled(t *testing.T) {
	s := newStage(t, "a", "b", "c", "d")
	s.holds("a", 2)
	s.pass(31, "a", "b", "c", "d")
	s.pass(40, "d")
	s.is("nothing is moved in doubt", s.Doubt() != "" && s.on("a") == 2)
	s.Overrule()
	s.pass(1, "d")
	s.is("an operator knows better", s.Doubt() == "" && s.on("a") == 0 && s.on("d") == 2)
}

// TestALostDatabaseIsADoubtWithTwoClusters: with two clusters, that both lapse
// may well be theirs; unless this leader lost something too.
func TestALostDatabaseIsADoubtWithTwoClusters(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(*stage)
		want bool
	}{
		{"nothing was lost", func(*stage) {}, false},
		{"the database was lost", func(s *stage) {
			s.failRead = errors.New("down")
			s.pass(2)
			s.failRead = nil
		}, true},
		{"another replica was lost", func(s *stage) {
			at := s.now
			s.deps.Trouble = func() time.Time { return at }
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, "a", "b")
			s.pass(31, "a", "b")
			s.pass(10)
			tt.lose(s)
			s.pass(25)
			s.is("both have lapsed", s.world.health("a") == flow.HealthLapsed && s.world.health("b") == flow.HealthLapsed)
			if got := s.Doubt() != ""; got != tt.want {
				t.Errorf("doubt %q, want %v", s.Doubt(), tt.want)
			}
		})
	}
}
