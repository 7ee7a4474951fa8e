// Command skein is the command line for people: register, launch and follow
// workflows, ask why they run where they run, and look after clusters. It also
// runs a whole federation on one machine (skein demo).
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/skein-project/skein/cmd/internal/cli"
	"github.com/skein-project/skein/cmd/internal/demo"
	"github.com/skein-project/skein/cmd/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := cli.New(version.String())
	root.AddCommand(demo.Command(), nodeCommand())
	err := root.ExecuteContext(ctx)
	stop()
	if err != nil {
		os.Exit(cli.Fail(os.Stderr, err))
	}
}
