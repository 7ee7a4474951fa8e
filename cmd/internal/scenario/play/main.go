// Command play plays chaos scenarios on federations of real processes and runs
// seeds of the simulated one, and ends with one line of figures for all. It ends
// with 1 if a promise was broken, a bar was missed, or something could not be
// played.
//
// `make chaos` plays the scenarios of chaos/testdata and a share of the seeds;
// `make chaos-full` plays all scenarios, the small ones again and again, and new
// seeds in turns, until its time is over, and writes docs/chaos.md after each
// part. Package scenario starts and drives the processes, chaos/script judges,
// chaos/rig is the simulated federation, report writes the page. Invariant: what
// it started has ended when it ends, and a failure ends nothing but itself: what
// comes next is played on a new federation.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skein-project/skein/deploy/local/smalldisk"
)

// options are what the command line says.
type options struct {
	bin     string
	verbose bool
	keep    bool
	seeds   uint64
	full    string
	time    time.Duration
	page    string
}

func main() {
	var o options
	var minutes float64
	flag.StringVar(&o.bin, "bin", "bin", "folder with skein, skein-admin and skein-propeller")
	flag.BoolVar(&o.verbose, "v", false, "print each step as it begins")
	flag.BoolVar(&o.keep, "keep", false, "keep the state folders, with all logs, and say where they are")
	flag.Uint64Var(&o.seeds, "seeds", 0, "how many seeds of faults to run first, in the simulated federation; of other kinds accordingly")
	flag.StringVar(&o.full, "full", "", "folder of the scenarios of full runs: play those, the others again and again, and new seeds, until the time is over")
	flag.Float64Var(&minutes, "minutes", 120, "the time of a full run")
	flag.StringVar(&o.page, "page", "", "file to write what a full run came to")
	private := flag.Bool("disks", false, "play in a mount table of our own, as scenarios with disks=small need it (root on Linux)")
	flag.Parse()
	if *private {
		smalldisk.Privately(func() { play(o, minutes) })
		return
	}
	play(o, minutes)
}

// play does what the command line says, and ends the program if that failed.
func play(o options, minutes float64) {
	ctrllog.SetLogger(logr.Discard())
	o.time = time.Duration(minutes * float64(time.Minute))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := run(ctx, o, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run does all of it; ok says that all promises held and all bars were met.
func run(ctx context.Context, o options, files []string) (ok bool, err error) {
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return false, err
	}
	small, err := read(files)
	if err != nil {
		return false, err
	}
	s := &suite{options: o, out: os.Stdout, begin: begin}
	if o.full == "" {
		return brief(ctx, s, small)
	}
	long, err := filepath.Glob(filepath.Join(o.full, "*.txt"))
	if err != nil || len(long) == 0 {
		return false, errors.Join(fmt.Errorf("-full: there are no scenarios in %s", o.full), err)
	}
	large, err := read(long)
	if err != nil {
		return false, err
	}
	return full(ctx, s, small, large)
}
