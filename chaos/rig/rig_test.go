package rig

import (
	"flag"
	"os"
	"strconv"
	"testing"
	"time"
)

var (
	seedFlag = flag.Uint64("seed", 0, "the world that TestReplay runs")
	kindFlag = flag.String("kind", string(Faults), "its kind")
)

func TestReplay(t *testing.T) {
	seed := *seedFlag
	if s := os.Getenv("SKEIN_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	if seed == 0 {
		t.Skip("name a seed: -args -seed N, or SKEIN_SEED=N")
	}
	r := Run(seed, Kind(*kindFlag), os.Stdout)
	t.Logf("%d steps, %s, %+v", r.Steps, r.Virtual, r.Seen)
	for _, v := range r.Violations {
		t.Error(v)
	}
}

func TestSeeds(t *testing.T) {
	began := time.Now()
	steps, bad := 0, 0
	for seed := uint64(1); seed <= 100; seed++ {
		r := Run(seed, Faults, nil)
		steps += r.Steps
		for _, v := range r.Violations {
			t.Errorf("seed %d: %s\nreplay: %s", seed, v, r.Replay())
			bad++
			break
		}
		if bad > 10 {
			t.FailNow()
		}
	}
	t.Logf("chaos: %d steps in %s", steps, time.Since(began))
}
