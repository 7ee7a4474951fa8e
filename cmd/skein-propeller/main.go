// Command skein-propeller drives the workflows of one cluster, and is the
// cluster's member of the federation. Its hidden subcommands are the copilot
// that runs beside raw containers.
package main

import (
	"context"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/attribute"

	"github.com/skein-project/skein/cmd/internal/assemble"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/cmd/internal/process"
)

func main() { process.Main(program()) }

func program() *cobra.Command {
	root := process.Process[config.Propeller]{
		Name: "skein-propeller", Short: "The engine of one cluster, and its member of the federation",
		Prefix: config.PropellerPrefix, Default: config.DefaultPropeller,
		Telemetry: func(c *config.Propeller) config.Telemetry { return c.Telemetry },
		Attributes: func(c *config.Propeller) []attribute.KeyValue {
			return []attribute.KeyValue{attribute.String("cluster", c.Cluster), attribute.String("instance", c.Instance)}
		},
		Run: run,
	}.Command()
	root.AddCommand(copilotCommand())
	return root
}

func run(ctx context.Context, c config.Propeller, p process.Parts) error {
	engine, err := assemble.NewPropeller(ctx, c, p.Log, p.Registry)
	if err != nil {
		return err
	}
	return engine.Run(ctx, p.Ops)
}
