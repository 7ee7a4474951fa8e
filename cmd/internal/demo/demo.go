// Package demo shows the main job on one machine: it starts a federation,
// registers a workflow, launches it with a cluster label and without, explains
// both placements, shows outputs, logs and the one trace, and kills the leading
// replica in the middle of a run.
//
// It uses the commands that a person would type, prints them, and checks what
// they did; it does nothing that they could not. Invariant: a line "DEMO OK
// <step>" is printed only after its step has been checked.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/cmd/internal/demo/spans"
	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/deploy/local/machine"
	"github.com/skein-project/skein/deploy/local/namespace"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/state"
	"github.com/skein-project/skein/deploy/local/venv"
)

type flags struct {
	state           string
	grpc, http, api int
	once, flytekit  bool
	nodes, store    string

	venv string // folder of Python's programs; there or not
}

// Command is "skein demo".
func Command() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run three replicas, three clusters and a workflow on this machine",
		Long: `Start a whole federation on this machine, of real parts: a SQL database, three
replicas of the control plane, three Kubernetes API servers with a propeller
and a process node each. Run a workflow on it, and leave everything up until
Ctrl-C. With DEMO_ONCE=1 (or --once), stop when the workflow has passed.

With --flytekit, run a small flytekit project instead. It needs Python 3.10 to
3.12 and a package index: flytekit is installed once, into the cache.`,
		Example: `  skein demo
  skein demo --once --grpc-port 18089 --http-port 18088 --api-port 18443 --state /var/tmp/second
  skein demo --flytekit
  skein demo --nodes simulated --object-store folder`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.nodes == local.KubeletNodes && !namespace.Inside() {
				return told(cmd.Context(), enter(cmd.Context(), cmd.OutOrStdout(), f))
			}
			return told(cmd.Context(), run(cmd.Context(), cmd.OutOrStdout(), f))
		},
	}
	cmd.Flags().StringVar(&f.state, "state", "", "folder for everything (default $SKEIN_STATE, else one for this folder)")
	cmd.Flags().IntVar(&f.grpc, "grpc-port", 8089, "port of Flyte's gRPC API")
	cmd.Flags().IntVar(&f.http, "http-port", 8088, "port of the REST gateway and of uploads")
	cmd.Flags().IntVar(&f.api, "api-port", 8443, "port of Skein's own API")
	cmd.Flags().BoolVar(&f.once, "once", os.Getenv("DEMO_ONCE") == "1", "stop when the workflow has passed")
	cmd.Flags().BoolVar(&f.flytekit, "flytekit", false, "show what an author of workflows does, with the real pyflyte; join a demo that runs on this state")
	cmd.Flags().StringVar(&f.nodes, "nodes", local.NodeKinds[0], "what runs pods: "+strings.Join(local.NodeKinds, ", "))
	cmd.Flags().StringVar(&f.store, "object-store", local.StoreKinds[0], "where data lies: "+strings.Join(local.StoreKinds, ", "))
	for flag, values := range map[string][]string{"nodes": local.NodeKinds, "object-store": local.StoreKinds} {
		if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // a flag that is not there: a mistake that every start shows
		}
	}
	return cmd
}

// told calls what has no kind a fault of ours, since the command line takes
// other errors for bad input, and what was under way at a Ctrl-C interrupted.
func told(ctx context.Context, err error) error {
	var known *fault.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return errInterrupted
	}
	return fault.E(fault.Internal, "%v", err)
}

// errInterrupted is an error, so that nobody takes an interrupted demo for one
// that has passed.
var errInterrupted = fault.E(fault.Precondition, "interrupted before the workflow had passed; what was started is stopped")

func run(ctx context.Context, out io.Writer, f flags) error {
	begin := time.Now()
	if f.state == "" {
		here, err := os.Getwd()
		if err != nil {
			return err
		}
		if f.state, err = state.Default(here); err != nil {
			return err
		}
	}
	say := func(format string, args ...any) {
		fmt.Fprintf(out, "%7.2fs  %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
	}
	say("state in %s", f.state)
	if err := machine.Loopback(ctx); err != nil {
		return err
	}
	if f.flytekit {
		if f.nodes == local.SimulatedNodes {
			return fault.Field("--flytekit", "needs nodes that run something: simulated ones run nothing")
		}
		if _, err := needPython(ctx, func(s string) { say("%s", s) }); err != nil {
			return err
		}
	}
	place, err := venv.Place()
	if err != nil {
		return fault.Wrap(fault.Precondition, err, "find the cache folder")
	}
	if _, there := venv.Find(ctx); there || f.nodes == local.ProcessNodes { // a process node looks at each task's start
		f.venv = filepath.Join(place, "bin")
	}
	if f.flytekit {
		there, err := running(ctx, f.state)
		if err != nil {
			return err
		}
		if there {
			return join(ctx, out, f)
		}
	}
	return own(ctx, out, f, say)
}

// own starts a federation, shows it, and stops it at the end.
func own(ctx context.Context, out io.Writer, f flags, say func(string, ...any)) (err error) {
	free, err := ports.Free(1)
	if err != nil {
		return err
	}
	traces := fmt.Sprintf("127.0.0.1:%d", free[0])
	receiver, err := spans.Listen(traces, filepath.Join(f.state, "spans.jsonl"))
	if err != nil {
		return err
	}
	defer receiver.Close()
	fed, err := local.Start(ctx, local.Options{
		State: f.state, GRPCPort: f.grpc, HTTPPort: f.http, APIPort: f.api, Traces: traces,
		VenvBin: f.venv, Nodes: f.nodes, ObjectStore: f.store,
		Supervise: true, Progress: func(s string) { say("%s", s) }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if ctx.Err() != nil && err == context.Cause(ctx) { //nolint:errorlint // nothing may be joined to it
		return errInterrupted
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fed.Stop()) }()
	say("everything is up")
	d := &demo{out: out, state: fed.State(), path: fed.Config, fed: fed, spans: receiver}
	if err := d.show(ctx, f); ctx.Err() != nil && err != nil {
		return errInterrupted
	} else if err != nil {
		return fmt.Errorf("%w (logs are in %s)", err, filepath.Join(f.state, "logs"))
	}
	if f.once {
		say("passed; stopping")
		return nil
	}
	d.endpoints()
	<-ctx.Done()
	say("stopping")
	return nil
}

// show is what a demo of this kind shows.
func (d *demo) show(ctx context.Context, f flags) error {
	if f.flytekit {
		a, err := d.author(f.venv, d.fed.Flyte)
		if err != nil {
			return err
		}
		return d.play(ctx, a.steps())
	}
	if err := d.play(ctx, d.withoutTasks()); err != nil {
		return err
	}
	if f.nodes == local.SimulatedNodes {
		_, err := fmt.Fprintln(d.out, "\nThe nodes are simulated: pods end by rule and nothing runs, so the other steps are left out.")
		return err
	}
	return d.play(ctx, d.withTasks())
}

func (d *demo) endpoints() {
	fmt.Fprintf(d.out, `
Everything stays up until Ctrl-C.
  Flyte gRPC  %s
  Flyte HTTP  %s
  Skein API   %s
  logs        %s

%s  export PATH=%s:$PATH
  export SKEIN_CONFIG=%s
  export FLYTECTL_CONFIG=%s
  skein launch demo.wordcount --input text="one two three" --wait
  make demo-flytekit   # what an author of workflows does, on this same demo
`, d.config.Flyte, d.fed.HTTP, d.config.Skein, filepath.Join(d.state, "logs"), wayIn(), programs(), d.path, d.fed.Flyte)
}

// programs is the folder of this program.
func programs() string {
	path, err := os.Executable()
	if err != nil {
		return "bin"
	}
	return filepath.Dir(path)
}
