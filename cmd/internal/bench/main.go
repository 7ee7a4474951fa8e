// Command bench measures what docs/benchmarks.md shows, each figure beside its
// raw limit in the same run, and prints one line for each.
//
// It starts whole federations of real processes as `skein demo` does, with
// simulated nodes, and drives them through their public APIs only; what it
// measures is neither changed nor imported by it, but for placement and its
// simulation, which are functions, and for the hub, which simulated members meet
// in this process. It is no test: it fails only
// if something could not be measured, never because a figure is low. `make bench`
// runs it. Invariant: a figure and its raw limit come from the same machine,
// minute and settings, and what the bench started ends with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skein-project/skein/cmd/internal/local"
)

// bench is one run.
type bench struct {
	bin    string
	rounds int
	length time.Duration // of one round that is bounded by time
	out    io.Writer
}

// parts are measured one after another, each on a federation of its own.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"placement", (*bench).placement}, {"simulate", (*bench).simulation}, {"durable", (*bench).durable},
	{"create", (*bench).create}, {"workflows", (*bench).workflows}, {"writes", (*bench).writes},
	{"hub", (*bench).hub}, {"chaos", (*bench).chaos},
}

func main() {
	var b bench
	var only string
	flag.StringVar(&b.bin, "bin", "bin", "folder with skein, skein-admin and skein-propeller")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds of each figure; the median is shown")
	flag.DurationVar(&b.length, "length", 2*time.Second, "length of a round")
	quick := flag.Bool("quick", false, "two rounds of a second, for development")
	flag.StringVar(&only, "only", strings.Join(names(), ","), "parts to run")
	flag.Parse()
	if *quick {
		b.rounds, b.length = 2, time.Second
	}
	ctrllog.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	b.out = os.Stdout
	err := b.all(ctx, strings.Split(only, ","))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// names are those of all parts.
func names() []string {
	var out []string
	for _, p := range parts {
		out = append(out, p.name)
	}
	return out
}

func (b *bench) all(ctx context.Context, only []string) error {
	var err error
	if b.bin, err = filepath.Abs(b.bin); err != nil {
		return err
	}
	if b.rounds < 1 || b.length <= 0 {
		return errors.New("-rounds and -length must be above 0")
	}
	for _, name := range only {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("-only: there is no part %q: use some of %s", name, strings.Join(names(), ","))
		}
	}
	for _, p := range parts {
		if !slices.Contains(only, p.name) {
			continue
		}
		begin := time.Now()
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		say("%s took %.0fs", p.name, time.Since(begin).Seconds())
	}
	return nil
}

// with runs fn on a federation of one replica, which it starts and stops.
func (b *bench) with(ctx context.Context, o local.Options, fn func(*rig) error) (err error) {
	if o.State == "" {
		if o.State, err = stateFolder(); err != nil {
			return err
		}
		defer os.RemoveAll(o.State)
	}
	o.BinDir, o.Replicas, o.Nodes = b.bin, 1, local.SimulatedNodes
	o.Log = slog.New(slog.DiscardHandler)
	o.Progress = func(what string) { say("starting: %s", what) }
	f, err := local.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Stop()) }()
	r, err := newRig(ctx, f)
	if err != nil {
		return err
	}
	defer r.close()
	return fn(r)
}

// stateFolder makes a folder that the database's own user can reach.
func stateFolder() (string, error) {
	dir, err := os.MkdirTemp("/var/tmp", "skein-bench-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711) //nolint:gosec // another user's server must pass through it
}

// say tells people what goes on; figures alone go to standard output.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
