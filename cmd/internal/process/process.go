// Package process is what every server process of ours has in common: a
// command line of run and config print, strict configuration, logs, metrics,
// traces, and an orderly stop at SIGTERM.
//
// It knows no plane: what runs is passed in. Invariant: a process exits with 0
// only after an orderly stop, and never takes a second signal for the first.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/attribute"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/cmd/internal/telemetry"
	"github.com/skein-project/skein/cmd/internal/version"
)

// flushTime bounds the export of the last spans.
const flushTime = 3 * time.Second

// Parts are what a process is built with.
type Parts struct {
	Log      *slog.Logger
	Registry *prometheus.Registry
	Ops      *telemetry.Ops
}

// Process describes one server program. C is its configuration struct.
type Process[C any] struct {
	Name    string
	Short   string
	Prefix  string // of its environment variables
	Default func() C
	// Telemetry and Attributes read the configuration once it is loaded.
	Telemetry  func(*C) config.Telemetry
	Attributes func(*C) []attribute.KeyValue
	Run        func(ctx context.Context, c C, p Parts) error
}

// flags are the flags that choose the configuration.
type flags struct {
	file string
	set  []string
}

// Command makes the program's root command.
func (p Process[C]) Command() *cobra.Command {
	var f flags
	root := &cobra.Command{Use: p.Name, Short: p.Short, Version: version.String(), SilenceUsage: true, SilenceErrors: true, Args: none,
		Example:           fmt.Sprintf("  %s run --config %s.yaml --set telemetry.level=debug", p.Name, p.Name),
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}} // a server is typed once
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.E(fault.Invalid, "%v; see %s --help", err, cmd.CommandPath())
	})
	root.PersistentFlags().StringVar(&f.file, "config", "", "configuration file")
	root.PersistentFlags().StringArrayVar(&f.set, "set", nil, "one setting as key=value, over file and environment; may be repeated")
	root.AddCommand(&cobra.Command{
		Use: "run", Short: "Run until SIGTERM", Example: "  " + p.Name + " run --config " + p.Name + ".yaml", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd.Context(), f) },
	}, p.configCommand(&f))
	return root
}

// none wants no arguments: a word that is no command is bad input.
func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fault.E(fault.Invalid, "unknown command %q; see %s --help", args[0], cmd.CommandPath())
	}
	return nil
}

func (p Process[C]) configCommand(f *flags) *cobra.Command {
	var env bool
	show := &cobra.Command{
		Use: "print", Short: "Print the effective configuration, secrets masked", Args: none,
		Example: fmt.Sprintf("  %s config print --config %s.yaml\n  %s config print --env", p.Name, p.Name, p.Name),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.load(*f)
			if env {
				_, err = fmt.Fprint(cmd.OutOrStdout(), config.PrintEnv(&c, p.Prefix))
				return err
			}
			text, printErr := config.Print(&c)
			fmt.Fprint(cmd.OutOrStdout(), text)
			return errors.Join(err, printErr)
		},
	}
	show.Flags().BoolVar(&env, "env", false, "list the environment variables instead")
	parent := &cobra.Command{Use: "config", Short: "Look at the configuration", Args: none, Example: "  " + p.Name + " config print",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	parent.AddCommand(show)
	return parent
}

func (p Process[C]) load(f flags) (C, error) {
	c := p.Default()
	set := map[string]string{}
	for _, kv := range f.set {
		key, value, ok := strings.Cut(kv, "=")
		if !ok {
			return c, fault.Field("--set", "want key=value, got %q", kv)
		}
		set[key] = value
	}
	return c, config.Load(&c, config.Source{File: f.file, Prefix: p.Prefix, Environ: os.Environ(), Flags: set})
}

func (p Process[C]) run(ctx context.Context, f flags) error {
	c, err := p.load(f)
	if err != nil {
		return err
	}
	t := p.Telemetry(&c)
	log, err := telemetry.Logger(os.Stderr, t.Level, t.Format)
	if err != nil {
		return err
	}
	slog.SetDefault(log)
	lessCollection()
	flush, err := telemetry.Tracing(ctx, p.Name, p.Attributes(&c)...)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTime)
		defer cancel()
		if err := flush(ctx); err != nil {
			log.Warn("the last spans could not be exported", "error", err)
		}
	}()
	registry := telemetry.Registry()
	log.Info("starting", "process", p.Name, "version", version.String(), "pid", os.Getpid())
	err = p.Run(ctx, c, Parts{Log: log, Registry: registry, Ops: telemetry.NewOps(registry)})
	log.Info("stopped", "process", p.Name, "error", err)
	return err
}

// Main runs a root command until it ends or a signal comes, and exits.
func Main(root *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root.ExecuteContext(ctx)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", root.Name(), err)
		os.Exit(fault.Of(err).Exit())
	}
}
