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
	fromFlag  = flag.Uint64("from", 1, "the first of those seeds")
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
	}{{Faults, *seedsFlag}, {Blips, *seedsFlag / 5}, {Kills, *seedsFlag / 20}, {Orders, *seedsFlag / 5}, {Restores, *seedsFlag / 10}} {
		sum := play(t, k.kind, k.seeds)
		t.Logf("chaos: %s: %s", k.kind, sum)
		all.join(sum)
		switch {
		case k.kind == Blips && sum.seen.Moves > 0:
			t.Errorf("%d moves by outages that a lease must survive", sum.seen.Moves)
		case k.kind == Blips && k.seeds >= 200 && sum.blips < 500:
			t.Errorf("only %d such outages", sum.blips)
		case k.kind == Kills && k.seeds >= 50 && sum.kills < 100:
			t.Errorf("only %d leaders were killed", sum.kills)
		}
	}
	t.Logf("chaos: %s in %s", all, time.Since(began).Round(time.Millisecond))
}

// TestOnceBroken runs worlds again in which something was wrong: in the code, or
// in what was asked of it.
func TestOnceBroken(t *testing.T) {
	for _, one := range []struct {
		kind Kind
		seed uint64
		what string
	}{
		{Restores, 1795475515491, "the backup knows of a move that the gaining cluster never heard of, and the losing one reports"},
		{Restores, 1800000002448, "a replica that was dead for long wins an election after the restore"},
		{Restores, 1800000002587, "what is forgotten was told without a leader, so that nobody can notice"},
		{Restores, 1800000007345, "a launch is committed before the restore and answered after it"},
		{Restores, 1800000011584, "as the first but one"},
		{Restores, 1795475514750, "strict work is pinned to a cluster that the backup does not know, and is placed elsewhere"},
		{Restores, 2000000003752, "a session that is opened late, for a stream that has broken, is the newest for ever"},
		{Restores, 7000000000451, "what the backup knows as running had ended, was marked, and is drained before it is told again"},
		{Restores, 7000000000058, "only what leaves by a planned move knows of an execution"},
		{Restores, 7000000000310, "a stream from before the restore closes the session of now that has its number"},
		{Faults, 1795516501669, "one instance of a cluster makes an object again that was lost, and that another one's verdicts had released"},
		{Faults, 1795700001107, "a process that was paused starts work late of an object that was lost meanwhile, and given up"},
		{Faults, 4000000009893, "an event of a planned move's drain comes after the user's abort that overtook it"},
	} {
		if r := Run(one.seed, one.kind, nil); len(r.Violations) > 0 {
			t.Errorf("%s: %s\n\treplay: %s", one.what, r.Violations[0], r.Replay())
		}
	}
}

// play runs worlds of one kind.
func play(t *testing.T, kind Kind, seeds uint64) (sum totals) {
	for seed := *fromFlag; seed < *fromFlag+seeds; seed++ {
		r := Run(seed, kind, nil)
		sum.add(r)
		if len(r.Violations) > 0 {
			t.Errorf("%s\n\treplay: %s", r.Violations[0], r.Replay())
		}
		if sum.violations > 5 {
			t.Fatal("too many worlds are broken to go on")
		}
	}
	return sum
}

// TestLongerBlipsMoveWork shows that what blips are bounded by is what a lease
// bears, and not far below it: some seconds more, and work moves.
func TestLongerBlipsMoveWork(t *testing.T) {
	moves := 0
	for seed := uint64(1); seed <= 40 && moves == 0; seed++ {
		cfg := Draw(seed, Blips)
		cfg.Beyond = 4 * time.Second
		moves += Play(cfg, nil).Seen.Moves
	}
	if moves == 0 {
		t.Error("blips that last longer than a lease bears move nothing")
	}
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
