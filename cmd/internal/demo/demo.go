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
	"github.com/skein-project/skein/deploy/local/namespace"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/state"
	"github.com/skein-project/skein/deploy/local/venv"
)

type flags struct {
	state           string
	grpc, http, api int
	once            bool
	nodes, store    string
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
Ctrl-C. With DEMO_ONCE=1 (or --once), stop when the workflow has passed.`,
		Example: "  skein demo\n  skein demo --once --grpc-port 18089 --http-port 18088 --state /var/tmp/second",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.nodes == local.KubeletNodes && !namespace.Inside() {
				return inside(cmd.Context(), cmd.OutOrStdout())
			}
			return run(cmd.Context(), cmd.OutOrStdout(), f)
		},
	}
	cmd.Flags().StringVar(&f.state, "state", "", "folder for everything (default $SKEIN_STATE, else one for this folder)")
	cmd.Flags().IntVar(&f.grpc, "grpc-port", 8089, "port of Flyte's gRPC API")
	cmd.Flags().IntVar(&f.http, "http-port", 8088, "port of the REST gateway and of uploads")
	cmd.Flags().IntVar(&f.api, "api-port", 8443, "port of Skein's own API")
	cmd.Flags().BoolVar(&f.once, "once", os.Getenv("DEMO_ONCE") == "1", "stop when the workflow has passed")
	cmd.Flags().StringVar(&f.nodes, "nodes", local.NodeKinds[0], "what runs pods: "+strings.Join(local.NodeKinds, ", "))
	cmd.Flags().StringVar(&f.store, "object-store", local.StoreKinds[0], "where data lies: "+strings.Join(local.StoreKinds, ", "))
	return cmd
}

// errInterrupted is an error, so that nobody takes an interrupted demo for one
// that has passed.
var errInterrupted = fault.E(fault.Precondition, "interrupted before the workflow had passed; what was started is stopped")

func run(ctx context.Context, out io.Writer, f flags) (err error) {
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
	if err := os.MkdirAll(f.state, 0o711); err != nil {
		return err
	}
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
		VenvBin: python(ctx), Nodes: f.nodes, ObjectStore: f.store,
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
	d := &demo{out: out, fed: fed, spans: receiver, begin: begin, simulated: f.nodes == local.SimulatedNodes}
	if err := d.show(ctx); ctx.Err() != nil && err != nil {
		return errInterrupted
	} else if err != nil {
		return fmt.Errorf("%w (logs are in %s)", err, filepath.Join(f.state, "logs"))
	}
	if f.once {
		say("passed; stopping")
		return nil
	}
	d.endpoints(f)
	<-ctx.Done()
	say("stopping")
	return nil
}

// python is where tasks find flytekit, if this machine has the environment
// already (make test makes it): the demo itself needs no Python.
func python(ctx context.Context) string {
	dir, ok := venv.Find(ctx)
	if !ok {
		return ""
	}
	return filepath.Join(dir, "bin")
}

func (d *demo) endpoints(f flags) {
	fmt.Fprintf(d.out, `
Everything stays up until Ctrl-C.
  Flyte gRPC  127.0.0.1:%d
  Flyte HTTP  127.0.0.1:%d
  Skein API   127.0.0.1:%d
  logs        %s

%s  export PATH=%s:$PATH
  export SKEIN_CONFIG=%s
  export FLYTECTL_CONFIG=%s
  skein launch demo.wordcount --input text="one two three" --wait
`, f.grpc, f.http, f.api, filepath.Join(d.fed.State(), "logs"), wayIn(), programs(), d.fed.Config, d.fed.Flyte)
}

// programs is the folder of this program.
func programs() string {
	path, err := os.Executable()
	if err != nil {
		return "bin"
	}
	return filepath.Dir(path)
}
