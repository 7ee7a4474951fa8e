package rig

import (
	"bytes"
	"flag"
	"os"
	"strconv"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "the world that TestReplay runs")
	kindFlag  = flag.String("kind", string(Faults), "its kind")
	seedsFlag = flag.Uint64("seeds", 1000, "how many worlds of faults TestSeeds runs; of the other kinds accordingly")
)

// TestReplay runs one world and prints all that happens in it.
func TestReplay(t *testing.T) {
	seed := *seedFlag
	if s := os.Getenv("SKEIN_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("SKEIN_SEED: %v", err)
		}
		seed = n
	}
	if seed == 0 {
		t.Skip("no seed was named: -seed N, or SKEIN_SEED=N")
	}
	r := Run(seed, Kind(*kindFlag), os.Stdout)
	t.Logf("%d steps in %s of virtual time: %+v", r.Steps, r.Virtual, r.Seen)
	for _, v := range r.Violations {
		t.Error(v)
	}
}

// TestSeeds runs worlds of every kind, and demands that none breaks a promise.
func TestSeeds(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a thousand worlds")
	}
	began := time.Now()
	var all totals
	for _, k := range []struct {
		kind  Kind
		seeds uint64
	}{{Faults, *seedsFlag}, {Blips, *seedsFlag / 2}, {Kills, *seedsFlag / 20}} {
		var sum totals
		for seed := uint64(1); seed <= k.seeds; seed++ {
			r := Run(seed, k.kind, nil)
			sum.add(r)
			if len(r.Violations) > 0 {
				t.Errorf("%s\n\treplay: %s", r.Violations[0], r.Replay())
			}
			if sum.violations > 5 {
				t.Fatal("too many worlds are broken to go on")
			}
		}
		t.Logf("chaos: %s: %s", k.kind, sum)
		all.join(sum)
		if k.kind == Blips && sum.seen.Moves > 0 {
			t.Errorf("%d moves by outages that were shorter than a lease", sum.seen.Moves)
		}
		if k.kind == Kills && k.seeds >= 50 && sum.kills < 100 {
			t.Errorf("only %d leaders were killed", sum.kills)
		}
	}
	t.Logf("chaos: %d seeds, %d events, %d violations in %s", all.worlds, all.steps, all.violations, time.Since(began).Round(time.Millisecond))
}

// TestTheSameSeedIsTheSameWorld compares whole histories.
func TestTheSameSeedIsTheSameWorld(t *testing.T) {
	for _, kind := range Kinds() {
		for seed := uint64(1); seed <= 5; seed++ {
			var first, second bytes.Buffer
			Run(seed, kind, &first)
			r := Run(seed, kind, &second)
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Errorf("seed %d of %s: two histories", seed, kind)
			}
			if quiet := Run(seed, kind, nil); quiet.Steps != r.Steps {
				t.Errorf("seed %d of %s: %d steps with a trace, %d without", seed, kind, r.Steps, quiet.Steps)
			}
		}
	}
}
