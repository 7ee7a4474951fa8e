// Command skein is the command line for people: register, launch and follow
// workflows, ask why they run where they run, and look after clusters. It also
// runs a whole federation on one machine (skein demo).
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/cmd/internal/cli"
	"github.com/skein-project/skein/cmd/internal/demo"
	"github.com/skein-project/skein/cmd/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := program().ExecuteContext(ctx)
	stop()
	if err != nil {
		os.Exit(cli.Fail(os.Stderr, err))
	}
}

// program is the root with every command below it.
func program() *cobra.Command {
	root := cli.New(version.String())
	root.AddCommand(demo.Command(), nodeCommand())
	return root
}
