package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/skein-project/skein/chaos/script"
	"github.com/skein-project/skein/cmd/internal/scenario"
)

// suite plays scenarios one after the other. Those that want the same federation
// and follow each other share it, until one of them fails.
type suite struct {
	options
	out   io.Writer
	begin func(ctx context.Context, s script.Setup, state, bin string, say func(string)) (stage, error)

	world stage        // nil: none runs
	setup script.Setup // that world's
	state string       // its folder
	total script.Figures
	// database is what the last one said of itself.
	database string
}

// stage is a federation on which scenarios are played.
type stage interface {
	Play(ctx context.Context, sc script.Scenario, say func(string)) (script.Figures, error)
	Database(ctx context.Context) (string, error)
	Close() error
}

// real is a federation of real processes.
type real struct{ *scenario.World }

func (r real) Play(ctx context.Context, sc script.Scenario, say func(string)) (script.Figures, error) {
	return script.Run(ctx, sc, r.Ports(say))
}

func begin(ctx context.Context, s script.Setup, state, bin string, say func(string)) (stage, error) {
	w, err := scenario.Start(ctx, s, state, bin, say)
	return real{w}, err
}

// read parses scenarios, and puts those that want the same federation together.
func read(files []string) (out []script.Scenario, err error) {
	first := map[script.Setup]int{} // where its group begins
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		s, err := script.Parse(strings.TrimSuffix(filepath.Base(file), ".txt"), text)
		if err != nil {
			return nil, err
		}
		if _, known := first[s.Setup]; !known {
			first[s.Setup] = i
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b script.Scenario) int { return first[a.Setup] - first[b.Setup] })
	return out, nil
}

// play plays one scenario and prints its line. What could not be played has
// failed; only the end of the context is an error.
func (s *suite) play(ctx context.Context, sc script.Scenario) (script.Figures, error) {
	fmt.Fprintf(s.out, "%s: %s\n", sc.Name, sc.About)
	f, err := s.on(ctx, sc)
	if ctx.Err() != nil {
		return f, ctx.Err()
	}
	f.Scenario = sc.Name
	if err != nil {
		f.Failed = append(f.Failed, "it could not be played to its end: "+err.Error())
	}
	if !f.OK() {
		f.Failed = append(f.Failed, s.close()...)
	}
	fmt.Fprintln(s.out, f)
	s.total.Add(f)
	return f, nil
}

// on plays it on a federation that fits.
func (s *suite) on(ctx context.Context, sc script.Scenario) (f script.Figures, err error) {
	say := func(string) {}
	if s.verbose {
		say = func(step string) { fmt.Fprintln(s.out, " ", time.Now().Format(time.TimeOnly), step) }
	}
	if s.world != nil && s.setup != sc.Setup {
		if problems := s.close(); len(problems) > 0 {
			return f, errors.New(strings.Join(problems, "; "))
		}
	}
	if s.world == nil {
		if s.state, err = stateFolder(); err != nil {
			return f, err
		}
		w, err := s.begin(ctx, sc.Setup, s.state, s.bin, say)
		if err != nil {
			s.forget()
			return f, fmt.Errorf("start a federation: %w", err)
		}
		s.world, s.setup = w, sc.Setup
		if s.database, err = s.world.Database(ctx); err != nil {
			return f, err
		}
	}
	return s.world.Play(ctx, sc, say)
}

// close stops the federation that runs, and says what went wrong with that.
func (s *suite) close() (problems []string) {
	if s.world == nil {
		return nil
	}
	if err := s.world.Close(); err != nil {
		problems = append(problems, "stop the federation: "+err.Error())
	}
	s.world = nil
	s.forget()
	return problems
}

func (s *suite) forget() {
	if s.keep {
		fmt.Fprintln(s.out, "state and logs are kept in", s.state)
		return
	}
	_ = os.RemoveAll(s.state) // it is temporary
}

// stateFolder makes a folder that the database's own user can reach.
func stateFolder() (string, error) {
	dir, err := os.MkdirTemp("/var/tmp", "skein-chaos-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711) //nolint:gosec // another user's server must pass through it
}
