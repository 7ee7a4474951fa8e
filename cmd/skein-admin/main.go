// Command skein-admin is one replica of the control plane: Flyte's API, the
// election, the scheduler while it leads, and a hub for members.
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
	return process.Process[config.Admin]{
		Name: "skein-admin", Short: "One replica of Skein's control plane",
		Prefix: config.AdminPrefix, Default: config.DefaultAdmin,
		Telemetry: func(c *config.Admin) config.Telemetry { return c.Telemetry },
		Attributes: func(c *config.Admin) []attribute.KeyValue {
			return []attribute.KeyValue{attribute.String("replica", c.Replica)}
		},
		Run: run,
	}.Command()
}

func run(ctx context.Context, c config.Admin, p process.Parts) error {
	admin, err := assemble.NewAdmin(ctx, c, p.Log, p.Registry)
	if err != nil {
		return err
	}
	defer admin.Close()
	return admin.Run(ctx, p.Ops)
}
