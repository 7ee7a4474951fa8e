// Command skein-capi makes data planes out of Cluster API's clusters, and out
// of a plain list of kubeconfigs. It runs where their credentials are.
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
	return process.Process[config.CAPI]{
		Name: "skein-capi", Short: "Makes data planes of Cluster API's clusters, and of a list of kubeconfigs",
		Prefix: config.CAPIPrefix, Default: config.DefaultCAPI,
		Telemetry: func(c *config.CAPI) config.Telemetry { return c.Telemetry },
		Attributes: func(c *config.CAPI) []attribute.KeyValue {
			return []attribute.KeyValue{attribute.String("name", c.Name)}
		},
		Run: run,
	}.Command()
}

func run(ctx context.Context, c config.CAPI, p process.Parts) error {
	controller, err := assemble.NewCAPI(ctx, c, p.Log, p.Registry)
	if err != nil {
		return err
	}
	return controller.Run(ctx, p.Ops)
}
