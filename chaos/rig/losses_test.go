package rig

import (
	"io"
	"os"
	"testing"
)

// TestForecast holds what is foretold of losing a cluster against losing it
// (I78): in 99 of 100 worlds each execution goes where it was said to go.
func TestForecast(t *testing.T) {
	first, last := *fromFlag, *fromFlag+max(*seedsFlag/10, 20)-1
	var trace io.Writer
	if *seedFlag != 0 {
		first, last, trace = *seedFlag, *seedFlag, os.Stdout
	}
	trials, agreed, moved, stayed := 0, 0, 0, 0
	for seed := first; seed <= last; seed++ {
		l, err := Lose(seed, trace)
		if err != nil {
			t.Fatalf("seed %d: %v\n\treplay: %s", seed, err, l.Replay())
		}
		trials++
		moved, stayed = moved+l.Moved, stayed+l.Stayed
		if len(l.Different) == 0 {
			agreed++
			continue
		}
		for _, d := range l.Different {
			t.Logf("seed %d, losing %s: %s", seed, l.Cluster, d)
		}
		t.Logf("replay: %s", l.Replay())
	}
	t.Logf("chaos: whatif --lose: %d of %d trials agree with losing the cluster: %d executions moved, %d stayed or wait", agreed, trials, moved, stayed)
	if agreed*100 < trials*99 {
		t.Errorf("only %d of %d forecasts came true", agreed, trials)
	}
	if moved < trials {
		t.Errorf("only %d executions were moved in %d trials", moved, trials)
	}
}
