package flytekit

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/cmd/internal/local/federationtest"
)

// sideBySide is how many cases run at a time. They wait more than they work,
// so it is not a matter of cores.
const sideBySide = "8"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		panic(err)
	}
	federationtest.Main(m)
}

// TestFlytekit runs every case, on process nodes with a folder as the object
// store.
func TestFlytekit(t *testing.T) {
	ground{name: "process nodes, folder store"}.run(t)
}

// mark chooses a case for runs on other grounds than TestFlytekit's. There,
// tasks and tests share no folder of the host.
type mark uint8

const (
	kubelet mark = 1 << iota // pods in containers
	s3                       // blobs in an S3 server
)

// ground is what the suite runs on.
type ground struct {
	name    string        // for people
	on      mark          // only the cases with this mark; 0: all
	own     []testCase    // cases of this ground alone
	options local.Options // of the federation; Python's folder is set by the suite
	image   string        // of the tasks; empty: flytekit's own
	environ []string      // clients get it beside what all get
}

// testCase is one thing that is tested, by the name that it fails under.
type testCase struct {
	name string
	on   mark // where it runs beside TestFlytekit
	run  func(*suite, *testing.T)
}

// run starts a federation, registers the project, runs the chosen cases side by
// side, and says how many passed.
func (g ground) run(t *testing.T) {
	s := start(t, g)
	first := testCase{name: "the project is registered", run: (*suite).registered}
	if !t.Run(first.name, func(t *testing.T) { s.try(t, first) }) {
		return
	}
	t.Run("side by side", func(t *testing.T) {
		for _, c := range slices.Concat(cases, conditionals, podTasks, g.own) {
			if g.on == 0 || c.on&g.on != 0 {
				t.Run(c.name, func(t *testing.T) { t.Parallel(); s.try(t, c) })
			}
		}
	})
	last := testCase{name: "the home is as it was", run: (*suite).untouched}
	t.Run(last.name, func(t *testing.T) { s.try(t, last) })
	fmt.Fprintf(os.Stdout, "flytekit: %d cases on %s\n", s.passed.Load(), g.name)
}

// try runs a case and counts it if it passes.
func (s *suite) try(t *testing.T, c testCase) {
	t.Cleanup(func() {
		if !t.Failed() && !t.Skipped() {
			s.passed.Add(1)
		}
	})
	c.run(s, t)
}
