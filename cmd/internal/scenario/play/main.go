// Command play plays chaos scenarios on a federation of real processes, one
// after the other, and prints a line of figures for each and one for all. It
// ends with 1 if a promise was broken. `make chaos` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/skein-project/skein/chaos/script"
	"github.com/skein-project/skein/cmd/internal/scenario"
)

func main() {
	bin := flag.String("bin", "bin", "folder with skein, skein-admin and skein-propeller")
	verbose := flag.Bool("v", false, "print each step as it begins")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := play(ctx, *bin, flag.Args(), *verbose)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// play plays the files; ok says that all promises held.
func play(ctx context.Context, bin string, files []string, verbose bool) (ok bool, err error) {
	if len(files) == 0 {
		return false, errors.New("name at least one scenario, like chaos/testdata/blips.txt")
	}
	bin, err = filepath.Abs(bin)
	if err != nil {
		return false, err
	}
	began, all := time.Now(), script.Figures{Scenario: "all"}
	for _, file := range files {
		f, err := one(ctx, bin, file, verbose)
		if err != nil {
			return false, fmt.Errorf("%s: %w", file, err)
		}
		fmt.Fprintln(os.Stdout, f)
		all.Add(f)
	}
	all.Seconds = time.Since(began).Round(time.Millisecond).Seconds()
	fmt.Fprintln(os.Stdout, all)
	return all.OK(), nil
}

func one(ctx context.Context, bin, file string, verbose bool) (f script.Figures, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return f, err
	}
	s, err := script.Parse(strings.TrimSuffix(filepath.Base(file), ".txt"), text)
	if err != nil {
		return f, err
	}
	fmt.Fprintf(os.Stdout, "%s: %s\n", s.Name, s.About)
	say := func(string) {}
	if verbose {
		say = func(step string) { fmt.Fprintln(os.Stdout, " ", step) }
	}
	state, err := os.MkdirTemp("/var/tmp", "skein-chaos-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(state)
	if err := os.Chmod(state, 0o711); err != nil { // the database's own user passes through
		return f, err
	}
	w, err := scenario.Start(ctx, s.Setup, state, bin, say)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return script.Run(ctx, s, w.Ports(say))
}
